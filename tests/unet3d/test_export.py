"""Every 3D network is exported as `volseg export` does it, and its file leaves all sizes free."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from volseg_core.exporting.convert import convert, free_sizes
from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.network import build_network, size_rules
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule
from volseg_unet3d.plugin import volseg_architectures

pytest.importorskip("monai")
pytest.importorskip("timm")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

REGISTRY = load_registry(builtin_only=True)
LEVELS = {"channels": [4, 8, 16], "strides": [2, 2]}
CASES: list[dict[str, Any]] = [
    {"use": "unet3d", "f_maps": 4},
    {"use": "residual-unet3d", "f_maps": [4, 8, 16]},
    {"use": "residual-unet-se3d", "f_maps": [4, 8, 16], "pool_kernel_size": [1, 2, 2]},
    {"use": "classic-unet", "start_channels": 2, "depth": 3},
    {"use": "stacked-hourglass", "start_channels": 2, "depth": 3},
    {"use": "nnunet", "width": 2, "stages": 3},
    {"use": "nnunet", "width": 2, "stages": 3, "stem": [1, 2, 2], "strides": [[1, 2, 2], [2, 2, 2]], "norm": "batch"},
    {"use": "segresnet", "blocks_down": [1, 1, 1], "blocks_up": [1, 1]},
    {"use": "vnet"},
    {"use": "attention-unet", **LEVELS},
    {"use": "monai-unet", **LEVELS},
    {"use": "dynunet", "filters": [2, 4, 8], "strides": [[1, 2, 2], [2, 2, 2]]},
    {"use": "unetr", "feature_size": 4, "hidden_size": 24, "mlp_dim": 32, "num_heads": 4},
    {"use": "swin-unetr", "feature_size": 12, "depths": [2, 1, 1, 1], "num_heads": [1, 2, 4, 8], "window_size": 4},
    {"use": "encoder-unet3d", "encoder": {"use": "inflated", "weights": "none", "depth": 2}},
    {"use": "encoder-unet3d", "encoder": {"use": "residual-3d", "layers": 10, "depth": 3, "planar": 1}},
    {"use": "encoder-unet3d", "encoder": {"use": "residual-3d", "layers": 18, "depth": 3, "planar": 1}},
]


def test_every_architecture_of_volumes_is_here() -> None:
    assert {case["use"] for case in CASES} == {each.name for each in volseg_architectures() if 3 in each.dims}


@pytest.mark.parametrize("model", CASES, ids=lambda model: f"{model['use']}-{model.get('encoder', {}).get('use', '')}")
def test_batch_depth_height_and_width_are_free(model: dict[str, Any]) -> None:
    recipe = resolve_recipe(REGISTRY, {"extends": "volseg/patches", "model": model})
    classes = ClassMap((ClassName(0, "a"), ClassName(1, "b")), ())
    divisor = size_rules(REGISTRY.catalog, recipe).divisor
    small = SizeRule(divisor, divisor)  # as small as can be, so that it takes seconds
    spec = ModelSpec((HeadSpec("multiclass", classes),), 1, Normalisation(), "zyx", small)
    torch.manual_seed(0)
    network = build_network(REGISTRY.catalog, recipe, 1, 2, pretrained=False).eval()
    provided = recipe.architecture.provided
    named = provided.component.export_rewrites
    rewrite = REGISTRY.catalog.load_target(provided, named) if named else None
    made = convert(network, spec, recipe, "auto", rewrite)
    assert (made.attempt.exporter, made.attempt.free, made.failed) == ("legacy", free_sizes(3), [])
    assert len({tuple(vectors.image.shape) for vectors in made.vectors}) == 3

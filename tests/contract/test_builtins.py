"""The built-ins keep to the rules that the conformance kit sets for everyone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from volseg_core.testing import check, components
from volseg_core.testing.views import VIEWS

ENCODERS = (
    "resnet18",
    "densenet121",
    "efficientnet-b0",
    "mit_b0",
    "mobilenet_v2",
    "mobileone_s0",
    "inflated",
    "residual-3d",
    "timm-skresnet18",
    "tu-convnext_atto",
    "tu-swin_tiny_patch4_window7_224",
    "tu-tf_efficientnet_lite0",
    "tu-vit_tiny_patch16_224",
)
"""One of each family; the others are the same builder with another name."""
GIVEN: dict[str, dict[str, Any]] = {
    "merge/fusion": {"params": {"weights": {view: [1.0, 2.0, 0.5] for view in VIEWS}}},
    "augmentation/albumentations": {"params": {"transforms": [{"use": "HorizontalFlip"}]}},
    "postprocess/mutex-watershed": {"params": {"offsets": [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]}},
    "generator/blobs": {"params": {"shape": [24, 24, 24]}},
    "architecture/dpt": {"encoder": "tu-test_vit"},
    # as they are by default they are large: half a minute and gigabytes each
    "architecture/residual-unet3d": {"params": {"f_maps": 8}},
    "architecture/residual-unet-se3d": {"params": {"f_maps": 8}},
    "architecture/residual-unet2d": {"params": {"f_maps": 8}},
    "architecture/encoder-unet3d": {"params": {"decoder_channels": [16, 16, 8, 8, 4]}},
    "encoder/residual-3d": {"params": {"layers": 10, "depth": 3}},
    "architecture/nnunet": {"params": {"width": 4}},
    "architecture/dynunet": {"params": {"filters": [2, 4, 4]}},
    "architecture/unetr": {"params": {"feature_size": 4, "hidden_size": 24, "mlp_dim": 32, "num_heads": 4}},
    "architecture/swin-unetr": {
        "params": {"feature_size": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8], "window_size": 4}
    },
}
LESS: dict[str, dict[str, Any]] = {
    "encoder/residual-3d": {"strides": (2, 4, 8)},  # the coarsest stages are the slowest
    "architecture/dpt": {"exports_onnx": False},  # only torch's slow exporter takes it: half a minute
    "architecture/swin-unetr": {"dims": (2,)},  # in three dimensions minutes; tests/unet3d does it
    "architecture/unetr": {"dims": (2,)},
    "architecture/vnet": {"dims": (2,)},
}
"""What is not declared here of some, so that the rest is checked quickly."""
BUILTINS = components("volseg")
CHECKED = [item for item in BUILTINS if item.provided.kind != "encoder" or item.component.name in ENCODERS]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("component", CHECKED, ids=str)
def test_conforms(component: Any) -> None:
    changes = LESS.get(str(component))
    if changes:
        described = replace(component.component, **changes)
        component = replace(component, provided=replace(component.provided, component=described))
    check(component, **GIVEN.get(str(component), {}))


def test_every_kind_is_built_in_and_checked() -> None:
    from volseg_core.api import KINDS

    assert {item.provided.kind for item in CHECKED} == set(KINDS)
    assert {item.component.name for item in CHECKED if item.provided.kind == "encoder"} == set(ENCODERS)


def test_what_is_given_is_for_components_that_there_are() -> None:
    assert set(GIVEN) <= {str(item) for item in CHECKED}

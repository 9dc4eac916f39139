"""What the plugin describes, against the code that it describes, and the rules of the conformance kit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from volseg_core.catalog import Catalog
from volseg_core.testing import check, components
from volseg_unet3d import plugin

SUBJECTS = {item.component.name: item for item in components(Catalog.from_modules([plugin]))}
OWN = {
    "unet3d": (3,),
    "unet2d": (2,),
    "residual-unet3d": (3,),
    "residual-unet-se3d": (3,),
    "residual-unet2d": (2,),
    "classic-unet": (2, 3),
    "stacked-hourglass": (2, 3),
    "nnunet": (2, 3),
    "encoder-unet3d": (3,),
    "residual-3d": (3,),
}
MONAI = ("segresnet", "swin-unetr", "unetr", "vnet", "attention-unet", "dynunet", "monai-unet")
SMALL: dict[str, list[dict[str, Any]]] = {
    "unet3d": [{"f_maps": 4}, {"f_maps": [8, 12, 40], "upsample": "deconv", "layer_order": "cbl"}],
    "unet2d": [{"f_maps": 4}, {"f_maps": 4, "upsample": "bilinear"}],
    "residual-unet3d": [{"f_maps": 4, "upsample": "trilinear", "joining": "concat"}],
    "residual-unet-se3d": [{"f_maps": 4}],
    "residual-unet2d": [{"f_maps": 4}, {"f_maps": 4, "upsample": "nearest", "pool_kernel_size": [1, 2]}],
    "classic-unet": [{"start_channels": 2, "resblocks": True, "batchnorm": False}],
    "stacked-hourglass": [{"start_channels": 2, "num_stacks": 3, "depth": 2, "resblocks": True}],
    "nnunet": [{"width": 2, "stages": 3}, {"width": 2, "stages": 3, "residual": True, "norm": "batch", "dropout": 0.2}],
    "encoder-unet3d": [{"decoder_channels": [8, 8, 8, 4, 4], "upsample": "trilinear", "layer_order": "gcr"}],
    "residual-3d": [{"layers": 10, "depth": 2}],
    "segresnet": [{"init_filters": 8, "upsample_mode": "deconv", "dropout_prob": 0.2}],
    "vnet": [{"act": "leakyrelu"}],
    "attention-unet": [{"channels": [4, 8], "strides": [2]}],
    "dynunet": [{"filters": [2, 4, 4], "res_block": True, "norm": "batch"}],
    "monai-unet": [
        {"channels": [4, 8], "strides": [2], "num_res_units": 0},
        {"channels": [2, 4, 4], "strides": [2, 1]},
    ],
    "unetr": [{"feature_size": 4, "hidden_size": 24, "mlp_dim": 32, "num_heads": 4}],
    "swin-unetr": [{"feature_size": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8], "window_size": 4}],
}


def test_these_are_the_networks() -> None:
    assert {name: item.component.dims for name, item in SUBJECTS.items() if name not in MONAI} == OWN
    assert {item.component.extra for name, item in SUBJECTS.items() if name in MONAI} == {"monai"}
    assert set(SUBJECTS) == {*OWN, *MONAI} == set(SMALL)


@pytest.mark.parametrize(("name", "params"), [(name, each) for name, every in SMALL.items() for each in every], ids=str)
def test_small_networks_conform(name: str, params: dict[str, Any]) -> None:
    item = SUBJECTS[name]
    if name in MONAI:
        pytest.importorskip("monai")
    if name in ("swin-unetr", "unetr", "vnet"):  # slow in 3D, of which their own tests have an example
        item = replace(item, provided=replace(item.provided, component=replace(item.component, dims=(2,))))
    if name == "residual-3d":  # its strides are those of all five stages, the coarsest of which are slow
        item = replace(item, provided=replace(item.provided, component=replace(item.component, strides=(2, 4))))
    check(item, params=params)


def test_describing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from volseg_unet3d.plugin import volseg_architectures; volseg_architectures();"
        "print(sorted({'torch', 'numpy', 'monai', 'einops'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The section ``model``: every key is carried or named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from volseg_core.migration.pytorch_3dunet.network import carry_network
from volseg_core.migration.settings import Settings, Transfer
from volseg_core.registry import load_registry

CATALOG = load_registry(builtin_only=True).catalog


@pytest.mark.parametrize(
    ("name", "ours", "dims"),
    [
        ("UNet3D", "unet3d", 3),
        ("ResidualUNet3D", "residual-unet3d", 3),
        ("ResidualUNetSE3D", "residual-unet-se3d", 3),
        ("UNet2D", "unet2d", 2),
        ("ResidualUNet2D", "residual-unet2d", 2),
    ],
)
def test_networks_have_their_own_components(carried: Any, name: str, ours: str, dims: int) -> None:
    recipe, _, outputs = carried(carry_network, {"name": name, "in_channels": 2, "out_channels": 3})
    extends = {2: "volseg/slices", 3: "volseg/patches"}[dims]
    assert recipe == {"extends": extends, "dims": dims, "model.use": ours}
    assert CATALOG.find("architecture", ours).component.dims == (dims,)
    assert (outputs.dims, outputs.in_channels, outputs.channels) == (dims, 2, 3)


def test_options_are_those_of_the_network(carried: Any) -> None:
    content = {
        "name": "UNet3D", "f_maps": [8, 16], "num_levels": 4, "layer_order": "gcrd", "num_groups": 4,
        "dropout_prob": 0.3, "conv_upscale": 1, "conv_padding": 1, "upsample": "deconv",
    }  # fmt: skip
    recipe, left, outputs = carried(carry_network, content)
    options = {key.removeprefix("model."): value for key, value in recipe.items() if key.startswith("model.")}
    assert options == {
        "use": "unet3d", "f_maps": [8, 16], "layer_order": "gcrd", "num_groups": 4, "dropout_prob": 0.3,
        "conv_upscale": 1, "upsample": "deconv",
    }  # fmt: skip
    assert set(options) - {"use"} <= set(CATALOG.find("architecture", "unet3d").component.params)
    assert left == {
        "num_levels": "without effect: f_maps is a list, of one number for each level",
        "conv_padding": "as here: convolutions keep the size of an image",
    }
    assert outputs.padded


def test_a_number_of_maps_goes_with_levels(carried: Any) -> None:
    recipe, left, _ = carried(carry_network, {"name": "UNet2D", "f_maps": 16, "num_levels": 3})
    assert (recipe["model.f_maps"], recipe["model.num_levels"], left) == (16, 3, {})


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("UNet3D", "nearest", "nearest"),
        ("UNet3D", "trilinear", "trilinear"),
        ("UNet3D", "linear", "trilinear"),
        ("UNet2D", "linear", "bilinear"),
        ("UNet2D", "trilinear", "bilinear"),
        ("UNet3D", "area", "nearest"),
        ("UNet3D", "deconv", "deconv"),
    ],
)
def test_kinds_of_upsampling(carried: Any, name: str, theirs: str, ours: str) -> None:
    recipe, left, _ = carried(carry_network, {"name": name, "upsample": theirs})
    assert (recipe["model.upsample"], left) == (ours, {})
    assert ours in CATALOG.find("architecture", recipe["model.use"]).component.params["upsample"].choices


def test_where_area_is_not_nearest_is_said() -> None:
    transfer = Transfer()
    carry_network(Settings({"name": "UNet3D", "upsample": "area"}, transfer), transfer)
    (why,) = (item.why for item in transfer.choices if item.key == "model.upsample")
    assert why.endswith("nearest where the size doubles exactly; where it does not, as of odd sizes, values differ")
    for size, equal in ((6, True), (5, False)):
        image = torch.arange(3.0).reshape(1, 1, 3, 1, 1)
        area, nearest = (functional.interpolate(image, (size, 1, 1), mode=mode) for mode in ("area", "nearest"))
        assert torch.equal(area, nearest) is equal


def test_a_residual_network_whose_upsampling_is_set_joins_by_concatenation(carried: Any) -> None:
    recipe, _, _ = carried(carry_network, {"name": "ResidualUNet3D", "upsample": "deconv"})
    assert (recipe["model.upsample"], recipe["model.joining"]) == ("deconv", "concat")
    recipe, _, _ = carried(carry_network, {"name": "ResidualUNet3D", "upsample": "default"})
    assert "model.joining" not in recipe
    assert CATALOG.find("architecture", "residual-unet3d").component.params["joining"].default == "sum"


def test_what_has_no_effect_is_named(carried: Any) -> None:
    content = {"name": "ResidualUNet3D", "conv_upscale": 2, "dropout_prob": 0.5, "layer_order": "bcr", "num_groups": 8}
    recipe, left, _ = carried(carry_network, content)
    assert recipe["model.layer_order"] == "bcr"
    assert left == {
        "conv_upscale": "without effect on residual blocks, there too",
        "dropout_prob": "without effect: bcr has no dropout",
        "num_groups": "without effect: bcr has no group norm",
    }


def test_fault_b1_keys_that_are_dropped_there_are_named(carried: Any) -> None:
    """pool_kernel_size and conv_kernel_size vanish in **kwargs there: the network is another than the one asked for."""
    content = {"name": "UNet3D", "pool_kernel_size": [1, 2, 2], "conv_kernel_size": [1, 3, 3], "num_level": 4}
    recipe, left, _ = carried(carry_network, content)
    assert "model.pool_kernel_size" not in recipe
    assert left["pool_kernel_size"].endswith("for a new training set model.pool_kernel_size")
    assert left["num_level"].endswith("which ignores it. Did you mean 'num_levels'?")
    assert set(left) == {"pool_kernel_size", "conv_kernel_size", "num_level"}


@pytest.mark.parametrize("value", [0, [0, 1, 1]])
def test_convolutions_without_padding_have_no_equivalent(carried: Any, value: Any) -> None:
    _, left, outputs = carried(carry_network, {"name": "UNet3D", "conv_padding": value})
    assert not outputs.padded
    assert left["conv_padding"] == f"{value!r}; here convolutions keep the size of an image"


@pytest.mark.parametrize("value", [None, "none", "cubic"])
def test_an_upsampling_that_joins_nothing_stays_behind(carried: Any, value: Any) -> None:
    recipe, left, _ = carried(carry_network, {"name": "UNet3D", "upsample": value})
    assert "model.upsample" not in recipe
    assert left == {"upsample": f"{value!r} cannot join features of two sizes, there neither"}


def test_another_network_stays_behind_with_all_its_keys(carried: Any) -> None:
    recipe, left, outputs = carried(carry_network, {"name": "UNet3d", "f_maps": 8, "beta": 1})
    assert recipe == {"extends": "volseg/patches", "dims": 3}
    assert outputs.network is None
    assert left["name"].endswith("Did you mean 'UNet3D'?")
    assert set(left) == {"name", "f_maps", "beta"}

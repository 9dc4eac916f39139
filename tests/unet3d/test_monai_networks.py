"""Networks of MONAI: what is asked of them is what is built, and what they cannot do is said."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from volseg_core.api import UsageError
from volseg_unet3d.plugin import volseg_architectures

nets = pytest.importorskip("monai.networks.nets")

ARCHITECTURES = {architecture.name: architecture for architecture in volseg_architectures()}
THEIRS = {"segresnet": "SegResNet", "swin-unetr": "SwinUNETR", "unetr": "UNETR", "vnet": "VNet"}


@pytest.mark.parametrize("name", THEIRS)
def test_the_defaults_are_those_of_monai(name: str) -> None:
    theirs = inspect.signature(getattr(nets, THEIRS[name]).__init__).parameters
    for key, param in ARCHITECTURES[name].params.items():
        if key not in ("num_groups", "act", "img_size"):
            assert theirs[key].default == param.default


def test_their_convolutions_are_normalised_as_asked(make: Any) -> None:
    for norm, kind in (("instance", torch.nn.InstanceNorm3d), ("batch", torch.nn.BatchNorm3d)):
        network = make("dynunet", filters=[4, 8, 16], norm=norm)
        assert {type(layer) for layer in network.modules() if "Norm" in type(layer).__name__} == {kind}


def test_the_first_convolutions_of_monais_unet_stride(make: Any) -> None:
    network = make("monai-unet", channels=[4, 8, 16], strides=[2, 2], num_res_units=2, dims=3)
    first = next(layer for layer in network.modules() if isinstance(layer, torch.nn.Conv3d))
    assert (first.stride, first.out_channels) == ((2, 2, 2), 4)
    theirs = nets.UNet(3, 1, 2, (4, 8, 16), (2, 2), num_res_units=2)
    theirs.load_state_dict(network.state_dict())
    image = torch.randn(1, 1, 8, 16, 12)
    torch.testing.assert_close(network.eval()(image), theirs.eval()(image))


def test_strides_of_dynunet_may_differ_between_axes(make: Any) -> None:
    network = make("dynunet", filters=[4, 8, 16], strides=[[1, 2, 2], [2, 2, 2]])
    assert network(torch.randn(1, 1, 6, 8, 12)).shape == (1, 2, 6, 8, 12)


def test_vnet_takes_channels_that_do_not_divide_sixteen(make: Any) -> None:
    with torch.device("meta"):
        tensors = [len(make("vnet", in_channels=channels).state_dict()) for channels in (1, 2, 3)]
    assert [number - tensors[0] for number in tensors] == [0, 0, 2]


def test_vnet_keeps_the_size_in_3d(make: Any) -> None:
    with torch.no_grad():
        assert make("vnet", in_channels=3, dims=3).eval()(torch.randn(1, 3, 16, 32, 16)).shape == (1, 2, 16, 32, 16)


def test_swin_unetr_keeps_the_size_in_3d(make: Any) -> None:
    small = {"feature_size": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8], "window_size": 4}
    network = make("swin-unetr", dims=3, **small).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 1, 64, 32, 32)).shape == (1, 2, 64, 32, 32)
    with pytest.raises(UsageError, match=r"a window of \(32, 32, 32\) is too small .* need more than \(32, 32, 32\)"):
        network(torch.zeros(1, 1, 32, 32, 32))


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "segresnet",
        {"blocks_up": [1, 1]},
        "model.blocks_up: [1, 1] has 2 items for 4 levels",
        "Give one for each level but the coarsest.",
    ),
    (
        "segresnet",
        {"blocks_down": [1] * 6, "blocks_up": [1] * 5},
        "model.blocks_down: images must be multiples of 32 voxels for these levels, which does not divide 16",
        "Use fewer levels, or strides of 1 and 2.",
    ),
    (
        "segresnet",
        {"init_filters": 12},
        "model.num_groups: 8 groups do not divide 12 channels",
        "Choose init_filters that are a multiple of it.",
    ),
    ("swin-unetr", {"feature_size": 20}, "model.feature_size: 20 is no multiple of 12", "Choose 12, 24, 36 or 48."),
    (
        "swin-unetr",
        {"num_heads": [3, 6, 12, 25]},
        "model.num_heads: 25 heads do not divide the 192 channels of their stage",
        "The stages have [24, 48, 96, 192] channels.",
    ),
    (
        "attention-unet",
        {"strides": [2, 2]},
        "model.strides: [2, 2] has 2 items for 4 levels",
        "Give one between each two levels.",
    ),
    (
        "monai-unet",
        {"channels": [4] * 6, "strides": [2] * 5},
        "model.strides: images must be multiples of 32 voxels for these levels, which does not divide 16",
        "Use fewer levels, or strides of 1 and 2.",
    ),
    ("dynunet", {"filters": [4, 8]}, "model.filters: [4, 8] has 2 stages", "DynUNet needs 3 or more."),
    (
        "dynunet",
        {"strides": [1, 2]},
        "model.strides: [1, 2] is no positive number, list of 3 (one for each axis) or list of 4 such lists",
        "Write 2, or [1, 2, 2].",
    ),
    (
        "unetr",
        {"img_size": [96, 96]},
        "model.img_size: [96, 96] must be 3 multiples of 16",
        "Give the size of the windows, or nothing.",
    ),
    (
        "unetr",
        {"num_heads": 7},
        "model.num_heads: 7 heads do not divide a hidden_size of 768",
        "Choose a number that does.",
    ),
]


@pytest.mark.parametrize(("name", "params", "what", "hint"), REFUSED, ids=[f"{case[0]}-{case[1]}" for case in REFUSED])
def test_what_cannot_be_built_is_refused(name: str, params: dict[str, Any], what: str, hint: str, make: Any) -> None:
    with pytest.raises(UsageError) as raised:
        make(name, dims=3, **params)
    assert str(raised.value) == f"{what}. {hint}"

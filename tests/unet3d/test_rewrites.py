"""What is changed for ONNX: the logits stay, whatever the size is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("monai")

from volseg_unet3d.rewrites import AnySizeStage, SpelledNorm, _Axis, shifted_windows

SMALL: dict[str, Any] = {"feature_size": 12, "depths": [2, 2, 1, 2], "num_heads": [1, 2, 4, 8]}


@given(size=st.integers(1, 40), edge=st.integers(1, 9), shifted=st.booleans())
def test_what_is_parted_and_shifted_comes_back(size: int, edge: int, shifted: bool) -> None:
    axis = _Axis(size, edge, edge // 2 if shifted else 0)
    places, voxels = axis.places(), axis.voxels()
    assert len(places) == axis.padded == axis.count * axis.edge
    assert places[voxels].tolist() == list(range(size))
    assert (places == size).sum() == axis.padded - size  # the rest is filled up
    assert places[0] == axis.shift


@given(size=st.integers(1, 40), edge=st.integers(1, 9))
def test_what_is_in_one_region_of_a_window_is_in_order(size: int, edge: int) -> None:
    axis = _Axis(size, edge, edge // 2)
    turned = torch.remainder(torch.arange(axis.padded) + axis.shift, axis.padded).reshape(axis.count, axis.edge)
    regions = axis.regions().reshape(axis.count, axis.edge)
    for places, numbers in zip(turned, regions, strict=True):
        for number in numbers.unique():
            together = places[numbers == number]
            assert (together.diff() == 1).all()


@pytest.mark.parametrize(
    ("window_size", "norm", "use_v2"), [(4, "instance", False), (7, "batch", False), (5, "instance", True)]
)
def test_logits_are_those_of_monai_at_every_size(window_size: int, norm: str, use_v2: bool, make: Any) -> None:
    build = {**SMALL, "window_size": window_size, "norm_name": norm, "use_v2": use_v2}
    network, other = (make("swin-unetr", dims=2, **build).eval() for _ in range(2))
    for parameter in network.parameters():  # norms and biases away from ones and zeros
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    other.load_state_dict(network.state_dict())
    shifted_windows(other)
    for size in ((64, 64), (32, 96), (160, 64)):
        image = torch.randn(2, 1, *size)
        with torch.no_grad():
            torch.testing.assert_close(other(image), network(image), rtol=1e-3, atol=1e-4)


def test_all_stages_and_instance_norms_are_replaced(make: Any) -> None:
    network = shifted_windows(make("swin-unetr", dims=2, **SMALL, use_v2=True))
    kinds = [type(module) for module in network.modules()]
    assert kinds.count(AnySizeStage) == 4
    assert SpelledNorm in kinds
    assert not {torch.nn.InstanceNorm2d, torch.nn.InstanceNorm3d} & set(kinds)


def test_a_norm_with_weights_is_spelled_out() -> None:
    norm = torch.nn.InstanceNorm3d(3, affine=True)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    features = 5 + 3 * torch.randn(2, 3, 4, 5, 6)
    torch.testing.assert_close(SpelledNorm(norm)(features), norm(features))

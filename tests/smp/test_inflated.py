"""Encoders of slices as encoders of volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from volseg_core.api import UsageError
from volseg_smp import encoders, inflated
from volseg_smp.plugin import INFLATABLE

torch.set_num_threads(1)


def saved(name: str, path: Path) -> str:
    """Write random weights of an encoder with statistics of their own, and return the file."""
    torch.manual_seed(0)
    flat = encoders.build(name=name, in_channels=1, weights="none")
    for module in flat.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    file = path / "weights.safetensors"
    save_file(flat.state_dict(), file)
    return str(file)


def features(name: str, weights: str, plane: torch.Tensor, depth: int, planar: int = 0) -> tuple[Any, Any]:
    """Return the features of a slice, and those of a volume that is the same in every plane."""
    flat = encoders.build(name=name, in_channels=1, weights=weights).eval()
    solid = inflated.build(network=name, in_channels=1, weights=weights, planar=planar).eval()
    volume = plane.unsqueeze(2).expand(-1, -1, depth, -1, -1).contiguous()
    with torch.no_grad():
        return flat(plane), solid(volume)


@pytest.mark.parametrize("name", INFLATABLE)
def test_a_volume_that_is_the_same_in_every_plane_has_the_features_of_the_slice(name: str, tmp_path: Path) -> None:
    wanted, found = features(name, saved(name, tmp_path), torch.randn(1, 1, 32, 32), depth=32)
    assert [each.shape[2] for each in found] == [32, 16, 8, 4, 2, 1]
    for plane, volume in zip(wanted, found, strict=True):
        scale = plane.abs().max()
        torch.testing.assert_close(volume / scale, plane.unsqueeze(2).expand_as(volume) / scale, atol=1e-5, rtol=0)


def test_the_weights_of_imagenet_are_inflated(lite0_file: Path) -> None:
    wanted, found = features("tu-tf_efficientnet_lite0", str(lite0_file), torch.randn(1, 1, 64, 64), depth=4)
    for plane, volume in zip(wanted, found, strict=True):
        torch.testing.assert_close(volume, plane.unsqueeze(2).expand_as(volume), atol=1e-4, rtol=1e-4)
    assert found[-1].std() > 0


@pytest.mark.parametrize("planar", [1, 2])
def test_planar_halvings_leave_z_and_their_kernels_are_those_of_slices(planar: int, tmp_path: Path) -> None:
    weights = saved("resnet18", tmp_path)
    wanted, found = features("resnet18", weights, torch.randn(1, 1, 64, 64), depth=8, planar=planar)
    assert [each.shape[2] for each in found] == [8, *[8] * planar, *[4, 2, 1, 1][: 5 - planar]]
    torch.testing.assert_close(found[2][:, :, 0], wanted[2], atol=1e-4, rtol=1e-3)
    encoder = inflated.build(network="resnet18", in_channels=1, weights="none", planar=planar).encoder
    kernels = {"conv1": encoder.conv1, "layer1": encoder.layer1[0].conv1, "layer4": encoder.layer4[0].conv1}
    depths = {name: layer.conv.kernel_size[0] for name, layer in kernels.items()}  # type: ignore[union-attr]
    assert depths == {"conv1": 1, "layer1": 3, "layer4": 3}


def test_planes_see_their_neighbours() -> None:
    encoder = inflated.build(network="resnet18", in_channels=1, weights="none", depth=2).eval()
    volume = torch.zeros(1, 1, 9, 32, 32)
    with torch.no_grad():
        before = encoder(volume)[1]
        volume[:, :, 4] = torch.randn(1, 1, 32, 32)
        changed = (encoder(volume)[1] - before).abs().amax((0, 1, 3, 4)) > 0
    assert changed.tolist() == [False, True, True, True, False], "seven planes deep, every second plane"


def test_features_are_described() -> None:
    encoder = inflated.build(network="resnet18", in_channels=2, weights="none", depth=3)
    assert (encoder.strides, encoder.out_channels) == ((1, 2, 4, 8), [2, 64, 64, 128])


def test_an_output_stride_that_it_cannot_keep_is_refused() -> None:
    with pytest.raises(UsageError):
        inflated.build(network="densenet121", in_channels=1, weights="none", output_stride=8)

"""Residual networks as encoders of volumes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from volseg_core.api import DataError, UsageError
from volseg_unet3d.residual3d import build_residual_encoder

torch.set_num_threads(1)

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    return build_residual_encoder(**{"in_channels": 1, "layers": 10, "depth": 3, **options}).eval()


@pytest.mark.parametrize(
    ("layers", "depth", "channels"),
    [(10, 3, [64, 64, 128]), (18, 2, [64, 64]), (34, 1, [64]), (50, 3, [64, 256, 512])],
)
def test_features_are_those_that_are_described(layers: int, depth: int, channels: list[int]) -> None:
    encoder = build(layers=layers, depth=depth)
    assert encoder.out_channels == channels
    assert encoder.strides == (2, 4, 8)[:depth]
    with torch.no_grad():
        found = encoder(torch.randn(1, 1, 16, 24, 8))
    sizes = [(16 // stride, 24 // stride, 8 // stride) for stride in encoder.strides]
    assert [tuple(each.shape[1:]) for each in found] == [
        (count, *size) for count, size in zip(channels, sizes, strict=True)
    ]


def test_layers_are_as_many_as_the_name_says() -> None:
    for layers in (10, 18, 34, 50):
        with torch.device("meta"):
            names = build_residual_encoder(in_channels=1, layers=layers).state_dict()
        convolutions = [name for name in names if ".conv" in f".{name}" and name.endswith("weight")]
        assert len(convolutions) == layers - 1, "one more is the classifier, which an encoder lacks"


def test_tensors_have_the_names_of_medicalnet() -> None:
    names = build().state_dict()
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer2.0.downsample.0.weight"} <= set(names)
    assert "layer2.0.downsample.0.bias" not in names


def of_monai(layers: int) -> Any:
    """Return MONAI's network as it must be for MedicalNet's weights."""
    resnet = pytest.importorskip("monai.networks.nets.resnet")
    bias, shortcut = resnet.get_medicalnet_pretrained_resnet_args(layers)
    torch.manual_seed(1)
    return getattr(resnet, f"resnet{layers}")(
        spatial_dims=3,
        n_input_channels=1,
        feed_forward=False,
        conv1_t_stride=2,
        shortcut_type=shortcut,
        bias_downsample=bias,
    ).eval()


@pytest.mark.parametrize("layers", [10, 18, 34, 50])
def test_weights_of_medicalnet_mean_what_they_meant(layers: int, tmp_path: Path) -> None:
    theirs = of_monai(layers)
    own = {f"module.{name}": value for name, value in theirs.state_dict().items()}
    encoder = build(layers=layers, depth=5, weights=file_of(own, tmp_path))
    assert set(encoder.state_dict()) == set(theirs.state_dict())
    image = torch.randn(1, 1, 33, 32, 40)
    with torch.no_grad():
        given = encoder(image)
        features = theirs.maxpool(theirs.act(theirs.bn1(theirs.conv1(image))))
        for ours, layer in zip(given[1:], (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4), strict=True):
            features = layer(features)
            torch.testing.assert_close(ours, features)


def test_the_line_of_the_reference_makes_a_file_of_what_medicalnet_publishes(tmp_path: Path) -> None:
    own = {f"module.{name}": value for name, value in of_monai(18).state_dict().items()}
    torch.save({"state_dict": own}, tmp_path / "resnet.pth")
    line = next(line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if "resnet.safetensors" in line)
    subprocess.run([sys.executable, *shlex.split(line)[1:]], cwd=tmp_path, check=True)
    loaded = build(layers=18, weights=str(tmp_path / "resnet.safetensors")).state_dict()
    assert all(torch.equal(value, own[f"module.{name}"]) for name, value in loaded.items())


def test_shortcuts_without_weights_pass_gradients_on() -> None:
    encoder = build(layers=18)
    torch.nn.init.zeros_(encoder.layer2[0].bn2.weight)
    features = torch.randn(1, 64, 4, 4, 4, requires_grad=True)
    encoder.layer2[0](features).sum().backward()
    assert features.grad is not None
    assert set(features.grad.nonzero()[:, 2:].flatten().tolist()) == {0, 2}


@pytest.mark.parametrize("layers", [10, 18])
def test_planar_halvings_leave_z(layers: int) -> None:
    for planar, depths in ((0, [4, 2, 1]), (1, [8, 4, 2]), (2, [8, 8, 4]), (3, [8, 8, 8])):
        with torch.no_grad():
            found = build(layers=layers, planar=planar)(torch.randn(1, 1, 8, 16, 16))
        assert [each.shape[2] for each in found] == depths
        assert [each.shape[3] for each in found] == [8, 4, 2]


def file_of(tensors: dict[str, torch.Tensor], path: Path) -> str:
    save_file(tensors, path / "weights.safetensors")
    return str(path / "weights.safetensors")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_come_from_a_file_and_what_is_not_needed_is_left(prefix: str, tmp_path: Path) -> None:
    source = {f"{prefix}{name}": value + 1 for name, value in build().state_dict().items()}
    file = file_of({**source, f"{prefix}layer4.0.conv1.weight": torch.zeros(1)}, tmp_path)
    for name, value in build(weights=file).state_dict().items():
        assert torch.equal(value, source[f"{prefix}{name}"])


def test_a_grey_image_in_every_channel_gives_what_it_gave(tmp_path: Path) -> None:
    one = build()
    three = build(in_channels=3, weights=file_of(one.state_dict(), tmp_path))
    image = torch.randn(1, 1, 8, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(three(image.expand(-1, 3, -1, -1, -1))[-1], one(image)[-1], atol=1e-4, rtol=1e-4)


def test_a_file_of_other_layers_is_refused(tmp_path: Path) -> None:
    file = file_of(build(layers=18).state_dict(), tmp_path)
    with pytest.raises(
        DataError, match=r"does not fit this encoder: .* tensors differ, the first is 'layer1.0.conv1.weight'"
    ):
        build(layers=50, weights=file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04"])
def test_what_is_no_file_of_tensors_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "resnet.pth").write_bytes(content)
    for name in ("resnet.pth", "none.safetensors"):
        with pytest.raises(DataError, match="is no complete safetensors file"):
            build(weights=str(tmp_path / name))


def test_an_output_stride_that_it_cannot_keep_is_refused() -> None:
    with pytest.raises(UsageError, match="has stride 32 and keeps none of 16"):
        build(depth=5, output_stride=16)

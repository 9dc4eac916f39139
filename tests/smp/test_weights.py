"""Weights of encoders by name and from files."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from volseg_core.api import DataError, UsageError
from volseg_smp.encoders import build
from volseg_smp.stem import fit
from volseg_smp.table import find
from volseg_smp.weights import load_weights


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.Module]:
    """A random ResNet-18 for three channels, saved under torchvision's names with a classifier."""
    torch.manual_seed(0)
    encoder = build(name="resnet18", in_channels=3, weights="none").eval()
    path = tmp_path_factory.mktemp("weights") / "r18.safetensors"
    save_file({**encoder.state_dict(), "fc.weight": torch.zeros(5, 512)}, path)
    return path, encoder


@torch.no_grad()
def test_a_file_gives_the_network_that_it_came_from(resnet_file: tuple[Path, torch.nn.Module]) -> None:
    path, original = resnet_file
    image = torch.randn(1, 3, 32, 32)
    loaded = build(name="resnet18", in_channels=3, weights=str(path)).eval()
    assert all(torch.equal(a, b) for a, b in zip(loaded(image), original(image), strict=True))


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "tu-resnet18"])
def test_one_channel_gives_what_the_same_image_three_times_gave(
    name: str, resnet_file: tuple[Path, torch.nn.Module]
) -> None:
    path, original = resnet_file
    image = torch.randn(1, 1, 64, 64)
    grey = build(name=name, in_channels=1, weights=str(path)).eval()
    for found, expected in zip(grey(image)[1:], original(image.repeat(1, 3, 1, 1))[1:], strict=True):
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@torch.no_grad()
def test_several_stems_are_adapted_together(tmp_path: Path) -> None:
    rgb = build(name="mobileone_s0", in_channels=3, weights="none").eval()
    save_file(rgb.state_dict(), tmp_path / "m.safetensors")
    grey = build(name="mobileone_s0", in_channels=1, weights=str(tmp_path / "m.safetensors")).eval()
    image = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(grey(image)[1], rgb(image.repeat(1, 3, 1, 1))[1], rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_stem_that_mixes_pixels_and_channels_is_adapted() -> None:
    rgb = build(name="tu-tresnet_m", in_channels=3, depth=2, weights="none").eval()
    grey = build(name="tu-tresnet_m", in_channels=1, depth=2, weights="none").eval()
    grey.load_state_dict(fit(rgb.state_dict(), grey.state_dict(), 1, "the file"))
    image = torch.randn(1, 1, 32, 32)
    expected = rgb(image.repeat(1, 3, 1, 1))[-1]
    assert (grey(image)[-1] - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_none_leaves_the_module_as_it_is() -> None:
    module = torch.nn.Linear(2, 2)
    before = module.weight.clone()
    load_weights(module, find("resnet18"), "none", 3)
    assert torch.equal(module.weight, before)


def refusal(weights: str, name: str = "resnet18") -> str:
    with pytest.raises((DataError, UsageError)) as caught:
        build(name=name, in_channels=3, weights=weights)
    return str(caught.value)


def test_an_unknown_name_is_a_usage_error_that_lists_the_known() -> None:
    assert refusal("swsll") == (
        "model.encoder.weights: no weights named 'swsll' for encoder 'resnet18'. Did you mean 'swsl'? Known: imagenet, "
        "ssl, swsl. Write weights: none for random weights, or give a file PATH.safetensors."
    )
    assert "no weights named 'imagenet' for encoder 'dpn68b'. Did you mean 'imagenet+5k'?" in refusal(
        "imagenet", "dpn68b"
    )


def test_an_encoder_without_any_weights_says_so() -> None:
    assert "encoder 'tu-coatnet_0_224' has no pretrained weights" in refusal("imagenet", "tu-coatnet_0_224")


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    path = str(tmp_path / "no.safetensors")
    assert refusal(path) == f"model.encoder.weights: no file {path!r}."


def test_a_truncated_file_is_a_data_error(tmp_path: Path, resnet_file: tuple[Path, torch.nn.Module]) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(resnet_file[0].read_bytes()[:-1000])
    assert f"{str(path)!r} is not a complete safetensors file (" in refusal(str(path))


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("exploded"),)  # type: ignore[return-value]


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_pickle_is_refused_and_not_executed(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"evil.{suffix}"
    path.write_bytes(pickle.dumps(Bomb()))
    assert "pickled checkpoints (.pth, .pt, .bin) are not opened" in refusal(str(path))
    assert not (tmp_path / "exploded").exists()


def test_weights_of_another_network_are_refused(resnet_file: tuple[Path, torch.nn.Module]) -> None:
    text = refusal(str(resnet_file[0]), "resnet50")
    assert "does not fit the encoder: layer1.0.conv1.weight is 64x64x3x3 instead of 64x64x1x1; " in text

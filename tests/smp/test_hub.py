"""The model hub out of reach: an error within seconds, never a random network."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from volseg_core.api import ResourceError
from volseg_smp.encoders import build
from volseg_smp.table import find

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAYS_ON = (
    ". Give a local file (-s model.encoder.weights=PATH.safetensors), start from random weights "
    "(-s model.encoder.weights=none), or take the encoder whose weights come as a package "
    "(-s model.encoder=tu-tf_efficientnet_lite0)."
)
ENCODERS = [
    ("resnet18", "imagenet", "imagenet", "smp-hub/resnet18.imagenet"),
    ("resnet18", "swsl", "swsl", "smp-hub/resnet18.swsl"),
    ("tu-resnet18", "imagenet", "a1_in1k", "timm/resnet18.a1_in1k"),
    ("tu-resnet18", "a2_in1k", "a2_in1k", "timm/resnet18.a2_in1k"),
    ("tu-test_vit", "imagenet", "r160_in1k", "timm/test_vit.r160_in1k"),
]


@pytest.fixture(autouse=True)
def _empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


@pytest.fixture
def closed_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The hub's address becomes a port of this machine that refuses connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{repo_id}")[2]
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{endpoint}/{{repo_id}}{template}")
        yield endpoint


@pytest.mark.usefixtures("closed_port")
@pytest.mark.parametrize(("name", "weights", "chosen", "source"), ENCODERS)
def test_a_refused_connection_is_a_resource_error(name: str, weights: str, chosen: str, source: str) -> None:
    with pytest.raises(ResourceError) as caught:
        build(name=name, in_channels=1, weights=weights)
    text = str(caught.value)
    assert text.startswith(
        f"model.encoder.weights: the weights {chosen!r} of encoder {name!r} could not be fetched from {source} ("
    )
    assert "Connection refused" in text
    assert text.endswith(WAYS_ON)


def keep(folder: Path, name: str, weights: str, tensors: dict[str, torch.Tensor]) -> None:
    """Put a file where the hub's client keeps what it has fetched."""
    repository, _, revision = find(name).weights[weights].source.partition("@")
    home = folder / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / (revision or "0" * 40)
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(snapshot.name)
    save_file(tensors, snapshot / "model.safetensors")


@torch.no_grad()
@pytest.mark.usefixtures("closed_port")
def test_what_was_fetched_once_needs_no_network(tmp_path: Path) -> None:
    image = torch.randn(1, 1, 32, 32)
    original = build(name="resnet18", in_channels=3, weights="none").eval()
    keep(tmp_path, "resnet18", "ssl", {**original.state_dict(), "fc.weight": torch.ones(1), "fc.bias": torch.ones(1)})
    loaded = build(name="resnet18", in_channels=1, depth=3, weights="ssl").eval()
    expected = original(image.repeat(1, 3, 1, 1))[3]
    assert (loaded(image)[3] - expected).abs().max() <= 1e-5 * expected.abs().max()

    classifier = timm.create_model("test_vit").eval()
    keep(tmp_path, "tu-test_vit", "r160_in1k", classifier.state_dict())
    vit = build(name="tu-test_vit", in_channels=3, weights="imagenet").eval().encoder.model
    assert torch.equal(vit.patch_embed.proj.weight, classifier.patch_embed.proj.weight)
    assert torch.equal(vit.blocks[-1].mlp.fc2.weight, classifier.blocks[-1].mlp.fc2.weight)

    grey = build(name="tu-test_vit", in_channels=1, weights="imagenet").encoder.model
    expected = classifier.patch_embed.proj.weight.sum(1, keepdim=True)
    torch.testing.assert_close(grey.patch_embed.proj.weight, expected)

    classifier = timm.create_model("test_convnext").eval()
    keep(tmp_path, "tu-test_convnext", "r160_in1k", classifier.state_dict())
    pyramid = build(name="tu-test_convnext", in_channels=3, depth=4, weights="imagenet").eval()
    own = classifier.forward_intermediates(image.repeat(1, 3, 1, 1), intermediates_only=True)
    torch.testing.assert_close(pyramid(image.repeat(1, 3, 1, 1))[4], own[2])


@pytest.mark.parametrize(("name", "weights", "chosen", "source"), ENCODERS)
def test_offline_mode_is_the_same_error(
    name: str, weights: str, chosen: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ResourceError) as caught:
        build(name=name, in_channels=1, weights=weights)
    assert f"{chosen!r} of encoder {name!r} could not be fetched from {source} (" in str(caught.value)
    assert str(caught.value).endswith(WAYS_ON)

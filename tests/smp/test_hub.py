"""The model hub out of reach: an error within seconds, never a random network."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import constants

from volseg_core.api import ResourceError
from volseg_smp.encoders import build

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
    start = time.perf_counter()
    with pytest.raises(ResourceError) as caught:
        build(name=name, in_channels=1, weights=weights)
    text = str(caught.value)
    assert text.startswith(
        f"model.encoder.weights: the weights {chosen!r} of encoder {name!r} could not be fetched from {source} ("
    )
    assert "Connection refused" in text
    assert text.endswith(WAYS_ON)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(("name", "weights", "chosen", "source"), ENCODERS)
def test_offline_mode_is_the_same_error(
    name: str, weights: str, chosen: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ResourceError) as caught:
        build(name=name, in_channels=1, weights=weights)
    assert f"{chosen!r} of encoder {name!r} could not be fetched from {source} (" in str(caught.value)
    assert str(caught.value).endswith(WAYS_ON)

"""An encoder as the core hands it to an architecture."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@dataclass(frozen=True)
class Choice:
    name: str
    target: str = "volseg_smp.encoders:build"
    params: dict[str, Any] = field(default_factory=dict)
    wants: tuple[str, ...] = ("name", "in_channels", "depth", "output_stride")

    def build(self, *, in_channels: int, depth: int, output_stride: int = 32) -> Any:
        module, _, attribute = self.target.partition(":")
        context = {"name": self.name, "in_channels": in_channels, "depth": depth, "output_stride": output_stride}
        wanted = {key: context[key] for key in self.wants}
        return getattr(import_module(module), attribute)(**{**self.params, **wanted})


@pytest.fixture
def choose() -> Callable[..., Choice]:
    """An encoder of this plugin, random unless the test says otherwise."""

    def choose(name: str, **params: Any) -> Choice:
        return Choice(name, params={"weights": "none", "depth": None} | params)

    return choose


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("VOLSEG_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def lite0_file() -> Path:
    """The ImageNet weights of EfficientNet-Lite0 in timm's names."""
    path = SHARED / "data" / "weights_efficientnet_lite0" / "tf_efficientnet_lite0_in1k.safetensors"
    if not path.is_file():
        pytest.skip("the shared weights are not here")
    return path

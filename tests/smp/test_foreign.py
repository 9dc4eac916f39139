"""Encoders of other plugins under every decoder."""

from __future__ import annotations

import sys
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import torch
from segmentation_models_pytorch.encoders import encoders

from volseg_core.api import PluginError, UsageError
from volseg_smp import architectures
from volseg_smp.plugin import volseg_architectures

if TYPE_CHECKING:
    from collections.abc import Callable


class Tiny(torch.nn.Module):
    """Strided convolutions; ``skip`` of the first strides are left out."""

    def __init__(self, in_channels: int, depth: int, output_stride: int, skip: int) -> None:
        super().__init__()
        strides = [min(2**stage, output_stride) for stage in range(depth + 1)]
        widths = [4 + 4 * stage for stage in range(depth + 1)]
        steps = [1, *(after // before for before, after in pairwise(strides))]
        pairs = zip([in_channels, *widths], widths, steps, strict=False)
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(a, b, 3, step, 1) for a, b, step in pairs)
        self.skip = skip
        self.strides, self.out_channels = strides[skip:], widths[skip:]

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        features = []
        for layer in self.layers:
            image = layer(image)
            features.append(image)
        return features[self.skip :]


@pytest.fixture
def tiny(choose: Callable[..., Any]) -> Callable[..., Any]:
    """A third party's encoder as the core hands it over."""
    module = ModuleType("acme_encoders")
    module.build = lambda *, in_channels, depth, output_stride, skip: Tiny(in_channels, depth, output_stride, skip)  # type: ignore[attr-defined]
    module.stubborn = lambda *, in_channels, depth, output_stride: Tiny(in_channels, depth, max(output_stride, 32), 0)  # type: ignore[attr-defined]
    sys.modules["acme_encoders"] = module
    choice = type(choose("x"))

    def make(target: str = "build", **params: Any) -> Any:
        return choice("tiny", f"acme_encoders:{target}", params, ("in_channels", "depth", "output_stride"))

    return make


PYRAMIDS = {a.name: a.min_size for a in volseg_architectures() if a.name != "dpt"}


@pytest.mark.parametrize("name", PYRAMIDS)
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_foreign_encoder_works_under_every_decoder(name: str, skip: int, tiny: Callable[..., Any]) -> None:
    before = set(encoders)
    builder = getattr(architectures, f"build_{name}")
    network = builder(in_channels=2, num_classes=4, encoder=tiny(skip=skip)).eval()
    side = PYRAMIDS[name]
    with torch.no_grad():
        assert network(torch.randn(1, 2, side, side)).shape == (1, 4, side, side)
    assert isinstance(network.encoder.module, Tiny)
    assert network.name == f"{name}-tiny"
    assert set(encoders) == before


def test_a_foreign_encoder_gets_the_depth_of_the_recipe(tiny: Callable[..., Any]) -> None:
    choice = tiny(skip=0, depth=3)
    network = architectures.build_unet(in_channels=1, num_classes=2, encoder=choice)
    assert len(network.decoder.blocks) == 3
    assert list(network.encoder.out_channels) == [4, 8, 12, 16]


def test_strides_that_do_not_fit_are_the_plugins_fault(tiny: Callable[..., Any]) -> None:
    with pytest.raises(PluginError) as caught:
        architectures.build_deeplabv3(in_channels=1, num_classes=2, encoder=tiny("stubborn"))
    assert str(caught.value) == (
        "model.encoder: encoder 'tiny' gives features at strides [1, 2, 4, 8, 16, 32]; smp's decoders need "
        "[1, 2, 4, 8, 8, 8]. The first one or two may be left out; see model.encoder.depth."
    )


def test_dpt_refuses_a_foreign_encoder(tiny: Callable[..., Any]) -> None:
    with pytest.raises(
        UsageError,
        match=r"^model.encoder: 'dpt' works on timm's vision transformers only, not on another plugin's encoder 'tiny'",
    ):
        architectures.build_dpt(in_channels=1, num_classes=2, encoder=tiny(skip=0))

"""A right encoder and, for each rule, an encoder that breaks it."""

from __future__ import annotations

import urllib.request
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from volseg_core.api import Encoder, Param


def described(target: str, summary: str, **fields: Any) -> Encoder:
    values: dict[str, Any] = {"strides": (1, 2, 4), "dims": (2,), "wants": ("in_channels", "depth", "output_stride")}
    params = {"weights": Param("str", "none", "Name of the pretrained weights.")}
    return Encoder(
        name=target.lower(),
        target=f"encoder:{target}",
        summary=summary,
        params=params,
        licence="MIT",
        **(values | fields),
    )


class Right(nn.Module):
    def __init__(
        self, *, in_channels: int, depth: int | None = None, output_stride: int = 32, weights: str = "none"
    ) -> None:
        super().__init__()
        self.out_channels, self.strides = [4, 8, 8], [1, 2, 4]
        self.first = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.third = nn.Conv2d(8, 8, 3, stride=2, padding=1)

    def forward(self, image: Any) -> Any:
        one = self.first(image)
        two = self.second(one)
        return [one, two, self.third(two)]


class GreyOnly(Right):
    def __init__(
        self, *, in_channels: int, depth: int | None = None, output_stride: int = 32, weights: str = "none"
    ) -> None:
        super().__init__(in_channels=1)


class Nameless(Right):
    def __init__(
        self, *, in_channels: int, depth: int | None = None, output_stride: int = 32, weights: str = "none"
    ) -> None:
        super().__init__(in_channels=in_channels)
        del self.out_channels


class Reversed(Right):
    def forward(self, image: Any) -> Any:
        return super().forward(image)[::-1]


class Claims(Right):
    """Says stride 2 where it is asked for an output stride of 8, and does not do it."""

    def __init__(
        self, *, in_channels: int, depth: int | None = None, output_stride: int = 32, weights: str = "none"
    ) -> None:
        super().__init__(in_channels=in_channels)
        self.strides = [1, 2, 2 if output_stride == 8 else 4]


class Detached(Right):
    def forward(self, image: Any) -> Any:
        one, two, three = super().forward(image)
        return [one, two, three.detach()]


class Hidden(Right):
    """Keeps something learnt where no state has it."""

    def __init__(
        self, *, in_channels: int, depth: int | None = None, output_stride: int = 32, weights: str = "none"
    ) -> None:
        super().__init__(in_channels=in_channels)
        self.factor = float(torch.rand(()))

    def forward(self, image: Any) -> Any:
        return [feature * self.factor for feature in super().forward(image)]


class Fetches(Right):
    def __init__(
        self, *, in_channels: int, depth: int | None = None, output_stride: int = 32, weights: str = "none"
    ) -> None:
        super().__init__(in_channels=in_channels)
        with suppress(OSError):
            urllib.request.urlopen("http://weights.invalid/resnet")


RIGHT = [(described("Right", "three convolutions"), {})]
WRONG = {
    "works": (described("GreyOnly", "takes one channel only"), "for 3 channels in 2D it raised RuntimeError"),
    "described": (described("Nameless", "has no out_channels"), "out_channels is [] and strides [1, 2, 4]"),
    "features": (described("Reversed", "gives the coarsest feature first"), "of (2, 1, 36, 32) they are [(2, 8, 9, 8)"),
    "strides": (
        described("Right", "declares other strides", strides=(1, 2, 8)),
        "they are [1, 2, 8] and [1, 2, 4]",
    ),
    "output-stride": (
        described("Claims", "claims the stride that is asked for"),
        "a feature of (9, 8) of (36, 32) has stride 2",
    ),
    "gradient": (described("Detached", "detaches a feature"), "feature 2 gives none"),
    "state": (described("Hidden", "keeps a factor outside of its state"), "the other gives other features"),
    "offline": (described("Fetches", "asks the network for weights"), "it asked for weights.invalid"),
}

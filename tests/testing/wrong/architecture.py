"""A right architecture and, for each rule, an architecture that breaks it."""

from __future__ import annotations

import urllib.request
from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from volseg_core.api import Architecture, UsageError


def described(target: str, summary: str, **fields: Any) -> Architecture:
    values: dict[str, Any] = {"dims": (2,), "divisor": 4, "min_size": 16, "wants": ("in_channels", "num_classes")}
    return Architecture(
        name=target.lower(), target=f"architecture:{target}", summary=summary, licence="MIT", **(values | fields)
    )


class Right(nn.Module):
    def __init__(self, *, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(in_channels, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Conv2d(8, num_classes, 3, padding=1)

    def forward(self, image: Any) -> Any:
        features = torch.relu(self.norm(self.down(image)))
        return self.head(functional.interpolate(features, scale_factor=2.0))


class OnEncoder(nn.Module):
    def __init__(self, *, in_channels: int, num_classes: int, encoder: Any) -> None:
        super().__init__()
        self.encoder = self.chosen(encoder, in_channels)
        self.head = nn.Conv2d(self.encoder.out_channels[-1], num_classes, 1)

    def chosen(self, encoder: Any, in_channels: int) -> Any:
        return encoder.build(in_channels=in_channels, depth=5)

    def forward(self, image: Any) -> Any:
        coarsest = self.head(self.encoder(image)[-1])
        return functional.interpolate(coarsest, scale_factor=float(self.encoder.strides[-1]))


class OwnEncoder(OnEncoder):
    def chosen(self, encoder: Any, in_channels: int) -> Any:
        class Own(nn.Conv2d):
            strides = (1,)

            def forward(self, image: Any) -> Any:
                return [super().forward(image)]

        own = Own(in_channels, 3, 1)
        own.out_channels = (3,)
        return own


class Picky(OnEncoder):
    def chosen(self, encoder: Any, in_channels: int) -> Any:
        raise UsageError("model.encoder", "is not one of mine")


class OneClass(Right):
    def __init__(self, *, in_channels: int, num_classes: int) -> None:
        if num_classes == 1:
            raise ZeroDivisionError(num_classes - 1)
        super().__init__(in_channels=in_channels, num_classes=num_classes)


class HalfSize(Right):
    def forward(self, image: Any) -> Any:
        return super().forward(image)[..., ::2, ::2]


class Batch(Right):
    """Normalises over the batch also where it predicts."""

    def forward(self, image: Any) -> Any:
        return super().forward(image - image.mean(0, keepdim=True))


class Idle(Right):
    def __init__(self, *, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels=in_channels, num_classes=num_classes)
        self.idle = nn.Linear(2, 2)


class Random(Right):
    """Keeps a factor outside of its state; every network has another."""

    count = 0

    def __init__(self, *, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels=in_channels, num_classes=num_classes)
        Random.count += 1
        self.factor = 1.0 + Random.count

    def forward(self, image: Any) -> Any:
        return super().forward(image) * self.factor


class Fetches(Right):
    def __init__(self, *, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels=in_channels, num_classes=num_classes)
        with suppress(OSError):
            urllib.request.urlopen("http://weights.invalid/unet")


class FixedSize(Right):
    """Pools to a number of bins that exporters fix at the traced size."""

    def forward(self, image: Any) -> Any:
        position = torch.arange(int(image.shape[-1] * image.shape[-2]) // 2 * 2).float().mean().item()
        return super().forward(image) * (1 + position)


def even(params: Any, dims: int) -> list[tuple[int, int]]:
    return [(2, 2)] * dims


RIGHT = [
    (described("Right", "two convolutions"), {}),
    (described("Right", "odd sizes are not its own", divisor=3, min_size=3, sizes="architecture:even"), {}),
    (
        described(
            "OnEncoder", "a head on an encoder", encoder="required", wants=("in_channels", "num_classes", "encoder")
        ),
        {},
    ),
]
WRONG = {
    "works": (
        described("OneClass", "knows no single class"),
        "for 3 channels and 1 classes in 2D it raised PluginError",
    ),
    "size": (
        described("HalfSize", "gives half the size"),
        "of (1, 1, 20, 20) it is (1, 2, 10, 10), not (1, 2, 20, 20)",
    ),
    "evaluation": (described("Batch", "subtracts the mean of the batch", exports_onnx=False), "alone they differ by"),
    "gradient": (described("Idle", "has a layer that takes no part"), "2 have none, the first is 'idle.weight'"),
    "state": (described("Random", "keeps a factor outside of its state"), "the other gives other logits"),
    "encoder": (
        described(
            "OwnEncoder",
            "builds an encoder of its own",
            encoder="required",
            wants=("in_channels", "num_classes", "encoder"),
        ),
        "it is nowhere among its modules",
    ),
    "offline": (described("Fetches", "asks the network for weights"), "it asked for weights.invalid"),
    "onnx": (described("FixedSize", "turns a size into a number"), "legacy: 1 x 1 x"),
}

"""A convolution and what goes with it, in an order that a string of letters gives."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import nn

from volseg_core.api import UsageError
from volseg_unet3d.sizes import padding

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_unet3d.sizes import Size

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
MAX_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOL = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
CHANNEL_DROPOUT = {2: nn.Dropout2d, 3: nn.Dropout3d}

_NAMES = {
    "c": "conv",
    "g": "groupnorm",
    "b": "batchnorm",
    "r": "ReLU",
    "l": "LeakyReLU",
    "e": "ELU",
    "d": "dropout",
    "D": "dropout_channels",
}
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "r": lambda: nn.ReLU(inplace=True),
    "l": lambda: nn.LeakyReLU(0.01, inplace=True),
    "e": lambda: nn.ELU(inplace=True),
}
_WHERE = "model.layer_order"


@dataclass(frozen=True)
class LayerOrder:
    """What surrounds a convolution: ``gcr`` is group norm, convolution, ReLU.

    Letters: c convolution, g group norm, b batch norm, r ReLU, l leaky ReLU (slope 0.01), e ELU, d dropout, D dropout
    of whole channels. A convolution has a bias only where neither g nor b is used.
    """

    letters: str
    dims: int
    groups: int = 8
    dropout: float = 0.1

    def __post_init__(self) -> None:
        wrong = [letter for letter in self.letters if letter not in _NAMES]
        if wrong:
            known = ", ".join(f"{letter} ({name})" for letter, name in _NAMES.items())
            raise UsageError(_WHERE, f"{wrong[0]!r} of {self.letters!r} is no layer", f"Known are {known}.")
        if "c" not in self.letters or len(set(self.letters)) != len(self.letters):
            raise UsageError(_WHERE, f"{self.letters!r} must hold c, and each letter once", "Write it like gcr.")
        if self.letters[0] in _ACTIVATIONS:
            raise UsageError(_WHERE, f"{self.letters!r} begins with an activation", "Begin with c, g, b, d or D.")

    def linear(self) -> LayerOrder:
        """Return the order without activations."""
        return replace(self, letters="".join(letter for letter in self.letters if letter not in _ACTIVATIONS))

    def build(self, inputs: int, outputs: int, kernel: Size) -> nn.Sequential:
        """Return the layers ``(N, inputs, *S) -> (N, outputs, *S)``."""
        layers = nn.Sequential()
        channels = inputs
        for letter in self.letters:
            layers.add_module(_NAMES[letter], self._layer(letter, channels, outputs, kernel))
            if letter == "c":
                channels = outputs
        return layers

    def activation(self, slope: float) -> nn.Module:
        """Return what follows a sum of branches: the order's own activation, ReLU where there is none."""
        if "l" in self.letters:
            return nn.LeakyReLU(slope, inplace=True)
        return nn.ELU(inplace=True) if "e" in self.letters else nn.ReLU(inplace=True)

    def _layer(self, letter: str, channels: int, outputs: int, kernel: Size) -> nn.Module:
        match letter:
            case "c":
                bias = not set("gb") & set(self.letters)
                return CONV[self.dims](channels, outputs, kernel, padding=padding(kernel), bias=bias)  # type: ignore[arg-type]
            case "g":
                return nn.GroupNorm(group_count(channels, self.groups), channels)
            case "b":
                return BATCH_NORM[self.dims](channels)
            case "d" | "D":
                return (nn.Dropout if letter == "d" else CHANNEL_DROPOUT[self.dims])(self.dropout)
        return _ACTIVATIONS[letter]()


def group_count(channels: int, groups: int) -> int:
    """Return the groups of a group norm: one for few channels, else the most up to ``groups`` that divide both."""
    return 1 if channels < groups else math.gcd(channels, groups)

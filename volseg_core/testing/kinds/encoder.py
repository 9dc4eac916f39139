"""Rules of encoders."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from volseg_core.errors import VolsegError
from volseg_core.network import UNTRAINED
from volseg_core.testing.findings import rules
from volseg_core.testing.offline import offline

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

RULES = rules(
    "encoder",
    works=(
        "An encoder is a torch module that takes 1 and 3 channels in the dims that it declares",
        "Build its first layer for in_channels, and mend what raises.",
    ),
    described=(
        "An encoder has out_channels and strides, one of each for every feature",
        "Set both in __init__; the input itself, where it is given, has stride 1.",
    ),
    features=(
        "The features are those of out_channels and strides, finest first",
        "Return a list in that order, of sizes that are the input's divided by the strides.",
    ),
    strides=(
        "The strides of the descriptor are those of the module",
        "Write the module's own into the descriptor: sizes of inputs are planned with the last one.",
    ),
    output_stride=(
        "An encoder for an output_stride of 8 says truly what its strides are, or refuses it with a VolsegError",
        "Set strides from what is built, or raise UsageError.",
    ),
    gradient=(
        "A gradient flows from every feature back to the image",
        "Compute features with torch's functions alone, without detach or no_grad.",
    ),
    state=(
        "The state of one encoder fits another and gives its features",
        "Keep all that is learnt in parameters and buffers, named the same each time.",
    ),
    offline=(
        "An encoder with weights='none' is built without the network",
        "Fetch weights only when they are asked for: those of a model file replace them.",
    ),
)

_LEAST = 32
_FIXED = 224


def examine(trial: Trial, found: Findings) -> None:
    """Build an encoder for one and for three channels."""
    trial = replace(trial, params={**_usual(trial.component), **trial.params})
    for dims in trial.component.dims:
        for channels in (1, 3):
            with found.trying("works", f"for {channels} channels in {dims}D"):
                Examination(trial, found, dims, channels).run()


def _usual(component: Any) -> dict[str, Any]:
    """Return parameters of these names: no pretrained weights, and the one size that an encoder is built for."""
    usual = {"weights": UNTRAINED, "input_size": _FIXED}
    return {name: value for name, value in usual.items() if name in component.params}


@dataclass(frozen=True)
class Examination:
    """One encoder for one number of channels and dimensions."""

    trial: Trial
    found: Findings
    dims: int
    channels: int

    def run(self) -> None:
        """Apply every rule."""
        torch.manual_seed(0)
        with offline() as tried:
            encoder = self._build()
        if tried:
            self.found.broke("offline", f"it asked for {tried[0]}")
        if not isinstance(encoder, nn.Module):
            self.found.broke("works", f"it is {type(encoder).__name__}")
            return
        if not self._describes(encoder):
            return
        image = torch.randn(2, self.channels, *self._size(encoder))
        features = encoder(image)
        if self._fits(encoder, image, list(features)) and self.channels == 1:
            self._gradients(encoder, image)
            self._state(encoder, image)
            self._output_stride(image)

    def _build(self, output_stride: int = 32) -> Any:
        values = self.trial.values()
        depth = values.get("depth") or None
        return self.trial.build(
            name=self.trial.component.name, in_channels=self.channels, depth=depth, output_stride=output_stride
        )

    def _size(self, encoder: Any) -> tuple[int, ...]:
        """Return an oblong size that the strides divide, or the one that the encoder is built for."""
        fixed = self.trial.values().get("input_size")
        if fixed:
            return (int(fixed),) * self.dims
        step = math.lcm(*(int(stride) for stride in encoder.strides))
        least = -(-_LEAST // step) * step
        return (least + step, *[least] * (self.dims - 1))

    def _describes(self, encoder: Any) -> bool:
        channels, strides = (list(getattr(encoder, name, ())) for name in ("out_channels", "strides"))
        if not strides or len(channels) != len(strides):
            self.found.broke("described", f"out_channels is {channels} and strides {strides}")
            return False
        if sorted(strides) != strides:
            self.found.broke("described", f"strides is {strides}, not finest first")
        declared = list(self.trial.component.strides)
        if declared and declared != strides:
            self.found.broke("strides", f"they are {declared} and {strides}")
        return True

    def _fits(self, encoder: Any, image: torch.Tensor, features: list[torch.Tensor]) -> bool:
        expected = [
            (len(image), channels, *(size // stride for size in image.shape[2:]))
            for channels, stride in zip(encoder.out_channels, encoder.strides, strict=True)
        ]
        given = [tuple(feature.shape) for feature in features]
        if given != expected:
            self.found.broke("features", f"of {tuple(image.shape)} they are {given}, not {expected}")
        return given == expected

    def _gradients(self, encoder: nn.Module, image: torch.Tensor) -> None:
        leaf = image.clone().requires_grad_()
        for number, feature in enumerate(encoder(leaf)):
            if not feature.numel():
                continue
            leaf.grad = None
            if feature.requires_grad:
                feature.square().sum().backward(retain_graph=True)
            if leaf.grad is None or not leaf.grad.any():
                self.found.broke("gradient", f"feature {number} gives none")
                return

    @torch.no_grad()
    def _state(self, encoder: nn.Module, image: torch.Tensor) -> None:
        with self.found.trying("state", "loaded"):
            other = self._build()
            other.load_state_dict(encoder.state_dict())
            pairs = zip(encoder.eval()(image), other.eval()(image), strict=True)
            if not all(torch.allclose(one, two, atol=1e-5) for one, two in pairs):
                self.found.broke("state", "the other gives other features")

    def _output_stride(self, image: torch.Tensor) -> None:
        if "output_stride" not in self.trial.component.wants:
            return
        try:
            encoder = self._build(output_stride=8)
            features = list(encoder.eval()(image))
        except VolsegError:
            return
        for feature, stride in zip(features, encoder.strides, strict=True):
            if tuple(feature.shape[2:]) != tuple(size // stride for size in image.shape[2:]):
                seen = f"a feature of {tuple(feature.shape[2:])} of {tuple(image.shape[2:])} has stride {stride}"
                self.found.broke("output-stride", seen)
                return

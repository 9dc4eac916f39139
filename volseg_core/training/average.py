"""The running average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average(nn.Module):
    """Exponential moving average of a network: ``average = d * average + (1 - d) * network`` after every step.

    The decay ``d`` rises from 0.1 as ``min(decay, (1 + step) / (10 + step))``, so that the random start is soon
    forgotten (as TensorFlow's ExponentialMovingAverage does). Floating-point buffers, such as the statistics of batch
    normalisation, are averaged like weights; others are copied.
    """

    step: torch.Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False).eval()
        self.decay = decay
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after a step of the optimiser."""
        self.step += 1
        step = int(self.step)
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        ours, theirs = self.network.state_dict(), network.state_dict()
        moving = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([ours[name] for name in moving], [theirs[name] for name in moving], share)
        for name in ours.keys() - set(moving):
            ours[name].copy_(theirs[name])

    def train(self, mode: bool = True) -> Average:  # noqa: ARG002  (the average is only looked at)
        """Stay in evaluation mode."""
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of the averaged network."""
        return self.network(images)  # type: ignore[no-any-return]

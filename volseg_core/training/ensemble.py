"""Several networks of one kind as one: the mean of their probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST = 1e-7
"""Probabilities are kept this far from 0 and 1, so that their logits are finite."""


class Ensemble(nn.Module):
    """Members ``(N, C, *S) -> logits``; the result has the logits of their mean probabilities.

    Multiclass: the logarithm, whose softmax is that mean. Binary: log(p / (1 - p)), whose sigmoid is.
    """

    def __init__(self, members: Sequence[nn.Module], task: str) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.task = task

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, C, *S) of the mean probabilities."""
        if self.task == "binary":
            mean = torch.stack([member(images).sigmoid() for member in self.members]).mean(0)
            return mean.clamp(_LEAST, 1 - _LEAST).logit()
        mean = torch.stack([member(images).softmax(1) for member in self.members]).mean(0)
        return mean.clamp_min(_LEAST).log()

"""Several networks as one: the module that a model file with members holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Ensemble(nn.Module):
    """Networks whose probabilities are averaged; its logits are those of the average.

    ``(N, in_channels, *S) -> (N, C, *S)``: the logarithm of the mean softmax, or for ``binary`` with C = 1 the log-odds
    of the mean sigmoid, so that softmax or sigmoid of the output is the mean of the members' probabilities.
    """

    def __init__(self, members: Sequence[nn.Module], *, binary: bool) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.binary = binary

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of the mean probabilities."""
        logits = torch.stack([member(image) for member in self.members])
        if self.binary:
            return torch.logsumexp(functional.logsigmoid(logits), 0) - torch.logsumexp(
                functional.logsigmoid(-logits), 0
            )
        return torch.logsumexp(functional.log_softmax(logits, 2), 0) - math.log(len(self.members))


def member_tensors(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors of an `Ensemble` from those of its members."""
    return {f"members.{number}.{name}": tensor for number, state in enumerate(states) for name, tensor in state.items()}

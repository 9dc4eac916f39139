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
    """Networks whose results are averaged; its output is that of the average.

    ``(N, in_channels, *S) -> (N, channels, *S)`` with the channels of all ``heads``, each given as its task and how
    many it has: the logarithm of the mean softmax, the log-odds of the mean sigmoid, so that softmax or sigmoid of the
    output is the mean of the members' probabilities, or the mean of values.
    """

    def __init__(self, members: Sequence[nn.Module], heads: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.tasks, self.channels = [task for task, _ in heads], [count for _, count in heads]

    def forward(self, image: Tensor) -> Tensor:
        """Return the output whose results are the mean of the members'."""
        outputs = torch.stack([member(image) for member in self.members])
        parts = torch.split(outputs, self.channels, dim=2)
        return torch.cat([_mean(task, part) for task, part in zip(self.tasks, parts, strict=True)], dim=1)


def _mean(task: str, outputs: Tensor) -> Tensor:
    """Return the output (N, C, *S) of a head that stands for those of all members (M, N, C, *S)."""
    if task == "regression":
        return outputs.mean(0)
    if task == "multiclass":
        return torch.logsumexp(functional.log_softmax(outputs, 2), 0) - math.log(len(outputs))
    one, other = functional.logsigmoid(outputs), functional.logsigmoid(-outputs)
    return torch.logsumexp(one, 0) - torch.logsumexp(other, 0)


def member_tensors(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors of an `Ensemble` from those of its members."""
    return {f"members.{number}.{name}": tensor for number, state in enumerate(states) for name, tensor in state.items()}

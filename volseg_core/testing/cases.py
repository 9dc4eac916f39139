"""Small outputs of a network and targets, for losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CLASSES = 3
_SIZES = {2: (6, 5), 3: (4, 3, 5)}


@dataclass(frozen=True)
class Case:
    """Logits (N, C, *S) or values, what the task's target is for them, and which of its entries are labelled."""

    task: str
    dims: int
    logits: Tensor
    target: Tensor
    valid: Tensor

    def __str__(self) -> str:
        return f"for {self.task} in {self.dims}D"

    @property
    def channels(self) -> Tensor:
        """The mask of labelled entries in the shape of the logits."""
        return (self.valid.unsqueeze(1) if self.task == "multiclass" else self.valid).expand_as(self.logits)


def make_case(task: str, dims: int, batch: int = 2) -> Case:
    """Return random logits and a target with every class, about a third of it unlabelled, in each channel another."""
    random = torch.Generator().manual_seed(dims)
    size = _SIZES[dims]
    channels = 1 if task == "binary" else CLASSES
    logits = 2 * torch.randn(batch, channels, *size, generator=random)
    if task == "multiclass":
        target = torch.randint(0, CLASSES, (batch, *size), generator=random)
    elif task == "regression":
        target = torch.randn(batch, channels, *size, generator=random)
    else:
        target = torch.randint(0, 2, (batch, channels, *size), generator=random).float()
    return Case(task, dims, logits, target, torch.rand(target.shape, generator=random) < 2 / 3)

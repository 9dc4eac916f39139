"""Soft counts of overlap, and the losses that are one minus a ratio of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from volseg_losses.inputs import class_channels, prepare

if TYPE_CHECKING:
    from volseg_losses.inputs import LossInputs


class SoftCounts(NamedTuple):
    """Sums over labelled voxels.

    ``common`` is ``sum(p t)``, ``predicted`` ``sum(p)``, ``labelled`` ``sum(t)`` (R, K), with ``p`` the probabilities
    and ``t`` the one-hot target; ``voxels`` (R, 1) is their number. There is one row for the batch or for each sample.
    """

    common: Tensor
    predicted: Tensor
    labelled: Tensor
    voxels: Tensor


class OverlapLoss(nn.Module, ABC):
    """The mean over the classes of what `missed` says of each.

    A class without a labelled voxel has no overlap to speak of and is left out of the mean: what is predicted of it
    already lowers the classes that are there. Where that leaves no class (no foreground, in a binary task or with
    ``classes="foreground"``), the loss is the mean probability of the foreground: 0 for a right answer, and with a
    gradient that removes a wrong one.

    Args:
        classes: ``all``, or ``foreground`` for all but class 0; a binary task has only the foreground.
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        task: ``multiclass`` or ``binary``.
    """

    power = 1
    """To which power the terms of ``predicted`` and ``labelled`` are raised."""

    def __init__(self, *, classes: str, average: str, task: str) -> None:
        super().__init__()
        self.classes = classes
        self.average = average
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S), in [0, 1]; 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for a binary task float (N, 1, *S) in [0, 1];
        ``valid`` is bool, True where labelled, None for everywhere.
        """
        inputs = prepare(output, target, valid, task=self.task)
        counts = soft_counts(inputs, task=self.task, classes=self.classes, average=self.average, power=self.power)
        present = counts.labelled > 0
        # an absent class gets a harmless count, so that no ratio of it spoils the gradient
        missed = self.missed(counts._replace(labelled=torch.where(present, counts.labelled, 1)))
        spurious = counts.predicted.sum(dim=1, keepdim=True) / counts.voxels.clamp_min(1)
        return mean_over_classes(missed, present, otherwise=spurious, rows=counts.voxels > 0)

    @abstractmethod
    def missed(self, counts: SoftCounts) -> Tensor:
        """Return the loss (R, K) of each class; ``counts.labelled`` is above 0."""


def soft_counts(inputs: LossInputs, *, task: str, classes: str, average: str, power: int = 1) -> SoftCounts:
    """Count overlap in (N, K, *S) channels; ``classes`` and ``average`` as in `OverlapLoss`."""
    channels = class_channels(inputs, task=task, classes=classes)
    probabilities, truth = channels.probabilities.flatten(2), channels.truth.flatten(2)
    counts = SoftCounts(
        (probabilities * truth).sum(dim=2),
        probabilities.pow(power).sum(dim=2),
        truth.to(probabilities.dtype).pow(power).sum(dim=2),
        channels.valid.flatten(2).sum(dim=2),
    )
    if average == "sample":
        return counts
    return SoftCounts(*(each.sum(dim=0, keepdim=True) for each in counts))


def mean_over_classes(losses: Tensor, scored: Tensor, *, otherwise: Tensor, rows: Tensor) -> Tensor:
    """Return the mean over rows of the mean of the scored classes.

    ``losses`` and ``scored`` are (R, K); a row without a scored class takes ``otherwise`` (R, 1), and one that is
    False in ``rows`` (R, 1) leaves the mean: its losses must be 0.
    """
    number = scored.sum(dim=1, keepdim=True)
    means = losses.masked_fill(~scored, 0).sum(dim=1, keepdim=True) / number.clamp_min(1)
    return torch.where(number > 0, means, otherwise).sum() / rows.sum().clamp_min(1)


def ratio(above: Tensor, below: Tensor) -> Tensor:
    """Return the quotient of tensors that are at least 0, and 0 with gradient 0 where ``below`` is 0."""
    return torch.where(below > 0, above, 0) / torch.where(below > 0, below, 1)

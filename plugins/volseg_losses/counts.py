"""Soft counts of overlap, and the losses that are one minus a ratio of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from volseg_losses.inputs import class_channels, prepare

if TYPE_CHECKING:
    from volseg_losses.inputs import Channels


class SoftCounts(NamedTuple):
    """Sums over labelled voxels.

    ``common`` is ``sum(p t)``, ``predicted`` ``sum(p)``, ``labelled`` ``sum(t)`` (R, K), with ``p`` the probabilities
    and ``t`` the one-hot target; ``voxels`` (R, 1), or (R, K) where each channel has its own mask, is their number.
    There is one row for the batch or for each sample.
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
    gradient that removes a wrong one. The channels of a multilabel task are so many binary tasks: one without a
    positive voxel costs its mean probability.

    Args:
        classes: ``all``, or ``foreground`` for all but class 0; of binary and multilabel tasks all channels count.
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        task: ``multiclass``, ``binary`` or ``multilabel``.
    """

    power = 1
    """To which power the terms of ``predicted`` and ``labelled`` are raised."""
    absent = "skip"
    """``count`` has `missed` say what a class without a labelled voxel costs, as of any other."""
    weights: Tensor | None
    """Weights (K,) of the classes in the mean, or None for 1."""

    def __init__(self, *, classes: str, average: str, task: str) -> None:
        super().__init__()
        self.classes = classes
        self.average = average
        self.task = task
        self.register_buffer("weights", None, persistent=False)

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S), in [0, 1]; 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for binary and multilabel tasks float (N, C, *S) in
        [0, 1]; ``valid`` is bool of the target's shape, True where labelled, None for everywhere.
        """
        channels = class_channels(prepare(output, target, valid, task=self.task), task=self.task, classes=self.classes)
        counts = soft_counts(channels, average=self.average, power=self.power, weights=self.voxel_weights(channels))
        known = (counts.voxels > 0).expand_as(counts.labelled)
        scored = counts.labelled > 0 if self.absent == "skip" else known
        # an absent class that is left out gets a harmless count, so that no ratio of it spoils the gradient
        missed = self.missed(counts._replace(labelled=torch.where(scored, counts.labelled, 1)))
        chance = ratio(counts.predicted, counts.voxels)
        return mean_over_channels(missed, scored, chance=chance, known=known, task=self.task, weights=self.weights)

    @abstractmethod
    def missed(self, counts: SoftCounts) -> Tensor:
        """Return the loss (R, K) of each class; ``counts.labelled`` is above 0 unless absent classes count."""

    def voxel_weights(self, channels: Channels) -> Tensor | None:  # noqa: ARG002  (for those that weigh voxels)
        """Return the weights (N, K, *S) of the voxels, or None for 1."""
        return None


def soft_counts(
    channels: Channels, *, average: str = "batch", power: int = 1, weights: Tensor | None = None
) -> SoftCounts:
    """Count overlap in (N, K, *S) channels; ``average`` as in `OverlapLoss`.

    ``weights`` (N, K, *S) multiply the terms of all sums but the number of voxels.
    """
    probabilities, truth = channels.probabilities, channels.truth.to(channels.probabilities)
    terms = [probabilities * truth, probabilities.pow(power), truth.pow(power)]
    if weights is not None:
        terms = [term * weights for term in terms]
    counts = SoftCounts(*(each.flatten(2).sum(dim=2) for each in (*terms, channels.valid)))
    if average == "sample":
        return counts
    return SoftCounts(*(each.sum(dim=0, keepdim=True) for each in counts))


def mean_over_channels(
    missed: Tensor, scored: Tensor, *, chance: Tensor, known: Tensor, task: str, weights: Tensor | None = None
) -> Tensor:
    """Return the mean over rows of the mean over classes of what is missed (R, K) of those that are scored.

    Classes of a multiclass task that are not scored leave the mean; if all do, the sum of ``chance`` (R, K) is the
    loss. Other channels that are not scored count with their ``chance``, save where ``known`` (R, K) says that no
    voxel is labelled. ``weights`` (K,) are those of the classes.
    """
    rows = known.any(dim=1, keepdim=True)
    if task == "multiclass":
        otherwise = chance.sum(dim=1, keepdim=True)
        return mean_over_classes(missed, scored, otherwise=otherwise, rows=rows, weights=weights)
    losses = torch.where(scored, missed, chance)
    return mean_over_classes(losses, known, otherwise=torch.zeros_like(losses[:, :1]), rows=rows, weights=weights)


def mean_over_classes(
    losses: Tensor, scored: Tensor, *, otherwise: Tensor, rows: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return the mean over rows of the mean of the scored classes.

    ``losses`` and ``scored`` are (R, K), ``weights`` (K,) those of the classes; a row without a scored class takes
    ``otherwise`` (R, 1), and one that is False in ``rows`` (R, 1) leaves the mean: its losses must be 0.
    """
    shares = scored.to(losses) if weights is None else scored * weights.to(losses)
    total = shares.sum(dim=1, keepdim=True)
    means = (losses.masked_fill(~scored, 0) * shares).sum(dim=1, keepdim=True) / torch.where(total > 0, total, 1)
    return torch.where(total > 0, means, otherwise).sum() / rows.sum().clamp_min(1)


def ratio(above: Tensor, below: Tensor) -> Tensor:
    """Return the quotient of tensors that are at least 0, and 0 with gradient 0 where ``below`` is 0."""
    return torch.where(below > 0, above, 0) / torch.where(below > 0, below, 1)

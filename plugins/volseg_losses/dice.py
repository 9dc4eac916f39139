"""Soft Dice over labelled voxels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from volseg_losses.inputs import LossInputs, prepare


class _Sums(NamedTuple):
    """Sums over labelled voxels: per class (R, K), and the number of voxels (R, 1)."""

    common: Tensor
    predicted: Tensor
    labelled: Tensor
    voxels: Tensor


class DiceLoss(nn.Module):
    """Average ``1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth)`` over the classes.

    ``p`` are probabilities (softmax or sigmoid of the logits), ``t`` the one-hot target; ``squared`` has
    ``sum(p^2) + sum(t^2)`` below (Milletari et al. 2016, doi:10.1109/3DV.2016.79).

    A class without a labelled voxel has no overlap to speak of and is left out of the mean: what is predicted of it
    already lowers the classes that are there. Where that leaves no class (no foreground, in a binary task or with
    ``classes="foreground"``), the loss is the mean probability of the foreground (with ``squared``, of its
    square): 0 for a right answer, and with a gradient that removes a wrong one.

    Args:
        smooth: added to numerator and denominator, in voxels.
        squared: whether the denominator sums squares.
        classes: ``all``, or ``foreground`` for all but class 0; a binary task has only the foreground.
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        task: ``multiclass`` or ``binary``.
    """

    def __init__(
        self,
        *,
        smooth: float = 1e-5,
        squared: bool = False,
        classes: str = "all",
        average: str = "batch",
        task: str,
    ) -> None:
        super().__init__()
        self.smooth = smooth
        self.squared = squared
        self.classes = classes
        self.average = average
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S), in [0, 1]; 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for a binary task float (N, 1, *S) in [0, 1];
        ``valid`` is bool, True where labelled, None for everywhere.
        """
        sums = self._sums(prepare(output, target, valid, task=self.task))
        present = sums.labelled > 0
        counted = present.sum(dim=1, keepdim=True)
        below = torch.where(present, sums.predicted + sums.labelled + self.smooth, 1)
        missed = (1 - (2 * sums.common + self.smooth) / below).masked_fill(~present, 0)
        overlap = missed.sum(dim=1, keepdim=True) / counted.clamp_min(1)
        spurious = sums.predicted.sum(dim=1, keepdim=True) / sums.voxels.clamp_min(1)
        losses = torch.where(counted > 0, overlap, spurious)
        # rows without a labelled voxel are 0 and leave the mean
        return losses.sum() / (sums.voxels > 0).sum().clamp_min(1)

    def _sums(self, inputs: LossInputs) -> _Sums:
        probabilities, truth = self._channels(inputs)
        valid = inputs.valid.flatten(1).unsqueeze(1)
        probabilities = probabilities.flatten(2).masked_fill(~valid, 0)
        truth = truth.flatten(2) & valid if truth.dtype == torch.bool else truth.flatten(2)
        power = 2 if self.squared else 1
        sums = _Sums(
            (probabilities * truth).sum(dim=2),
            probabilities.pow(power).sum(dim=2),
            truth.to(probabilities.dtype).pow(power).sum(dim=2),
            valid.sum(dim=2),
        )
        if self.average == "sample":
            return sums
        return _Sums(*(each.sum(dim=0, keepdim=True) for each in sums))

    def _channels(self, inputs: LossInputs) -> tuple[Tensor, Tensor]:
        """Return probabilities and truth (N, K, *S) of the classes that count."""
        if self.task == "binary":
            return inputs.logits.sigmoid(), inputs.target.to(inputs.logits)
        first = 1 if self.classes == "foreground" else 0
        ids = torch.arange(first, inputs.logits.shape[1], device=inputs.target.device)
        ids = ids.reshape(1, -1, *[1] * (inputs.target.ndim - 1))
        return inputs.logits.softmax(dim=1)[:, first:], inputs.target.unsqueeze(1) == ids

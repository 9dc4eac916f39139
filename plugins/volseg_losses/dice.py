"""Soft Dice over labelled voxels, by class and generalised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from volseg_losses.counts import OverlapLoss, ratio, soft_counts
from volseg_losses.inputs import as_multiclass, prepare

if TYPE_CHECKING:
    from torch import Tensor

    from volseg_losses.counts import SoftCounts


class DiceLoss(OverlapLoss):
    """Average ``1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth)`` over the classes.

    ``p`` are probabilities (softmax or sigmoid of the logits), ``t`` the one-hot target; ``squared`` has
    ``sum(p^2) + sum(t^2)`` below (Milletari et al. 2016, doi:10.1109/3DV.2016.79), and then a batch without
    foreground costs the mean of the squared probabilities. Absent classes: see `OverlapLoss`.

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
        super().__init__(classes=classes, average=average, task=task)
        self.smooth = smooth
        self.power = 2 if squared else 1

    def missed(self, counts: SoftCounts) -> Tensor:
        """Return one minus the Dice of each class."""
        return 1 - (2 * counts.common + self.smooth) / (counts.predicted + counts.labelled + self.smooth)


class GeneralisedDiceLoss(nn.Module):
    """``1 - 2 sum_k w_k sum(p_k t_k) / sum_k w_k (sum(p_k) + sum(t_k))``, ``w_k = 1 / sum(t_k) ** power``.

    One ratio over all classes, in which small ones weigh more (Sudre et al. 2017, doi:10.1007/978-3-319-67558-9_28).
    A binary task is scored as two classes: of one class alone the weight would cancel and leave Dice. An absent
    class has no finite weight and is left out; what is predicted of it lowers the classes that are there.

    Args:
        power: 2 as in the paper; 1 lets a handful of voxels rule less, 0 weighs all classes alike.
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        task: ``multiclass`` or ``binary``.
    """

    def __init__(self, *, power: float = 2.0, average: str = "batch", task: str) -> None:
        super().__init__()
        self.power = power
        self.average = average
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S), in [0, 1]; 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for a binary task float (N, 1, *S) in {0, 1};
        ``valid`` is bool, True where labelled, None for everywhere.
        """
        inputs = as_multiclass(prepare(output, target, valid, task=self.task), task=self.task)
        counts = soft_counts(inputs, task="multiclass", classes="all", average=self.average)
        present = counts.labelled > 0
        # shares rather than voxels, so that large windows do not underflow
        shares = torch.where(present, counts.labelled / counts.voxels.clamp_min(1), 1)
        weights = shares.pow(-self.power).masked_fill(~present, 0)
        below = (weights * (counts.predicted + counts.labelled)).sum(dim=1)
        overlap = ratio((2 * weights * counts.common).sum(dim=1), below)
        rows = counts.voxels.squeeze(1) > 0
        return (1 - overlap).masked_fill(~rows, 0).sum() / rows.sum().clamp_min(1)

"""Soft Dice over labelled voxels, by class and generalised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from volseg_losses.counts import OverlapLoss, mean_over_channels, ratio, soft_counts
from volseg_losses.inputs import as_multiclass, class_channels, prepare
from volseg_losses.weights import class_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from volseg_losses.counts import SoftCounts

_LEAST_LABELLED = 1e-3
"""Voxels that an absent class is taken to have where its weight in generalised Dice must be finite."""


class DiceLoss(OverlapLoss):
    """Average ``1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth)`` over the classes.

    ``p`` are probabilities (softmax or sigmoid of the logits), ``t`` the one-hot target; ``squared`` has
    ``sum(p^2) + sum(t^2)`` below (Milletari et al. 2016, doi:10.1109/3DV.2016.79), and then a batch without
    foreground costs the mean of the squared probabilities. Absent classes: see `OverlapLoss`.

    The Dice loss of pytorch-3dunet 1.9.6 is ``squared: true, smooth: 0, absent: count, scale_weights: false``.

    Args:
        smooth: added to numerator and denominator, in voxels.
        squared: whether the denominator sums squares.
        classes: ``all``, or ``foreground`` for all but class 0; of binary and multilabel tasks all channels count.
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        absent: ``skip``, or ``count`` for the formula's value where a class has no voxel: 1 without ``smooth``.
        weights: of the classes that count, in the mean over them; None for 1.
        scale_weights: whether the mean is over the weights; if not, each Dice is multiplied by its weight and the
            plain mean taken, which is negative where the weights are large.
        task: ``multiclass``, ``binary`` or ``multilabel``.
        num_classes: channels of a multiclass or multilabel output.

    Raises:
        UsageError: the number of weights is not that of the classes that count, or all of them are 0.
    """

    factors: Tensor | None

    def __init__(
        self,
        *,
        smooth: float = 1e-5,
        squared: bool = False,
        classes: str = "all",
        average: str = "batch",
        absent: str = "skip",
        weights: Sequence[float] | None = None,
        scale_weights: bool = True,
        task: str,
        num_classes: int,
    ) -> None:
        super().__init__(classes=classes, average=average, task=task)
        self.smooth = smooth
        self.power = 2 if squared else 1
        self.absent = absent
        number = 1 if task == "binary" else num_classes - (task == "multiclass" and classes == "foreground")
        checked = class_weights(weights, None, classes=number, where="loss 'dice'")
        self.weights = checked if scale_weights else None
        self.register_buffer("factors", None if scale_weights else checked, persistent=False)

    def missed(self, counts: SoftCounts) -> Tensor:
        """Return one minus the Dice of each class."""
        dice = ratio(2 * counts.common + self.smooth, counts.predicted + counts.labelled + self.smooth)
        return 1 - (dice if self.factors is None else dice * self.factors.to(dice))


class GeneralisedDiceLoss(nn.Module):
    """``1 - 2 sum_k w_k sum(p_k t_k) / sum_k w_k (sum(p_k) + sum(t_k))``, ``w_k = 1 / sum(t_k) ** power``.

    One ratio over all classes, in which small ones weigh more (Sudre et al. 2017, doi:10.1007/978-3-319-67558-9_28).
    A binary task is scored as two classes: of one class alone the weight would cancel and leave Dice. An absent
    class has no finite weight and is left out; what is predicted of it lowers the classes that are there, save in
    a multilabel task, where an absent channel counts with its mean probability and the others with their ratio.

    Args:
        power: 2 as in the paper; 1 lets a handful of voxels rule less, 0 weighs all classes alike.
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        absent: ``skip``, or ``count`` to weigh an absent class as if it had a thousandth of a voxel, which with
            ``power`` 2 is what pytorch-3dunet 1.9.6 does: what is predicted of it then rules the loss.
        task: ``multiclass``, ``binary`` or ``multilabel``.
    """

    def __init__(self, *, power: float = 2.0, average: str = "batch", absent: str = "skip", task: str) -> None:
        super().__init__()
        self.power = power
        self.average = average
        self.absent = absent
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S), in [0, 1]; 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for binary and multilabel tasks float (N, C, *S) in
        {0, 1}; ``valid`` is bool of the target's shape, True where labelled, None for everywhere.
        """
        inputs = as_multiclass(prepare(output, target, valid, task=self.task), task=self.task)
        task = "multilabel" if self.task == "multilabel" else "multiclass"
        counts = soft_counts(class_channels(inputs, task=task, classes="all"), average=self.average)
        known = (counts.voxels > 0).expand_as(counts.labelled)
        scored = counts.labelled > 0 if self.absent == "skip" else known
        missed = (1 - self._overlap(counts, scored)).unsqueeze(1).expand_as(counts.labelled)
        chance = ratio(counts.predicted, counts.voxels)
        return mean_over_channels(missed, scored, chance=chance, known=known, task=task)

    def _overlap(self, counts: SoftCounts, scored: Tensor) -> Tensor:
        """Return the one ratio (R,) over the classes that are scored."""
        labelled = torch.where(scored, counts.labelled, 1).clamp_min(_LEAST_LABELLED)
        # shares rather than voxels, so that large windows do not underflow
        shares = labelled / counts.voxels.amax(dim=1, keepdim=True).clamp_min(1)
        weights = shares.pow(-self.power).masked_fill(~scored, 0)
        below = (weights * (counts.predicted + counts.labelled)).sum(dim=1)
        return ratio((2 * weights * counts.common).sum(dim=1), below)

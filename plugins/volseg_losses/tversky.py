"""The Tversky index, in which wrong and missing voxels weigh differently, and its focal form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from volseg_losses.counts import OverlapLoss, ratio

if TYPE_CHECKING:
    from torch import Tensor

    from volseg_losses.counts import SoftCounts


class TverskyLoss(OverlapLoss):
    """Average ``1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth)`` over the classes.

    ``TP = sum(p t)``, ``FP = sum(p (1 - t))``, ``FN = sum((1 - p) t)``, with probabilities ``p`` and the one-hot
    target ``t`` (Salehi et al. 2017, doi:10.1007/978-3-319-67389-9_44). ``alpha = beta = 1/2`` is Dice and
    ``alpha = beta = 1`` Jaccard. Absent classes: see `OverlapLoss`.

    Args:
        alpha: weight of voxels that wrongly get the class.
        beta: weight of voxels of the class that are missed; above ``alpha`` favours recall.
        smooth: added to numerator and denominator, in voxels.
        classes: ``all``, or ``foreground`` for all but class 0; of binary and multilabel tasks all channels count.
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        task: ``multiclass``, ``binary`` or ``multilabel``.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.3,
        beta: float = 0.7,
        smooth: float = 1e-5,
        classes: str = "all",
        average: str = "batch",
        task: str,
    ) -> None:
        super().__init__(classes=classes, average=average, task=task)
        self.alpha = alpha
        self.beta = beta
        self.smooth = smooth

    def missed(self, counts: SoftCounts) -> Tensor:
        """Return one minus the Tversky index of each class."""
        wrong = self.alpha * (counts.predicted - counts.common) + self.beta * (counts.labelled - counts.common)
        return 1 - ratio(counts.common + self.smooth, counts.common + wrong + self.smooth)


class FocalTverskyLoss(TverskyLoss):
    """Average ``(1 - TI) ** (1 / gamma)`` over the classes, with the Tversky index ``TI`` of `TverskyLoss`.

    ``gamma`` above 1 steepens the loss where a class is nearly right, and so dwells on small and hard classes
    (Abraham and Khan 2019, doi:10.1109/ISBI.2019.8759329, whose alpha and beta are swapped with respect to Salehi's).

    Args:
        gamma: 4/3 as in the paper; 1 is `TverskyLoss`.
        alpha: weight of voxels that wrongly get the class.
        beta: weight of voxels of the class that are missed.
        smooth: added to numerator and denominator, in voxels.
        classes: ``all``, or ``foreground`` for all but class 0; of binary and multilabel tasks all channels count.
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        task: ``multiclass``, ``binary`` or ``multilabel``.
    """

    def __init__(
        self,
        *,
        gamma: float = 4 / 3,
        alpha: float = 0.3,
        beta: float = 0.7,
        smooth: float = 1e-5,
        classes: str = "all",
        average: str = "batch",
        task: str,
    ) -> None:
        super().__init__(alpha=alpha, beta=beta, smooth=smooth, classes=classes, average=average, task=task)
        self.gamma = gamma

    def missed(self, counts: SoftCounts) -> Tensor:
        """Return the focal Tversky loss of each class."""
        missed = super().missed(counts)
        # the power has no finite slope at 0
        return missed.clamp_min(torch.finfo(missed.dtype).eps).pow(1 / self.gamma)

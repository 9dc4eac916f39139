"""Soft Jaccard index (intersection over union) over labelled voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_losses.counts import OverlapLoss

if TYPE_CHECKING:
    from torch import Tensor

    from volseg_losses.counts import SoftCounts


class JaccardLoss(OverlapLoss):
    """Average ``1 - (sum(p t) + smooth) / (sum(p) + sum(t) - sum(p t) + smooth)`` over the classes.

    ``p`` are probabilities, ``t`` the one-hot target (Rahman and Wang 2016, doi:10.1007/978-3-319-50835-1_22). It
    orders answers as Dice does and is stricter with bad ones. Absent classes: see `OverlapLoss`.

    Args:
        smooth: added to numerator and denominator, in voxels.
        classes: ``all``, or ``foreground`` for all but class 0; of binary and multilabel tasks all channels count.
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        task: ``multiclass``, ``binary`` or ``multilabel``.
    """

    def __init__(self, *, smooth: float = 1e-5, classes: str = "all", average: str = "batch", task: str) -> None:
        super().__init__(classes=classes, average=average, task=task)
        self.smooth = smooth

    def missed(self, counts: SoftCounts) -> Tensor:
        """Return one minus the Jaccard index of each class."""
        union = counts.predicted + counts.labelled - counts.common
        return 1 - (counts.common + self.smooth) / (union + self.smooth)

"""Metrics of voxel counts: accuracy and the difference of volumes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_metrics.confusion import ConfusionMatrix
from volseg_metrics.scores import mean

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


class _Counting:
    """Base: counts voxels by true and predicted class, pooled over all updates."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._confusion = ConfusionMatrix(len(self.classes))

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add the voxels of class-index arrays of one shape; -1 in ``target`` or False in ``valid`` leaves one out.

        Raises:
            DataError: shapes differ, an array is not of integers, or a class index is outside the classes.
        """
        self._confusion.update(prediction, target, valid)

    def reset(self) -> None:
        """Forget all voxels."""
        self._confusion.reset()


class Accuracy(_Counting):
    """Share of voxels whose class is right, in [0, 1]; nan without a labelled voxel.

    Args:
        classes: names in class order.
    """

    def __init__(self, *, classes: Sequence[str]) -> None:
        super().__init__(classes)

    def compute(self) -> dict[str, float]:
        """Return the score as ``accuracy``."""
        counts = self._confusion.counts
        total = int(counts.sum())
        return {"accuracy": int(counts.trace()) / total if total else math.nan}


class VolumeDifference(_Counting):
    """Relative difference of each class's volume, ``(predicted - true) / true``; 0 is best.

    -1 means never predicted, 0.5 half as much again (Heimann 2009, doi:10.1109/TMI.2009.2013851).

    A class that is in neither has no score: nan, and left out of the mean. One that is only predicted has inf, and so
    has the mean.

    Args:
        background: whether class 0 counts in the mean; its own score is always given.
        classes: names in class order.
    """

    def __init__(self, *, background: bool = True, classes: Sequence[str]) -> None:
        super().__init__(classes)
        self.background = background

    def compute(self) -> dict[str, float]:
        """Return the mean of absolute values as ``volume-difference``, signed ones as ``volume-difference/CLASS``."""
        counts = self._confusion.counts
        pairs = zip(counts.sum(axis=0).tolist(), counts.sum(axis=1).tolist(), strict=True)
        scores = [_relative(predicted, true) for predicted, true in pairs]
        return {"volume-difference": mean(map(abs, scores[0 if self.background else 1 :]))} | {
            f"volume-difference/{name}": score for name, score in zip(self.classes, scores, strict=True)
        }


def _relative(predicted: int, true: int) -> float:
    if true:
        return (predicted - true) / true
    return math.inf if predicted else math.nan

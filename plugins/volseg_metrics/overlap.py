"""Overlap of each class between prediction and target: Dice and intersection over union."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from volseg_metrics.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


class Overlap:
    """Base of metrics that score each class by its hits and misses.

    A class that is neither in the target nor in the prediction has no score: nan, and left out of the mean. One that
    is only predicted, or only in the target, scores 0. The mean is nan when no class has a score.

    Args:
        background: whether class 0 counts in the mean; its own score is always given.
        classes: names in class order.
    """

    name: ClassVar[str]

    def __init__(self, *, background: bool = True, classes: Sequence[str]) -> None:
        self.background = background
        self.classes = tuple(classes)
        self._confusion = ConfusionMatrix(len(self.classes))

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add the voxels of class-index arrays of one shape; -1 in ``target`` or False in ``valid`` leaves one out.

        Raises:
            DataError: shapes differ, an array is not of integers, or a class index is outside the classes.
        """
        self._confusion.update(prediction, target, valid)

    def compute(self) -> dict[str, float]:
        """Return the mean under the metric's name and each class's score under ``NAME/CLASS``."""
        counts = self._confusion.counts
        hits = counts.diagonal()
        misses = counts.sum(axis=0) + counts.sum(axis=1) - 2 * hits
        scores = [self._score(int(hit), int(miss)) for hit, miss in zip(hits, misses, strict=True)]
        known = [score for score in scores[0 if self.background else 1 :] if not math.isnan(score)]
        mean = sum(known) / len(known) if known else math.nan
        return {self.name: mean} | {
            f"{self.name}/{name}": score for name, score in zip(self.classes, scores, strict=True)
        }

    def reset(self) -> None:
        """Forget all voxels."""
        self._confusion.reset()

    def _score(self, hits: int, misses: int) -> float:
        """Return the score of a class in [0, 1]; ``misses`` are false positives and false negatives together."""
        if not hits + misses:
            return math.nan
        weight = self._hit_weight
        return weight * hits / (weight * hits + misses)

    _hit_weight: ClassVar[int]


class Dice(Overlap):
    """Dice coefficient ``2 TP / (2 TP + FP + FN)`` (Dice 1945, doi:10.2307/1932409)."""

    name = "dice"
    _hit_weight = 2


class Iou(Overlap):
    """Intersection over union ``TP / (TP + FP + FN)`` (Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x)."""

    name = "iou"
    _hit_weight = 1

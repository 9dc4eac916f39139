"""Overlap of each class between prediction and target: Dice, intersection over union, precision and recall."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from volseg_core.api import UsageError
from volseg_metrics.channels import ChannelCounts, check_background
from volseg_metrics.confusion import ConfusionMatrix
from volseg_metrics.scores import mean

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


_THRESHOLD = 0.5


class Overlap(ABC):
    """Base of metrics that score each class by its hits and misses.

    A class that is neither in the target nor in the prediction has no score: nan, and left out of the mean. One that
    is only predicted, or only in the target, scores 0. The mean is nan when no class has a score. Voxels of all
    updates are pooled.

    In a multilabel task each channel is scored, and none is a background.

    Args:
        background: whether class 0 counts in the mean; its own score is always given.
        threshold: probability that a predicted voxel exceeds, of a multilabel task.
        classes: names in class order. task: task of the recipe.

    Raises:
        UsageError: ``background`` or ``threshold`` are given to a task where they say nothing.
    """

    name: ClassVar[str]

    def __init__(
        self, *, background: bool = True, threshold: float = _THRESHOLD, classes: Sequence[str], task: str
    ) -> None:
        multilabel = task == "multilabel"
        if multilabel:
            check_background(self.name, background=background)
        elif threshold != _THRESHOLD:
            raise UsageError(
                f"metric {self.name!r}", f"threshold={threshold:g} says nothing of classes", "Leave it out."
            )
        self.background = background
        self.classes = tuple(classes)
        size = len(self.classes)
        self._counts = ChannelCounts(size, threshold) if multilabel else ConfusionMatrix(size)

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add the voxels of class-index arrays of one shape; -1 in ``target`` or False in ``valid`` leaves one out.

        In a multilabel task all three are (K, *S), and the prediction holds probabilities.

        Raises:
            DataError: shapes differ, an array is of the wrong type, or a value is no class index or probability.
        """
        self._counts.update(prediction, target, valid)

    def compute(self) -> dict[str, float]:
        """Return the mean under the metric's name and each class's score under ``NAME/CLASS``."""
        scores = [self._known(*map(int, each)) for each in self._counts.outcomes().T]
        return {self.name: mean(scores[0 if self.background else 1 :])} | {
            f"{self.name}/{name}": score for name, score in zip(self.classes, scores, strict=True)
        }

    def reset(self) -> None:
        """Forget all voxels."""
        self._counts.reset()

    def _known(self, hits: int, extra: int, missed: int) -> float:
        if not hits:
            return 0.0 if extra + missed else math.nan
        return self._score(hits, extra, missed)

    @staticmethod
    @abstractmethod
    def _score(hits: int, extra: int, missed: int) -> float:
        """Return the score in (0, 1] of a class by its true positives (not 0), false positives and false negatives."""


class Dice(Overlap):
    """Dice coefficient ``2 TP / (2 TP + FP + FN)`` (Dice 1945, doi:10.2307/1932409)."""

    name = "dice"

    @staticmethod
    def _score(hits: int, extra: int, missed: int) -> float:
        return 2 * hits / (2 * hits + extra + missed)


class Iou(Overlap):
    """Intersection over union ``TP / (TP + FP + FN)`` (Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x)."""

    name = "iou"

    @staticmethod
    def _score(hits: int, extra: int, missed: int) -> float:
        return hits / (hits + extra + missed)


class Precision(Overlap):
    """Share of a class's predicted voxels that are right, ``TP / (TP + FP)`` (van Rijsbergen 1979).

    A class of the target that is never predicted scores 0, as in the other metrics: not to predict a class must not
    raise the mean.
    """

    name = "precision"

    @staticmethod
    def _score(hits: int, extra: int, missed: int) -> float:  # noqa: ARG004 - one signature for all
        return hits / (hits + extra)


class Recall(Overlap):
    """Share of a class's true voxels that are found, ``TP / (TP + FN)`` (van Rijsbergen 1979).

    A class that is predicted and not in the target scores 0, as in the other metrics.
    """

    name = "recall"

    @staticmethod
    def _score(hits: int, extra: int, missed: int) -> float:  # noqa: ARG004 - one signature for all
        return hits / (hits + missed)

"""Differences of a regression from its target: mean squared and absolute error, and the peak signal-to-noise ratio."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from volseg_metrics.inputs import known_values
from volseg_metrics.scores import by_class

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


class Differences(ABC):
    """Base of metrics of the differences between values and their target, each channel by itself.

    Voxels of all updates are pooled. A channel without a known target has no score: nan, and left out of the mean.

    Args:
        classes: names of the channels.
    """

    name: ClassVar[str]

    def __init__(self, *, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.reset()

    def reset(self) -> None:
        """Forget all voxels."""
        self._counts = np.zeros(len(self.classes), dtype=np.int64)
        self._sums = np.zeros(len(self.classes))
        self._lowest = np.full(len(self.classes), math.inf)
        self._highest = np.full(len(self.classes), -math.inf)

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add values (K, *S) and their target (K, *S); NaN in ``target`` or False in ``valid`` leaves an entry out.

        Raises:
            DataError: shapes differ, an array is not of floats, or a value that counts is not finite.
        """
        known = known_values(prediction, target, valid, len(self.classes))
        for index, mask in enumerate(known):
            true = target[index][mask].astype(np.float64)
            if true.size:
                self._counts[index] += true.size
                self._sums[index] += self._cost(prediction[index][mask] - true)
                self._lowest[index] = min(self._lowest[index], true.min())
                self._highest[index] = max(self._highest[index], true.max())

    def compute(self) -> dict[str, float]:
        """Return the mean over channels under the metric's name and each channel's score under ``NAME/CHANNEL``."""
        scores = {}
        for index, name in enumerate(self.classes):
            count = int(self._counts[index])
            scores[name] = self._score(float(self._sums[index]) / count, index) if count else math.nan
        return by_class(self.name, scores)

    @staticmethod
    @abstractmethod
    def _cost(differences: Array) -> float:
        """Return the sum of the costs of differences (n,)."""

    def _score(self, cost: float, index: int) -> float:  # noqa: ARG002 - that of the ratio depends on the channel
        """Return the score of a channel by its mean cost."""
        return cost


class MeanSquaredError(Differences):
    """Mean squared error, in the squared unit of the values; 0 is best."""

    name = "mse"

    @staticmethod
    def _cost(differences: Array) -> float:
        return _squares(differences)


class MeanAbsoluteError(Differences):
    """Mean absolute error, in the unit of the values; 0 is best."""

    name = "mae"

    @staticmethod
    def _cost(differences: Array) -> float:
        return float(np.abs(differences).sum())


class PeakSignalToNoise(Differences):
    """Peak signal-to-noise ratio ``10 log10(range^2 / MSE)`` in decibels; infinite where nothing differs.

    A channel whose target is one constant value has no range of its own: nan, and left out of the mean.

    Args:
        range: difference between the largest and the smallest value that there can be; None is that of the target's
            values, which makes scores of different images hard to compare.
        classes: names of the channels.
    """

    name = "psnr"

    def __init__(self, *, range: float | None = None, classes: Sequence[str]) -> None:  # noqa: A002 - its name
        self.range = range
        super().__init__(classes=classes)

    @staticmethod
    def _cost(differences: Array) -> float:
        return _squares(differences)

    def _score(self, cost: float, index: int) -> float:
        width = float(self._highest[index] - self._lowest[index]) if self.range is None else self.range
        if not width:
            return math.nan
        return 10 * math.log10(width**2 / cost) if cost else math.inf


def _squares(differences: Array) -> float:
    return float((differences**2).sum())

"""Percentiles, mean and spread of many grey values; those of up to 16 bits are counted, once for all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from volseg_core.volume.grid import pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

_COUNTED_BYTES = 2
_PIECE = 1 << 18
"""Values that are counted at once: numpy makes 8 bytes of each."""


class Values(Protocol):
    """What can be asked of grey values."""

    def percentiles(self, percents: tuple[float, float]) -> tuple[float, float]:
        """Return two percentiles, linear between neighbours; equal for equal values of any type."""

    def moments(self, low: float, high: float) -> tuple[float, float]:
        """Return mean and standard deviation of the values clipped to ``low`` and ``high``."""


def values_of(array: Array) -> Values:
    """Return the values of an array ``(Z, Y, X)``."""
    if array.dtype.kind in "iu" and array.dtype.itemsize <= _COUNTED_BYTES:
        return Counted.of(array)
    return Measured(array)


@dataclass(frozen=True)
class Counted:
    """Grey levels that integers can have, ascending, and how many there are of each."""

    levels: Array
    counts: Array

    @classmethod
    def of(cls, array: Array) -> Counted:
        """Count integers of 8 or 16 bits."""
        bits = array.dtype.str.replace("i", "u")
        counts = np.zeros(1 << 8 * array.dtype.itemsize, np.int64)
        for box in pieces(array.shape, _PIECE):
            counts += np.bincount(np.ascontiguousarray(array[box]).view(bits).ravel(), minlength=len(counts))
        levels = np.arange(len(counts)).astype(bits).view(array.dtype).astype(np.float64)
        order = np.argsort(levels)
        return cls(levels[order], counts[order])

    def percentiles(self, percents: tuple[float, float]) -> tuple[float, float]:
        """Return two percentiles, linear between neighbours."""
        upto = np.cumsum(self.counts)
        return _interpolated(
            lambda place: float(self.levels[np.searchsorted(upto, place, "right")]), int(upto[-1]), percents
        )

    def moments(self, low: float, high: float) -> tuple[float, float]:
        """Return mean and standard deviation of the values clipped to ``low`` and ``high``."""
        above = np.clip(self.levels, low, high) - low
        return _moments(float(self.counts @ above), float(self.counts @ above**2), int(self.counts.sum()), low)


@dataclass(frozen=True)
class Measured:
    """Values of any type, measured piece by piece."""

    array: Array

    def percentiles(self, percents: tuple[float, float]) -> tuple[float, float]:
        """Return two percentiles, linear between neighbours; equal for equal values of any type, float16 included."""
        values = self.array.flatten()
        places = [(values.size - 1) * percent / 100 for percent in percents]
        values.partition(sorted({edge for place in places for edge in (math.floor(place), math.ceil(place))}))
        return _interpolated(lambda place: float(values[place]), values.size, percents)

    def moments(self, low: float, high: float) -> tuple[float, float]:
        """Return mean and standard deviation of the clipped values, summed above ``low`` so that no digits cancel."""
        total = squares = 0.0
        for box in pieces(self.array.shape):
            piece = np.clip(self.array[box].astype(np.float64), low, high)
            piece -= low
            total += float(piece.sum())
            squares += float(np.square(piece, out=piece).sum())
        return _moments(total, squares, self.array.size, low)


def _interpolated(
    sorted_value: Callable[[int], float], size: int, percents: tuple[float, float]
) -> tuple[float, float]:
    places = [(size - 1) * percent / 100 for percent in percents]
    low, high = (
        sorted_value(math.floor(place)) * (1 - place % 1) + sorted_value(math.ceil(place)) * (place % 1)
        for place in places
    )
    return low, high


def _moments(total: float, squares: float, size: int, low: float) -> tuple[float, float]:
    """Return mean and standard deviation from the sums of ``value - low`` and of its square."""
    mean = total / size
    return low + mean, math.sqrt(max(squares / size - mean**2, 0.0))

"""Windows: how a plane or box is padded and covered by windows of one shape, and how overlaps are weighted."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SLICES, BOXES = 2, 3
"""Dimensions of the windows of networks that look at slices, and of 3D ones."""
BLENDS = ("gaussian", "constant", "crop")
_ROUNDING = 1e-9
"""Above that of a product: an overlap of 0.9 leaves 2 of 20 voxels, not 1.9999999999999996."""


def padded_size(size: int, divisor: int, minimum: int = 1) -> int:
    """Return the smallest multiple of ``divisor`` that is at least ``size`` and ``minimum``."""
    return -(-max(size, minimum) // divisor) * divisor


@dataclass(frozen=True)
class SizeRule:
    """Sizes that a network takes: along each axis of its images multiples of ``divisor``, at least ``least``."""

    divisor: tuple[int, ...]
    least: tuple[int, ...]

    @classmethod
    def same(cls, divisor: int, least: int, dims: int) -> SizeRule:
        """Return the rule that holds for every axis."""
        return cls((divisor,) * dims, (least,) * dims)

    @property
    def dims(self) -> int:
        """Dimensions of the images."""
        return len(self.divisor)

    def padded(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the smallest shape that is taken and holds ``shape``."""
        return tuple(map(padded_size, shape, self.divisor, self.least))

    def suits(self, shape: Sequence[int]) -> bool:
        """Whether a shape is taken as it is."""
        return self.padded(shape) == tuple(shape)

    def joined(self, other: SizeRule) -> SizeRule:
        """Return the rule of what both take."""
        return SizeRule(tuple(map(math.lcm, self.divisor, other.divisor)), tuple(map(max, self.least, other.least)))

    def __str__(self) -> str:
        least = self.padded((1,) * self.dims)
        more = f", {_by(least)} or more" if any(map(operator.gt, least, self.divisor)) else ""
        return f"multiples of {_by(self.divisor)}{more}"


def _by(numbers: Sequence[int]) -> str:
    """Return one number where all are equal."""
    return str(numbers[0]) if len(set(numbers)) == 1 else " x ".join(map(str, numbers))


def pad_to(array: np.ndarray[Any, Any], shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """Pad the last axes of ``array`` at their ends to ``shape`` by reflection, repeated where the array is smaller.

    A single plane is reflected onto itself, so any positive size can be padded to any larger one.
    """
    lead = array.ndim - len(shape)
    grow = [max(0, target - size) for target, size in zip(shape, array.shape[lead:], strict=True)]
    if not any(grow):
        return array
    return np.pad(array, [(0, 0)] * lead + [(0, extra) for extra in grow], mode="reflect")


def mirrored_planes(start: int, stop: int, neighbours: int, size: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Return the planes from ``start - neighbours`` to ``stop + neighbours``, mirrored at the ends of ``size`` planes.

    The planes at both ends are not repeated, except where there is only one.
    """
    period = max(1, 2 * (size - 1))
    planes = np.abs(np.arange(start - neighbours, stop + neighbours)) % period
    mirrored: np.ndarray[Any, np.dtype[np.intp]] = np.minimum(planes, period - planes) if size > 1 else planes
    return mirrored


def reflected(array: np.ndarray[Any, Any], box: Sequence[slice]) -> np.ndarray[Any, Any]:
    """Return a box of the last axes of ``array``, reflected as by `pad_to` where it reaches beyond their ends."""
    lead = array.ndim - len(box)
    for axis, (part, size) in enumerate(zip(box, array.shape[lead:], strict=True), start=lead):
        if part.start >= 0 and part.stop <= size:
            array = array[(slice(None),) * axis + (part,)]
        else:
            array = array.take(mirrored_planes(part.start, part.stop, 0, size), axis)
    return array


def step_between(window: int, overlap: float) -> int:
    """Return how many voxels windows lie apart that overlap by a share, at least 1."""
    return max(1, int(window * (1 - overlap) + _ROUNDING))


@dataclass(frozen=True)
class Tiling:
    """Cover a box of ``shape`` with windows of shape ``window`` that overlap by the share ``overlap``.

    Window starts are spread evenly, so that the last window ends at the border; ``shape`` must be at least
    ``window`` along every axis (pad first).

    Attributes:
        blend: weights inside a window: ``gaussian`` (sigma an eighth of the window, after nnU-Net,
            doi:10.1038/s41592-020-01008-z), ``constant`` (plain mean) or ``crop`` (each voxel from the window whose
            centre is nearest along each axis).
    """

    shape: tuple[int, ...]
    window: tuple[int, ...]
    overlap: float = 0.5
    blend: str = "gaussian"

    def __post_init__(self) -> None:
        if self.blend not in BLENDS:
            message = f"blend {self.blend!r} is not one of {', '.join(BLENDS)}"
            raise ValueError(message)
        if not 0 <= self.overlap < 1:
            message = f"overlap {self.overlap!r} is not in [0, 1)"
            raise ValueError(message)
        if any(window < 1 or size < window for size, window in zip(self.shape, self.window, strict=True)):
            message = f"window {self.window} does not fit into shape {self.shape}"
            raise ValueError(message)

    def starts(self, axis: int) -> list[int]:
        """Return where windows start along ``axis``."""
        size, window = self.shape[axis], self.window[axis]
        count = -(-(size - window) // step_between(window, self.overlap)) + 1
        return [round(index * (size - window) / max(1, count - 1)) for index in range(count)]

    def boxes(self) -> list[tuple[slice, ...]]:
        """Return the windows as boxes, in order."""
        starts = [self.starts(axis) for axis in range(len(self.shape))]
        return [
            tuple(slice(start, start + size) for start, size in zip(corner, self.window, strict=True))
            for corner in product(*starts)
        ]

    def profiles(self, axis: int) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
        """Return one weight profile per start along ``axis``; where they overlap, profiles sum to 1 everywhere."""
        starts, window, size = self.starts(axis), self.window[axis], self.shape[axis]
        raw = [self._profile(index, starts, window) for index in range(len(starts))]
        total = np.zeros(size)
        for start, profile in zip(starts, raw, strict=True):
            total[start : start + window] += profile
        return [
            (profile / total[start : start + window]).astype(np.float32)
            for start, profile in zip(starts, raw, strict=True)
        ]

    def joints(self, axis: int) -> list[int]:
        """Return where along ``axis`` one window takes over from another: joint j parts voxels j - 1 and j.

        That is where another window weighs most, or with ``constant`` blending where a window begins or ends.
        """
        starts, window = self.starts(axis), self.window[axis]
        if self.blend == "constant":
            return sorted({*starts[1:], *(start + window for start in starts[:-1])})
        return [_handover(one, other, window) for one, other in pairwise(starts)]

    def _profile(self, index: int, starts: Sequence[int], window: int) -> np.ndarray[Any, Any]:
        if self.blend == "constant":
            return np.ones(window)
        if self.blend == "gaussian":
            offset = (np.arange(window) - (window - 1) / 2) / (window / 8)
            bell: np.ndarray[Any, Any] = np.maximum(np.exp(-0.5 * offset**2), 1e-3)
            return bell
        profile = np.zeros(window)
        start = starts[index]
        low = 0 if index == 0 else _handover(starts[index - 1], start, window) - start
        high = window if index == len(starts) - 1 else _handover(start, starts[index + 1], window) - start
        profile[low:high] = 1
        return profile

    def weights(self) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
        """Yield a weight array per box of `boxes`; overlapping windows' weights sum to 1 at every voxel."""
        profiles = [self.profiles(axis) for axis in range(len(self.shape))]
        for parts in product(*profiles):
            weight = parts[0]
            for part in parts[1:]:
                weight = weight[..., None] * part
            yield weight


def _handover(start: int, following: int, window: int) -> int:
    """Return the first voxel that is nearer to the centre of the following window."""
    return -(-(start + window + following) // 2)

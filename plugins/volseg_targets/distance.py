"""Distances from the border of an object, up to a limit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from volseg_targets.neighbours import UNLABELLED, Array, known_channels
from volseg_targets.units import voxel_size

if TYPE_CHECKING:
    from collections.abc import Sequence


class Distance:
    """Distance of an object's voxels from its border: ids (*S) to (1, *S), 0 in the background.

    `border_distances` says what is measured and where it is not known.

    Args:
        limit: distances beyond count as this.
        units: of the limit and the distances, ``voxels`` or ``physical``, the unit of the spacing.
        spacing: of the voxels along the axes of the window, or None.

    Raises:
        UsageError: physical units without a spacing.
    """

    names = ("distance",)

    def __init__(self, *, limit: float = 10.0, units: str = "voxels", spacing: Sequence[float] | None = None) -> None:
        self.limit = limit
        self.voxel = voxel_size(units, spacing)

    def __call__(self, ids: Array) -> Array:
        """Return the distances."""
        inside = border_distances(ids, self.limit, self.voxel)
        return known_channels([np.where(ids > 0, inside, np.float32(0))], ids)


class SignedDistance:
    """Distance from the nearest border, positive in objects and negative outside: ids (*S) to (1, *S).

    In the background it is the distance from the nearest object. `border_distances` says what is measured and where
    it is not known.

    Args:
        limit: distances beyond count as this.
        tanh: give ``tanh(distance / tanh)`` in (-1, 1), which dwells on what is near a border; null gives distances.
        units: of all these, ``voxels`` or ``physical``, the unit of the spacing.
        spacing: of the voxels along the axes of the window, or None.

    Raises:
        UsageError: physical units without a spacing.
    """

    names = ("signed distance",)

    def __init__(
        self,
        *,
        limit: float = 10.0,
        tanh: float | None = None,
        units: str = "voxels",
        spacing: Sequence[float] | None = None,
    ) -> None:
        self.limit = limit
        self.tanh = tanh
        self.voxel = voxel_size(units, spacing)

    def __call__(self, ids: Array) -> Array:
        """Return the distances, or their hyperbolic tangents."""
        distances = border_distances(ids, self.limit, self.voxel)
        if self.tanh is not None:
            distances = np.tanh(distances / np.float32(self.tanh))
        return known_channels([np.where(ids > 0, distances, -distances)], ids)


def border_distances(ids: Array, limit: float, voxel: Sequence[float] | None = None) -> Array:
    """Return how far the centre of each voxel is from the nearest face of a voxel of another id: (*S), float32.

    The border lies half way between voxels: those beside it have half a voxel. Distances from ``limit`` on are the
    limit; the time grows with it. NaN where a voxel without label, or one outside of the window, may be nearer than
    what was found.

    Args:
        ids: int (*S).
        limit: in the unit of ``voxel``.
        voxel: its size along each axis; None is 1.
    """
    steps = (1.0,) * ids.ndim if voxel is None else tuple(voxel)
    most = np.float32(limit) ** 2
    nearest = _squares(ids, steps, most)
    unknown = _outside(ids.shape, steps)
    unlabelled = ids <= UNLABELLED
    if unlabelled.any():
        unknown = np.minimum(unknown, _squares(unlabelled, steps, most))
    certain = (nearest < unknown) | (unknown >= most)
    return np.where(certain & ~unlabelled, np.sqrt(nearest), np.float32(np.nan))


def _squares(labels: Array, steps: Sequence[float], most: np.float32) -> Array:
    """Return the squared distance from the nearest voxel of another label, at most ``most``.

    Axis by axis, as in Felzenszwalb and Huttenlocher 2012 (doi:10.4086/toc.2012.v008a019): the smallest sum of the
    square along this axis and that within the line there, which is 0 where the line has another label.
    """
    squares: Array = np.full(labels.shape, most, np.float32)
    for axis, step in enumerate(steps):
        lines = np.ascontiguousarray(np.moveaxis(labels, axis, 0))
        before = np.ascontiguousarray(np.moveaxis(squares, axis, 0))
        squares = np.moveaxis(_along(lines, before, step), 0, axis)
    return squares


def _along(labels: Array, before: Array, step: float) -> Array:
    """Return the squares after the first axis, with those of the axes before it."""
    best = before.copy()
    for shift in range(1, len(labels)):
        cost = _square(shift, step)
        if cost >= best.max():
            break
        same = labels[shift:] == labels[:-shift]
        np.minimum(best[:-shift], before[shift:] * same + cost, out=best[:-shift])
        np.minimum(best[shift:], before[:-shift] * same + cost, out=best[shift:])
    return best


def _square(shift: int, step: float) -> np.float32:
    """Return the square of the distance from a voxel's centre to the face of that ``shift`` voxels on."""
    return np.float32(((shift - 0.5) * step) ** 2)


def _outside(shape: tuple[int, ...], steps: Sequence[float]) -> Array:
    """Return the squared distance (*S) from what lies outside of the window."""
    nearest: Array = np.full(shape, math.inf, np.float32)
    for axis, (size, step) in enumerate(zip(shape, steps, strict=True)):
        places = [_square(min(index, size - 1 - index) + 1, step) for index in range(size)]
        line = np.array(places).reshape([-1 if each == axis else 1 for each in range(len(shape))])
        np.minimum(nearest, line, out=nearest)
    return nearest

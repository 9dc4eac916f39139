"""Random fields: smooth ones kept on a coarse grid, and fine texture made in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]

_MARGIN = 2
"""Nodes of the coarse grid beyond the first and the last voxel."""


@dataclass(frozen=True)
class SmoothField:
    """A smooth random field of about mean 0 and standard deviation 1, evaluated box by box.

    ``nodes`` are cubic spline coefficients on a grid of ``steps`` voxels, so that no array of the volume's size exists.
    """

    nodes: Array
    steps: tuple[float, float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator, shape: Sequence[int], steps: Array) -> SmoothField:
        """Return a field over ``shape`` voxels that changes over about ``steps`` voxels along each axis."""
        z, y, x = (max(1.0, float(step)) for step in steps)
        counts = [int(np.ceil(length / step)) + 2 * _MARGIN for length, step in zip(shape, (z, y, x), strict=True)]
        # a spline of white coefficients keeps about a third of their standard deviation
        return cls(rng.standard_normal(counts, dtype=np.float32) * 3, (z, y, x))

    def sample(self, box: tuple[slice, ...]) -> Array:
        """Return the values float32 in a box of voxels."""
        values = self.nodes
        # the last axis of work is z, whose boxes are the thinnest
        for axis in (2, 1, 0):
            voxels = np.arange(box[axis].start, box[axis].stop)
            values = _interpolate(values, axis, _MARGIN + voxels / self.steps[axis])
        return values


def _interpolate(nodes: Array, axis: int, positions: Array) -> Array:
    """Return the uniform cubic B-spline of ``nodes`` at positions (in nodes) along one axis."""
    first = np.floor(positions).astype(int) - 1
    t = positions - np.floor(positions)
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    column = [-1 if each == axis else 1 for each in range(nodes.ndim)]
    shares = [(weight / 6).astype(np.float32).reshape(column) for weight in weights]
    values = shares[0] * nodes.take(first, axis)
    for place in (1, 2, 3):
        values += shares[place] * nodes.take(first + place, axis)
    return values


def texture(rng: np.random.Generator, shape: Sequence[int], sigmas: Array) -> Array:
    """Return float32 noise of standard deviation 1 and correlation length ``sigmas`` (voxels), in one array."""
    values = rng.standard_normal(tuple(shape), dtype=np.float32)
    ndimage.gaussian_filter(values, sigmas, output=values, mode="wrap")
    values /= np.prod([_spread(sigma) for sigma in sigmas], dtype=np.float32)
    return values


def _spread(sigma: float) -> float:
    """Return the standard deviation that white noise keeps after a Gaussian filter along one axis."""
    impulse = np.zeros(2 * int(4 * sigma) + 9)
    impulse[len(impulse) // 2] = 1
    return float(np.linalg.norm(ndimage.gaussian_filter1d(impulse, sigma)))

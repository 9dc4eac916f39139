"""Filling of holes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from volseg_instances.inputs import Array, ends


class FillHoles:
    """Fill holes: face-connected background inside one label or one instance, which it takes.

    Background that touches two of them, or the border of the volume, is no hole.

    Args:
        max_size: voxels of the largest hole that is filled; None is any, which needs the whole volume at once.
    """

    def __init__(self, *, max_size: int | None = None) -> None:
        self.max_size = max_size
        self.halo = max_size

    def __call__(self, array: Array) -> Array:
        """Return labels or instances (*S), as they are given, with holes filled."""
        holes, count = ndimage.label(array == 0)
        around = _around(holes, array, count)
        sizes = np.bincount(holes.reshape(-1), minlength=count + 1)
        if self.max_size is not None:
            around[sizes > self.max_size] = 0
        around[_at_border(holes)] = 0
        around[0] = 0
        filled: Array = array + around.astype(array.dtype)[holes]
        return filled


def _around(holes: Array, array: Array, count: int) -> Array:
    """Return for every number of background the one label around it, 0 where there are several or none."""
    low = np.full(count + 1, np.iinfo(np.int64).max)
    high = np.zeros(count + 1, np.int64)
    for axis in range(array.ndim):
        for step in (-1, 1):
            here, there = ends([step if number == axis else 0 for number in range(array.ndim)])
            meet = (holes[here] > 0) & (array[there] > 0)
            numbers, labels = holes[here][meet], array[there][meet].astype(np.int64)
            np.minimum.at(low, numbers, labels)
            np.maximum.at(high, numbers, labels)
    return np.where(low == high, high, 0)


def _at_border(holes: Array) -> Array:
    """Return the numbers that touch the border, of axes along which there is one."""
    found = [holes.take((0, -1), axis).reshape(-1) for axis in range(holes.ndim) if holes.shape[axis] > 1]
    return np.unique(np.concatenate(found)) if found else np.arange(1)

"""Joining basins of a watershed whose peaks hardly rise above what lies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from volseg_instances.inputs import Array


def joined(numbers: Array, height: Array, prominence: float) -> Array:
    """Return instances (*S), numbered from 1 on, none of which has a peak that rises too little above its saddles.

    The saddle of two objects is the highest place where they touch, as low as the lower of the two voxels. From the
    highest on, saddles join their objects where the lower peak rises above them by less than ``prominence`` of itself.
    """
    count = int(numbers.max(initial=0))
    if not prominence or count < 2:  # noqa: PLR2004
        return numbers
    peaks = np.zeros(count + 1)
    peaks[1:] = ndimage.maximum(height, numbers, np.arange(1, count + 1))
    parents = np.arange(count + 1)
    for first, second, saddle in _saddles(numbers, height, count + 1):
        low, high = sorted((_root(parents, first), _root(parents, second)), key=lambda one: (peaks[one], one))
        if low != high and saddle > (1 - prominence) * peaks[low]:
            parents[low] = high
    roots = [_root(parents, number) for number in range(count + 1)]
    return np.asarray(np.unique(roots, return_inverse=True)[1])[numbers]


def _saddles(numbers: Array, height: Array, size: int) -> list[tuple[int, int, float]]:
    """Return pairs of objects that touch with the height of their saddle, the highest first."""
    found: dict[int, float] = {}
    for axis in range(numbers.ndim):
        near, far = (np.moveaxis(numbers, axis, 0)[part] for part in (np.s_[:-1], np.s_[1:]))
        touching = (near != far) & (near > 0) & (far > 0)
        levels = np.minimum(*(np.moveaxis(height, axis, 0)[part][touching] for part in (np.s_[:-1], np.s_[1:])))
        pair = np.sort(np.stack((near[touching], far[touching])).astype(np.int64), axis=0)
        keys, places = np.unique(pair[0] * size + pair[1], return_inverse=True)
        highest = np.full(len(keys), -np.inf)
        np.maximum.at(highest, places.reshape(-1), levels)
        for key, level in zip(keys.tolist(), highest.tolist(), strict=True):
            found[key] = max(level, found.get(key, level))
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [(*divmod(key, size), level) for key, level in ordered]


def _root(parents: Array, number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = int(parents[number])
    return number

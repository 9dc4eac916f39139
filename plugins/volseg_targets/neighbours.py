"""Voxels and their neighbours. What lies outside of a window is known as little as what has no label."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = np.ndarray[Any, Any]
Slices = tuple[slice, ...]

UNLABELLED = -1
"""Id of a voxel that has no label."""


def pair(offset: Sequence[int], shape: tuple[int, ...]) -> tuple[Slices, Slices]:
    """Return the box of the voxels whose partner at ``offset`` is inside of ``shape``, and the box of the partners."""
    first = (slice(max(-step, 0), max(size - step, 0)) for step, size in zip(offset, shape, strict=True))
    second = (slice(max(step, 0), max(size + step, 0)) for step, size in zip(offset, shape, strict=True))
    return tuple(_inside(first, shape)), tuple(_inside(second, shape))


def _inside(box: Any, shape: tuple[int, ...]) -> Any:
    return (slice(side.start, min(side.stop, size)) for side, size in zip(box, shape, strict=True))


def neighbourhood(dims: int, connectivity: int) -> list[tuple[int, ...]]:
    """Return one of each pair of opposite steps to a neighbour, along at most ``connectivity`` axes at once."""
    steps = product((-1, 0, 1), repeat=dims)
    return [step for step in steps if step > (0,) * dims and sum(map(abs, step)) <= connectivity]


def any_neighbour(values: Array, connectivity: int, condition: Callable[[Array, Array], Array]) -> Array:
    """Return a bool array (*S): whether a voxel and one of its neighbours inside meet a symmetric ``condition``."""
    found = np.zeros(values.shape, bool)
    for step in neighbourhood(values.ndim, connectivity):
        first, second = pair(step, values.shape)
        met = condition(values[first], values[second])
        found[first] |= met
        found[second] |= met
    return found


def known_channels(channels: Sequence[Array], ids: Array) -> Array:
    """Return maps (*S) as channels (K, *S) float32, all NaN where there is no label."""
    stacked: Array = np.stack(channels).astype(np.float32, copy=False)
    stacked[:, ids <= UNLABELLED] = np.nan
    return stacked

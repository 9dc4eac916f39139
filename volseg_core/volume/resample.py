"""Volumes on another grid of voxels: values linearly, ids by the nearest voxel.

Both grids fill the same box: voxel ``i`` of ``n`` has its centre at ``(i + 1/2) / n`` of an edge.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError
from volseg_core.volume.grid import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from volseg_core.volume.grid import Grid, Spacing

    Array = np.ndarray[Any, Any]
    Shape = tuple[int, int, int]

_CLOSE = 1e-3
"""Relative difference of spacings that counts as none."""
_FAR = 100
"""How many times larger or smaller voxels are made at most; nanometres and micrometres are 1000 apart."""


def resampled_shape(shape: Sequence[int], grid: Grid, target: Spacing) -> Shape:
    """Return the shape (Z, Y, X) that a volume has with voxels of a target spacing, in the unit of its grid.

    Raises:
        DataError: the volume does not say its spacing, or its planes are independent images, or voxels would become
            more than 100 times as large or small.
    """
    if grid.spacing is None or grid.independent:
        what = "is of independent images" if grid.independent else "does not say its spacing"
        raise DataError(grid.source, f"{what}, so that it cannot be resampled", "Set data.resample=null, or save one.")
    factor = max(max(one / other, other / one) for one, other in zip(grid.spacing, target, strict=True))
    if factor > _FAR:
        wanted = " x ".join(f"{size:g}" for size in target)
        what = f"has voxels of {grid.voxel_size}, {factor:.3g} times off data.resample, {wanted}"
        hint = "That is in the unit of the first volume trained on: save voxel sizes with their unit."
        raise DataError(grid.source, what, hint)
    if np.allclose(grid.spacing, target, rtol=_CLOSE, atol=0):
        z, y, x = shape
    else:
        z, y, x = (
            max(1, round(size * given / wanted))
            for size, given, wanted in zip(shape, grid.spacing, target, strict=True)
        )
    return z, y, x


def resample(array: Array, shape: Shape, *, linear: bool, new: Callable[[Any, Any], Array] = np.empty) -> Array:
    """Return an array (K, Z, Y, X) on a grid of another shape, of the same type; ``new`` makes it.

    ``linear``: between voxels, and where the new ones are larger over all that they cover (a triangle as wide as two
    of them), NaN where a NaN takes part; integers are rounded. Else the nearest voxel's value.
    """
    if array.shape[1:] == shape:
        return array
    result = new((len(array), *shape), array.dtype)
    for planes in _runs(shape):
        for channel, into in zip(array, result, strict=True):
            into[planes] = _linear(channel, shape, planes) if linear else _nearest(channel, shape, planes)
    return result


def _runs(shape: Shape) -> Iterator[slice]:
    planes = max(1, PIECE // (shape[1] * shape[2]))
    for start in range(0, shape[0], planes):
        yield slice(start, min(start + planes, shape[0]))


def _nearest(channel: Array, shape: Shape, planes: slice) -> Array:
    z, y, x = (
        np.minimum(((np.arange(new) + 0.5) * (size / new)).astype(np.intp), size - 1)
        for size, new in zip(channel.shape, shape, strict=True)
    )
    picked: Array = channel[z[planes]][:, y][:, :, x]
    return picked


def _linear(channel: Array, shape: Shape, planes: slice) -> Array:
    across, down, along = (_weights(size, new) for size, new in zip(channel.shape, shape, strict=True))
    rows = across[planes]
    first, last = int(rows.indices.min()), int(rows.indices.max()) + 1
    part = channel[first:last].astype(np.float32)
    part = (rows[:, first:last] @ part.reshape(len(part), -1)).reshape(-1, *channel.shape[1:])
    part = np.stack([down @ plane for plane in part])
    part = (along @ part.reshape(-1, channel.shape[2]).T).T.reshape(-1, *shape[1:])
    if channel.dtype.kind in "iu":
        limits = np.iinfo(channel.dtype)
        part = np.clip(np.rint(part), limits.min, limits.max)
    values: Array = part.astype(channel.dtype)
    return values


def _weights(size: int, new: int) -> Any:
    """Return the sparse weights (new, size) of an axis: rows sum to 1."""
    from scipy import sparse

    width = max(1.0, size / new)
    rows, columns, values = [], [], []
    for row in range(new):
        place = (row + 0.5) * size / new - 0.5
        around = np.arange(math.ceil(place - width), math.floor(place + width) + 1)
        weight = 1 - np.abs(around - place) / width
        kept = weight > 0
        weight, around = weight[kept], np.clip(around[kept], 0, size - 1)
        rows += [row] * len(weight)
        columns += around.tolist()
        values += (weight / weight.sum()).tolist()
    return sparse.csr_array((np.array(values, np.float32), (rows, columns)), shape=(new, size))

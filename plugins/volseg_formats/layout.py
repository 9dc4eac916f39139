"""Dimensions of stored arrays: their names, boxes inside them, and dimensions of length one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

Box = tuple[slice, ...]

_FEW = 4  # at most this many values per voxel in a channels-last array without named axes


def check_numeric(where: str, dtype: np.dtype[Any]) -> None:
    """Raise DataError unless the values are integers, floats or booleans."""
    if dtype.kind not in "biuf":
        raise DataError(where, f"holds values of type {str(dtype)!r}; a volume holds integers, floats or booleans")


def default_axes(where: str, shape: Sequence[int], hint: str = "Give a file with one volume") -> str:
    """Return the axes of an array that does not name them: ``yx``, ``zyx``, ``czyx`` or ``zyxc``.

    Raises:
        DataError: the array has no values, or other than 2, 3 or 4 dimensions.

    """
    if len(shape) not in (2, 3, 4):
        noun = "dimension" if len(shape) == 1 else "dimensions"
        raise DataError(
            where, f"an array with {len(shape)} {noun} {tuple(shape)} is not a volume; 2, 3 or 4 are expected", hint
        )
    if 0 in shape:
        raise DataError(where, f"an array of shape {tuple(shape)} holds no values")
    if len(shape) == 4:  # noqa: PLR2004 - the number of dimensions
        return "zyxc" if shape[-1] <= _FEW < shape[0] else "czyx"
    return {2: "yx", 3: "zyx"}[len(shape)]


def parse_axes(value: Any, ndim: int) -> str | None:
    """Return valid axes (letters of ``czyxn``, each once, with y and x) for ``ndim`` dimensions, or None.

    Lists of letters are joined, and of a text only the first word counts.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, (list, tuple, np.ndarray)):
        value = "".join(part.decode() if isinstance(part, bytes) else str(part) for part in value)
    if not isinstance(value, str) or not value.strip():
        return None
    axes = value.split()[0].lower()
    valid = set("yx") <= set(axes) <= set("czyxn") and len(set(axes)) == len(axes) == ndim
    return axes if valid else None


def checked_box(where: str, slices: Sequence[slice], shape: Sequence[int]) -> Box:
    """Return ``slices`` with explicit bounds.

    Raises:
        DataError: there is not one slice of step 1 per dimension, or the box leaves the array.

    """
    if len(slices) != len(shape):
        raise DataError(where, f"a box with {len(slices)} slices does not fit an array of shape {tuple(shape)}")
    box = []
    for part, size in zip(slices, shape, strict=True):
        start = 0 if part.start is None else int(part.start)
        stop = size if part.stop is None else int(part.stop)
        if part.step not in (None, 1) or not 0 <= start <= stop <= size:
            raise DataError(where, f"the box {part.start}:{part.stop} is not inside 0:{size} with step 1")
        box.append(slice(start, stop))
    return tuple(box)


def box_shape(box: Box) -> tuple[int, ...]:
    """Return the shape of a box with explicit bounds."""
    return tuple(part.stop - part.start for part in box)


class Reshaped:
    """Show an array with dimensions of length one added or left out, without reading it."""

    def __init__(self, array: Any, shape: tuple[int, ...]) -> None:
        if [size for size in shape if size != 1] != [size for size in array.shape if size != 1]:
            message = f"shape {tuple(array.shape)} cannot be shown as {shape}"
            raise ValueError(message)
        self.array = array
        self.shape = shape
        self.dtype = array.dtype

    def __getitem__(self, box: Box) -> np.ndarray[Any, Any]:
        sizes = box_shape(box)
        if 0 in sizes:
            return np.empty(sizes, self.dtype)
        long = iter([part for part, size in zip(box, self.shape, strict=True) if size != 1])
        inner = tuple(slice(0, 1) if size == 1 else next(long) for size in self.array.shape)
        return np.asarray(self.array[inner]).reshape(sizes)


def nbytes(shape: Sequence[int], dtype: Any) -> int:
    """Return the size of an array in bytes."""
    return math.prod(shape) * int(np.dtype(dtype).itemsize)

"""The volume: an array (C, Z, Y, X) with its voxel grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Spacing = tuple[float, float, float]

PIECE = 1 << 22
"""Voxels that whole-volume passes look at together: their temporaries stay below some 32 MB."""
_FEW_PLANES = 48
CHUNK = 64
"""Edge of the chunks of arrays that are written, where the format has any."""
_DEFAULT_AXES = {2: "yx", 3: "zyx", 4: "czyx"}
_METRES = {
    "angstrom": 1e-10, "å": 1e-10, "nm": 1e-9, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "micron": 1e-6,
    "mm": 1e-3, "cm": 1e-2, "m": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """Where voxels lie: spacing ``(z, y, x)`` in ``unit`` (None: unknown) and the file they came from."""

    spacing: Spacing | None = None
    unit: str = ""
    source: str = ""
    independent: bool = False

    @property
    def isotropic(self) -> bool:
        """Whether the coarsest spacing is at most twice the finest (unknown spacing counts as isotropic)."""
        return self.spacing is None or max(self.spacing) <= 2 * min(self.spacing)

    def odd_axis(self, shape: Sequence[int]) -> str:
        """Return the one axis of a volume (Z, Y, X) that looks unlike the others, an empty string where all are alike.

        It is the one whose spacing differs most by ratio, where that is by more than a factor of two: that across thick
        sections. Else it is z where planes are few: under 48, and under half of the others' extent.
        """
        if self.spacing is not None and not self.isotropic:
            fine, middle, coarse = sorted(self.spacing)
            return "zyx"[self.spacing.index(coarse if coarse / middle >= middle / fine else fine)]
        depth, *plane = shape
        return "z" if depth < _FEW_PLANES and 2 * depth < min(plane) else ""

    @property
    def metres(self) -> Spacing | None:
        """The spacing in metres, None where it or its unit is not known."""
        in_metres = self.in_unit("m")
        return in_metres.spacing if in_metres.unit == "m" else None

    @property
    def voxel_size(self) -> str:
        """Spacing and unit, for people."""
        return f"{' x '.join(f'{size:g}' for size in self.spacing or ())} {self.unit}".rstrip()

    def in_unit(self, unit: str) -> Grid:
        """Return the grid with its spacing in another unit of length; itself where one of the units is not known."""
        mine, other = (_METRES.get(name.strip().lower()) for name in (self.unit, unit))
        if self.spacing is None or mine is None or other is None:
            return self
        z, y, x = (size * (mine / other) for size in self.spacing)
        return replace(self, spacing=(z, y, x), unit=unit)


@dataclass(frozen=True)
class Volume:
    """An image ``(C, Z, Y, X)`` in memory; a 2D image has ``Z = 1``.

    Raises:
        DataError: the array has other than 4 dimensions.
    """

    data: np.ndarray[Any, Any]
    grid: Grid = field(default_factory=Grid)

    def __post_init__(self) -> None:
        if self.data.ndim != len("czyx"):
            raise _wrong_dimensions(self.data.ndim, self.grid.source or "volume")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y and x."""
        _, z, y, x = self.data.shape
        return z, y, x

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.data.shape[0])


def to_czyx(array: np.ndarray[Any, Any], axes: str = "", where: str = "array") -> np.ndarray[Any, Any]:
    """Return a view of ``array`` with axes (C, Z, Y, X).

    ``axes`` names the dimensions (``c z y x``, or ``n`` for independent images, which lie along z); without it,
    2 dimensions are yx, 3 zyx and 4 czyx.

    Raises:
        DataError: other numbers of dimensions, no values, or both z and n.
    """
    axes = stored_axes(axes or _DEFAULT_AXES.get(array.ndim, ""), where)
    if not axes or len(axes) != array.ndim:
        raise _wrong_dimensions(array.ndim, where)
    if array.size == 0:
        raise DataError(where, f"an array of shape {array.shape} holds no values")
    for letter in "zc":
        if letter not in axes:
            array, axes = array[None], letter + axes
    return array.transpose([axes.index(letter) for letter in "czyx"])


def stored_axes(axes: str, where: str) -> str:
    """Return ``axes`` with independent images (n) laid along z.

    Raises:
        DataError: there are independent images and z planes.
    """
    if "n" in axes and "z" in axes:
        raise DataError(
            where,
            f"has axes {axes!r}: independent images (n) of several planes (z) are not one volume",
            "Save each image as a volume of its own.",
        )
    return axes.replace("n", "z")


def _wrong_dimensions(ndim: int, where: str) -> DataError:
    return DataError(
        where,
        f"an array with {ndim} dimensions is not a volume",
        "A volume has 2 (y, x), 3 (z, y, x) or 4 (channel, z, y, x) dimensions.",
    )


def pieces(shape: Sequence[int], voxels: int = PIECE) -> Iterator[tuple[slice, slice]]:
    """Yield boxes along the first two axes that cover ``shape``, each with about ``voxels`` voxels at most.

    Whole planes where they are small, runs of rows where a single plane is larger: passes over a volume or a
    whole slide this way need no temporary of its size.
    """
    row = max(1, math.prod(shape[2:]))
    plane = max(1, row * shape[1])
    planes, rows = max(1, voxels // plane), max(1, min(shape[1], voxels // row))
    for z in range(0, shape[0], planes):
        for y in range(0, shape[1], rows):
            yield slice(z, min(z + planes, shape[0])), slice(y, min(y + rows, shape[1]))


def whole_chunks(shape: Sequence[int], voxels: int = PIECE // 4) -> Iterator[tuple[slice, slice]]:
    """Yield boxes along the first two axes that cover ``shape``, whole chunks of about ``voxels`` voxels.

    A compressed file is read and written chunk by chunk: in planes, each chunk would be opened once for each of them.
    """
    row = min(CHUNK, shape[0]) * math.prod(shape[2:])
    rows = max(1, voxels // row // CHUNK) * CHUNK
    for z in range(0, shape[0], CHUNK):
        for y in range(0, shape[1], rows):
            yield slice(z, min(z + CHUNK, shape[0])), slice(y, min(y + rows, shape[1]))


def check_finite(array: np.ndarray[Any, Any], where: str) -> None:
    """Raise a DataError when a float array (C, Z, Y, X) holds NaN or infinity."""
    if array.dtype.kind != "f":
        return
    bad = 0
    for channel in array:
        for box in pieces(channel.shape):
            finite = np.isfinite(channel[box])
            bad += finite.size - int(np.count_nonzero(finite))
    if bad:
        raise DataError(
            where,
            f"holds {bad} voxels that are NaN or infinite",
            "Replace them first, for instance with the volume's median.",
        )

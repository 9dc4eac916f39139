"""The volume: an array (C, Z, Y, X) with its voxel grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from volseg_core.errors import DataError

Spacing = tuple[float, float, float]


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


@dataclass(frozen=True)
class Volume:
    """An image ``(C, Z, Y, X)`` in memory; a 2D image has ``Z = 1``."""

    data: np.ndarray[Any, Any]
    grid: Grid = field(default_factory=Grid)

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
        DataError: other numbers of dimensions.
    """
    if not axes:
        axes = {2: "yx", 3: "zyx", 4: "czyx"}.get(array.ndim, "")
    if not 2 <= array.ndim <= 4 or not axes:
        raise DataError(
            where,
            f"an array with {array.ndim} dimensions is not a volume",
            "A volume has 2 (y, x), 3 (z, y, x) or 4 (channel, z, y, x) dimensions.",
        )
    axes = axes.replace("n", "z")
    for letter in "zc":
        if letter not in axes:
            array, axes = array[None], letter + axes
    return array.transpose([axes.index(letter) for letter in "czyx"])


def check_finite(array: np.ndarray[Any, Any], where: str) -> None:
    """Raise a DataError when a float array holds NaN or infinity (plane by plane: no full-size temporary)."""
    if array.dtype.kind != "f":
        return
    bad = sum(int(array[channel, z].size - np.isfinite(array[channel, z]).sum())
              for channel in range(array.shape[0]) for z in range(array.shape[1]))
    if bad:
        raise DataError(
            where,
            f"holds {bad} voxels that are NaN or infinite",
            "Replace them first, for instance with the volume's median.",
        )

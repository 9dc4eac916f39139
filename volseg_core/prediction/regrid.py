"""Prediction on the grid that a network was trained on, of volumes that lie on another one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from volseg_core.data.files import VolumeSource
from volseg_core.prediction.arrays import Memory
from volseg_core.volume.grid import whole_chunks
from volseg_core.volume.resample import resample, resampled_shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from volseg_core.api import ArraySpec, Sink

    Shape = tuple[int, int, int]
    Spacing = tuple[float, float, float]


def regridded(source: VolumeSource, target: Spacing | None, unit: str) -> VolumeSource:
    """Return a source with voxels of a target spacing in a unit, in memory, or the source itself where it has them.

    Raises:
        DataError: the volume does not say its spacing, or another one by far.
    """
    if target is None:
        return source
    grid = source.grid.in_unit(unit)
    shape = resampled_shape(source.shape, grid, target)
    if shape == tuple(source.shape):
        return source
    data = resample(source.read(), shape, linear=True)
    return VolumeSource(None, data, replace(grid, spacing=target), source.reader)


def stored_specs(specs: Mapping[str, ArraySpec], shape: Shape) -> dict[str, ArraySpec]:
    """Return arrays as they are stored: of the input's shape (Z, Y, X)."""
    return {name: replace(spec, shape=(*spec.shape[:-3], *shape)) for name, spec in specs.items()}


class Regrid(Memory):
    """A sink that keeps arrays on the network's grid, and gives them to another one on the input's.

    Of floats the result is linear, of integers the nearest voxel's: confidences keep the places of their labels.
    """

    def __init__(self, specs: Mapping[str, ArraySpec], sink: Sink | Memory, shape: Shape) -> None:
        super().__init__(specs)
        self.paths, self._sink, self._shape = sink.paths, sink, shape

    def commit(self) -> None:
        """Resample everything, write it and finish."""
        for name, array in self.arrays.items():
            channels = array if array.ndim == len("czyx") else array[np.newaxis]
            back = resample(channels, self._shape, linear=array.dtype.kind == "f")
            for planes, rows in whole_chunks(self._shape):
                where = (planes, rows, slice(0, self._shape[2]))
                box: tuple[Any, ...] = (slice(0, len(back)), *where) if array.ndim == len("czyx") else where
                self._sink.write(name, box, back[box] if array.ndim == len("czyx") else back[0][box])
        self._sink.commit()
        self.arrays = getattr(self._sink, "arrays", {})

    def abort(self) -> None:
        """Remove what was written."""
        self._sink.abort()

    def __enter__(self) -> Self:
        self._sink.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        leave: Any = self._sink.__exit__
        leave(*raised)

"""Output as folders of image slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile

from volseg_core.api import DataError
from volseg_formats.layout import nbytes
from volseg_formats.metadata import kept, write_record
from volseg_formats.sink import StagedSink, checked_specs, stored_dtype
from volseg_formats.slices_reader import RECORD
from volseg_formats.staging import Staging, reserve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.api import ArraySpec

_DIGITS = 5


class SlicesWriter:
    """Create one folder per array with one image per z: PNG for uint8 and uint16, TIFF otherwise.

    Boxes are collected in a working file on the same disk and encoded at the end, so they may come in any order.
    """

    def create(self, path: Path, arrays: Mapping[str, ArraySpec], attributes: Mapping[str, Any]) -> StagedSink:
        """Return a sink; the first array becomes the folder ``path``, another the folder ``PATH_NAME``.

        Raises:
            DataError: an array has other axes than zyx, a folder holds other files, or it cannot be written.
            ResourceError: the disk is full.

        """
        specs = checked_specs(path, arrays)
        finals = {name: path if not at else path.with_name(f"{path.name}_{name}") for at, name in enumerate(specs)}
        for name, spec in specs.items():
            if spec.axes != "zyx":
                what = f"array {name!r} has the axes {spec.axes!r}; a folder of slices holds zyx only"
                raise DataError(str(path), what, "Write to .h5, .tif or .npy")
            _check_replaceable(finals[name])
        staging = Staging(path)
        with staging.guard():
            staging.check_space(sum(nbytes(spec.shape, stored_dtype(spec)) for spec in specs.values()))
            folders = {name: staging.output(final, folder=True) for name, final in finals.items()}
            maps = {name: create_scratch(staging.scratch(finals[name]), spec) for name, spec in specs.items()}

        def finish() -> None:
            for name, folder in folders.items():
                _check_replaceable(finals[name])
                _encode(maps.pop(name), folder)
                write_record(folder / RECORD, {"axes": "zyx", **kept(attributes)})

        return StagedSink(staging, specs, dict(maps), finish=finish)


def create_scratch(path: Path, spec: ArraySpec, shape: tuple[int, ...] | None = None) -> np.memmap[Any, Any]:
    """Return a memory map of zeros in the working file ``path``, its disk space reserved."""
    values = np.memmap(path, dtype=stored_dtype(spec), mode="w+", shape=shape or tuple(spec.shape))
    reserve(path)
    return values


def _encode(values: np.ndarray[Any, Any], folder: Path) -> None:
    digits = max(_DIGITS, len(str(len(values) - 1)))
    for index, plane in enumerate(values):
        name = folder / f"slice_{index:0{digits}d}"
        if values.dtype in (np.uint8, np.uint16):
            name.with_suffix(".png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(plane), level=1))
        else:
            tifffile.imwrite(name.with_suffix(".tif"), plane, photometric="minisblack", metadata=None)


def _check_replaceable(folder: Path) -> None:
    """Raise DataError unless the folder is absent, empty or one that this writer made: others hold a user's data."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RECORD).is_file():
        what = f"holds other files and no {RECORD}, so it is not replaced"
        raise DataError(str(folder), what, "Choose a new folder")

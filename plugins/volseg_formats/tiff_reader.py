"""TIFF files: multi-page, BigTIFF, ImageJ, OME."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from volseg_core.api import DataError
from volseg_formats.files import check_file, reading, refuse_dataset
from volseg_formats.layout import Reshaped, default_axes, nbytes, parse_axes
from volseg_formats.metadata import spacing_of, unit_name
from volseg_formats.source import ArraySource
from volseg_formats.tiff_check import check_complete
from volseg_formats.tiff_metadata import attributes_of, physical, record_of, volume_axes
from volseg_formats.tiff_pages import Pages, Whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KIND = "TIFF"


class TiffReader:
    """Open the first image series of a TIFF file at full resolution.

    Uncompressed contiguous files are memory-mapped; of others only the strips or tiles inside a box are decoded.
    """

    def open(self, path: Path, dataset: str = "", role: str = "data") -> ArraySource:  # noqa: ARG002 - the readers' contract
        """Return the volume.

        Raises:
            DataError: no such file, no TIFF, truncated, or its axes are not those of one volume.

        """
        check_file(path)
        refuse_dataset(path, dataset, "a TIFF file")
        with reading(path, _KIND), _quiet():
            check_complete(path)
            file = tifffile.TiffFile(path)
        try:
            with reading(path, _KIND), _quiet():
                return _source(path, file)
        except BaseException:
            file.close()
            raise


def _source(path: Path, file: tifffile.TiffFile) -> ArraySource:
    if not file.series:
        raise DataError(str(path), "holds no image")
    series = file.series[0]
    record = record_of(file)
    axes, shape = _stored(path, series, record)
    default_axes(str(path), shape, "Save one volume of it")
    array: Any = _array(path, file, series)
    if record.get("spacing"):
        spacing, unit = spacing_of(record["spacing"]), unit_name(record.get("unit"))
    elif record:
        spacing, unit = None, unit_name(record.get("unit"))
    else:
        spacing, unit = physical(file, shape[axes.index("z")] if "z" in axes else 1)
    return ArraySource(
        path,
        array if tuple(array.shape) == shape else Reshaped(array, shape),
        kind=_KIND,
        axes=axes,
        spacing=spacing,
        unit=unit,
        attributes=attributes_of(file, record),
        close=file.close,
    )


def _stored(path: Path, series: Any, record: dict[str, Any]) -> tuple[str, tuple[int, ...]]:
    """Return axes and shape; our own record knows the dimensions of length one that tifffile leaves out."""
    shape = tuple(int(size) for size in record.get("shape", ()))
    axes = parse_axes(record.get("axes"), len(shape))
    if axes and [size for size in shape if size > 1] == [size for size in series.shape if size > 1]:
        return axes, shape
    return volume_axes(str(path), series.axes, tuple(series.shape))


def _array(path: Path, file: tifffile.TiffFile, series: Any) -> Any:
    offset = series.dataoffset
    if offset is not None and series.keyframe.is_final and not series.is_multifile and series.transform is None:
        if offset + nbytes(series.shape, series.dtype) > path.stat().st_size:
            raise DataError(str(path), "is truncated", "Copy or download the file again")
        dtype = series.dtype.newbyteorder(file.byteorder)
        return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=tuple(series.shape))
    return Pages(path, series) if Pages.suits(series) else Whole(series)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep tifffile's log lines of this thread from the user's terminal; what matters becomes an error."""
    thread = threading.get_ident()
    logger = logging.getLogger("tifffile")

    def mute(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(mute)
    try:
        yield
    finally:
        logger.removeFilter(mute)

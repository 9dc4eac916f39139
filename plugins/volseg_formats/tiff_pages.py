"""Boxes of TIFF pages, decoding only the strips or tiles that they touch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import DataError
from volseg_formats.layout import box_shape

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_formats.layout import Box


class Pages:
    """The pages of a series as an array: leading dimensions count pages, the last ones lie inside a page."""

    def __init__(self, path: Path, series: Any) -> None:
        page = tuple(series.keyframe.shape)
        self.path = path
        self.series = series
        self.shape = tuple(series.shape)
        self.dtype = series.dtype
        self._leading = self.shape[: len(self.shape) - len(page)]

    @classmethod
    def suits(cls, series: Any) -> bool:
        """Whether the series is made of whole pages as they are stored."""
        page, shape = tuple(series.keyframe.shape), tuple(series.shape)
        leading = shape[: len(shape) - len(page)]
        return shape[len(leading) :] == page and math.prod(leading) == len(series) and series.transform is None

    def __getitem__(self, box: Box) -> np.ndarray[Any, Any]:
        depth = len(self._leading)
        outer, inner = box_shape(box[:depth]), box[depth:]
        values = np.empty((*outer, *box_shape(inner)), self.dtype)
        for at in np.ndindex(*outer):
            index = [part.start + step for part, step in zip(box[:depth], at, strict=True)]
            number = int(np.ravel_multi_index(index, self._leading)) if index else 0
            page = self.series[number]
            if page is None:
                raise DataError(str(self.path), f"plane {number} of {len(self.series)} is missing")
            values[at] = read_page(page, inner)
        return values


class Whole:
    """A series that is not made of plain pages; it is read into memory at the first use."""

    def __init__(self, series: Any) -> None:
        self.series = series
        self.shape = tuple(series.shape)
        self.dtype = series.dtype
        self._values: np.ndarray[Any, Any] | None = None

    def __getitem__(self, box: Box) -> np.ndarray[Any, Any]:
        if self._values is None:
            self._values = np.asarray(self.series.asarray()).reshape(self.shape)
        return self._values[box]


def read_page(page: Any, box: Box) -> np.ndarray[Any, Any]:
    """Return a box of one page; axes as the page has them (YX, YXS or SYX)."""
    keyframe = page.keyframe
    if keyframe.axes not in ("YX", "YXS", "SYX") or keyframe.imagedepth != 1 or keyframe.jpegheader is not None:
        return np.asarray(page.asarray())[box]
    rows, columns = (box[keyframe.axes.index(axis)] for axis in "YX")
    samples = box[keyframe.axes.index("S")] if "S" in keyframe.axes else slice(0, 1)
    planar = keyframe.axes == "SYX"
    separate, contiguous = (samples, slice(0, 1)) if planar else (slice(0, 1), samples)
    window = (separate, rows, columns, contiguous)
    values = np.full(box_shape(window), keyframe.nodata, keyframe.dtype)
    for index in _segments(keyframe, separate, rows, columns):
        segment, (sample, _, row, column, _), _ = _decoded(page, index)
        if segment is not None:
            _place(values, window, segment[0], (sample, row, column))
    return values.reshape(box_shape(box))


def _segments(keyframe: Any, separate: slice, rows: slice, columns: slice) -> list[int]:
    """Return the numbers of the strips or tiles that the window touches."""
    if keyframe.is_tiled:
        high, wide = keyframe.tilelength, keyframe.tilewidth
    else:
        high, wide = min(keyframe.rowsperstrip, keyframe.imagelength), keyframe.imagewidth
    down, across = math.ceil(keyframe.imagelength / high), math.ceil(keyframe.imagewidth / wide)
    return [
        (sample * down + row) * across + column
        for sample in range(separate.start, separate.stop)
        for row in range(rows.start // high, math.ceil(rows.stop / high))
        for column in range(columns.start // wide, math.ceil(columns.stop / wide))
    ]


def _decoded(page: Any, index: int) -> Any:
    keyframe = page.keyframe
    handle = page.parent.filehandle
    with handle.lock:
        if handle.closed:  # a further file of a series in several files
            handle.open()
        keyframe.init_decode()
        size = page.databytecounts[index]
        handle.seek(page.dataoffsets[index])
        data = handle.read(size) if size else None
    tables = {"jpegtables": page.jpegtables} if keyframe.compression in (6, 7, 34892, 33007) else {}
    return keyframe.decode(data, index, **tables)


def _place(values: np.ndarray[Any, Any], window: Box, segment: np.ndarray[Any, Any], at: tuple[int, int, int]) -> None:
    """Copy the part of a segment ``(Y, X, S)`` at ``(sample, row, column)`` that lies inside the window."""
    separate, rows, columns, contiguous = window
    sample, row, column = at
    top, bottom = max(rows.start, row), min(rows.stop, row + segment.shape[0])
    left, right = max(columns.start, column), min(columns.stop, column + segment.shape[1])
    part = segment[top - row : bottom - row, left - column : right - column, contiguous]
    target = values[sample - separate.start]
    target[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = part

"""Folders of image slices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile

from volseg_core.api import DataError
from volseg_formats.files import check_folder, reading, refuse_dataset
from volseg_formats.layout import box_shape
from volseg_formats.metadata import read_record, split
from volseg_formats.source import ArraySource
from volseg_formats.tiff_check import check_complete

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_formats.layout import Box

RECORD = "volume.json"
FORMATS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG", ".jpeg": "JPEG"}

_PNG_COLOUR_TYPE = 25  # position of that byte in every PNG file
_PALETTE = 3
_JPEG_END = b"\xff\xd9"
_JPEG_TAIL = 4096  # bytes in which the end must be; the decoder fills what is cut off with grey
_PLANE, _COLOUR = 2, 3  # dimensions of an image


class SlicesReader:
    """Read a folder of PNG, TIFF or JPEG images as one volume, one image per z, decoded when it is read."""

    def open(self, path: Path, dataset: str = "", role: str = "data") -> ArraySource:
        """Return the volume: axes zyx for grey images, zyxc for colour.

        Raises:
            DataError: no such folder, no images, several formats, or images of different shape or type.

        """
        check_folder(path)
        refuse_dataset(path, dataset, "a folder of images")
        with reading(path, "folder of images"):
            stack = Stack(slice_files(path), labels=role == "labels")
        spacing, unit, attributes = split(read_record(path / RECORD))
        axes = "zyx" if len(stack.shape) == 1 + _PLANE else "zyxc"
        kind = "folder of images"
        return ArraySource(path, stack, kind=kind, axes=axes, spacing=spacing, unit=unit, attributes=attributes)


class Stack:
    """Images of one folder as an array ``(Z, Y, X)`` or ``(Z, Y, X, C)``; first and last are checked now."""

    def __init__(self, files: list[Path], *, labels: bool) -> None:
        self.files = files
        self._labels = labels
        first = decode(files[0], labels=labels)
        self._image = first.shape
        self.shape = (len(files), *first.shape)
        self.dtype: np.dtype[Any] = first.dtype
        self._decode(len(files) - 1)

    def __getitem__(self, box: Box) -> np.ndarray[Any, Any]:
        values = np.empty(box_shape(box), self.dtype)
        for at, index in enumerate(range(box[0].start, box[0].stop)):
            values[at] = self._decode(index)[box[1:]]
        return values

    def _decode(self, index: int) -> np.ndarray[Any, Any]:
        image = decode(self.files[index], labels=self._labels)
        if image.shape != self._image or image.dtype != self.dtype:
            what = f"is {image.shape} {image.dtype}, but {self.files[0].name!r} is {self._image} {self.dtype}"
            raise DataError(str(self.files[index]), what, "All slices of a folder must agree")
        return image


def slice_files(path: Path) -> list[Path]:
    """Return the images of a folder in natural order (``slice_2`` before ``slice_10``), hidden files left out.

    Raises:
        DataError: there are no images, or images of several formats.

    """
    found = [file for file in path.iterdir() if file.suffix.lower() in FORMATS and not file.name.startswith(".")]
    files = [file for file in found if file.is_file()]
    if not files:
        raise DataError(str(path), f"holds no images ({', '.join(FORMATS)})")
    formats = sorted({FORMATS[file.suffix.lower()] for file in files})
    if len(formats) > 1:
        raise DataError(str(path), f"holds images of several formats ({', '.join(formats)})", "Keep one format")
    return sorted(files, key=natural)


def natural(file: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sorting key that compares runs of digits as numbers."""
    parts = re.split(r"([0-9]+)", file.stem.lower())
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part], file.name


def decode(file: Path, *, labels: bool = False) -> np.ndarray[Any, Any]:
    """Return one image ``(Y, X)`` or ``(Y, X, C)``.

    Raises:
        DataError: it cannot be decoded, has several pages, or is a palette image of labels.

    """
    kind = FORMATS[file.suffix.lower()]
    with reading(file, f"{kind} image"):
        if kind == "TIFF":
            image = _decode_tiff(file)
        else:
            data = file.read_bytes()
            if labels and kind == "PNG" and data[_PNG_COLOUR_TYPE : _PNG_COLOUR_TYPE + 1] == bytes([_PALETTE]):
                raise DataError(str(file), "has a palette, so that labels would be read as colours", "Save it as grey")
            if kind == "JPEG" and _JPEG_END not in data[-_JPEG_TAIL:]:
                raise DataError(str(file), "is truncated", "Copy or download the file again")
            image = np.asarray(imagecodecs.png_decode(data) if kind == "PNG" else imagecodecs.jpeg_decode(data))
    if image.ndim not in (_PLANE, _COLOUR):
        raise DataError(str(file), f"is an image with {image.ndim} dimensions; 2, or 3 with colours, are expected")
    return image


def _decode_tiff(file: Path) -> np.ndarray[Any, Any]:
    check_complete(file)
    with tifffile.TiffFile(file) as tiff:
        if len(tiff.pages) != 1:
            what = f"has {len(tiff.pages)} pages; a slice has one"
            raise DataError(str(file), what, "Open the file itself as a volume")
        page = tiff.pages[0]
        image = page.asarray()
        return np.moveaxis(image, 0, -1) if page.axes == "SYX" else image

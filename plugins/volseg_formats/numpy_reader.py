"""NumPy files: .npy and .npz."""

from __future__ import annotations

import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import DataError
from volseg_formats.files import check_file, reading, refuse_dataset
from volseg_formats.layout import check_numeric, default_axes, nbytes, parse_axes
from volseg_formats.metadata import read_record, split
from volseg_formats.selection import choose, unknown
from volseg_formats.source import ArraySource

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_formats.layout import Box

_NPY = b"\x93NUMPY"
_ZIP = b"PK\x03\x04"
_LOCAL_HEADER = 30  # bytes of a zip member's header before its name


class NumpyReader:
    """Memory-map .npy files and stored members of .npz files; nothing is ever unpickled.

    A compressed member of a .npz file is decompressed into memory when it is first read.
    """

    def open(self, path: Path, dataset: str = "", role: str = "data") -> ArraySource:
        """Return the array of a .npy file, or the member of a .npz file named ``dataset`` or serving ``role``.

        Raises:
            DataError: no such file or member, no NumPy file, truncated, pickled objects, or not a volume of numbers.

        """
        check_file(path)
        with reading(path, "NumPy file"):
            with path.open("rb") as file:
                magic = file.read(len(_NPY))
            if magic.startswith(_ZIP):
                name, array = _member(path, dataset, role)
            elif magic == _NPY:
                refuse_dataset(path, dataset, "a .npy file")
                name, array = "", _array(path)
            else:
                raise DataError(str(path), "is not a NumPy file (.npy or .npz); pickles are never loaded")
            axes = default_axes(str(path), array.shape, "Save one volume of it")
        record = read_record(path.with_name(path.name + ".json"))
        named = record.get("axes")
        named = named.get(name) if isinstance(named, dict) else named
        spacing, unit, attributes = split(record)
        return ArraySource(
            path,
            array,
            kind="NumPy file",
            axes=parse_axes(named, len(array.shape)) or axes,
            spacing=spacing,
            unit=unit,
            dataset=name,
            attributes=attributes,
        )


class _Compressed:
    """A compressed member: its header now, its values when they are wanted."""

    def __init__(self, path: Path, member: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path = path
        self.member = member
        self.shape = shape
        self.dtype = dtype
        self._values: np.ndarray[Any, Any] | None = None

    def __getitem__(self, box: Box) -> np.ndarray[Any, Any]:
        if self._values is None:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                self._values = np.lib.format.read_array(file, allow_pickle=False)
        return self._values[box]


def _member(path: Path, dataset: str, role: str) -> tuple[str, Any]:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        headers = {}
        for name, info in members.items():
            with archive.open(info) as file:
                if file.read(len(_NPY)) == _NPY:
                    file.seek(0)
                    headers[name] = _header(file)
        numbers = {name: shape for name, (shape, _, dtype) in headers.items() if dtype.kind in "biuf"}
        wanted = dataset.strip("/").removesuffix(".npy")
        if wanted and wanted not in members:
            raise unknown(str(path), dataset, numbers)
        name = wanted or choose(str(path), numbers, role)
        if name not in headers:
            raise DataError(str(path), f"{name!r} is not an array; pickles are never loaded")
        shape, fortran, dtype = headers[name]
        check_numeric(str(path), dtype)
        info = members[name]
        if info.compress_type != zipfile.ZIP_STORED:
            return name, _Compressed(path, info.filename, shape, dtype)
    with path.open("rb") as file:
        file.seek(info.header_offset)
        local = file.read(_LOCAL_HEADER)
        skip = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        file.seek(skip, 1)
        _header(file)
        return name, _mapped(path, file.tell(), shape, fortran, dtype)


def _array(path: Path) -> Any:
    with path.open("rb") as file:
        shape, fortran, dtype = _header(file)
        check_numeric(str(path), dtype)
        return _mapped(path, file.tell(), shape, fortran, dtype)


def _mapped(path: Path, offset: int, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]) -> Any:
    if offset + nbytes(shape, dtype) > path.stat().st_size:
        raise DataError(str(path), "is truncated", "Copy or write the file again")
    default_axes(str(path), shape, "Save one volume of it")
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_core.api import ArraySpec
from volseg_formats.hdf5_reader import Hdf5Reader
from volseg_formats.hdf5_writer import Hdf5Writer
from volseg_formats.numpy_reader import NumpyReader
from volseg_formats.numpy_writer import NumpyWriter
from volseg_formats.slices_reader import SlicesReader
from volseg_formats.slices_writer import SlicesWriter
from volseg_formats.tiff_reader import TiffReader
from volseg_formats.tiff_writer import TiffWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMATS: dict[str, tuple[Any, Any, str]] = {
    "hdf5-gzip": (Hdf5Reader(), Hdf5Writer(), "out.h5"),
    "hdf5-lzf": (Hdf5Reader(), Hdf5Writer(compression="lzf"), "out.h5"),
    "hdf5-none": (Hdf5Reader(), Hdf5Writer(compression="none"), "out.h5"),
    "tiff-none": (TiffReader(), TiffWriter(), "out.tif"),
    "tiff-zlib": (TiffReader(), TiffWriter(compression="zlib"), "out.tif"),
    "npy": (NumpyReader(), NumpyWriter(), "out.npy"),
    "npz": (NumpyReader(), NumpyWriter(), "out.npz"),
    "slices": (SlicesReader(), SlicesWriter(), "out"),
}


@pytest.fixture(params=list(FORMATS))
def form(request: pytest.FixtureRequest) -> tuple[Any, Any, str]:
    """Reader, writer and file name of each format."""
    return FORMATS[request.param]


@pytest.fixture
def save() -> Callable[..., Path]:
    """Write one array through a writer, whole, and return the path."""

    def write(writer: Any, path: Path, values: np.ndarray[Any, Any], axes: str = "", **attributes: Any) -> Path:
        spec = ArraySpec(values.shape, str(values.dtype), axes or "czyx"[-values.ndim :])
        with writer.create(path, {"labels": spec}, attributes) as sink:
            sink.write("labels", tuple(slice(0, size) for size in values.shape), values)
            sink.commit()
        return path

    return write


@pytest.fixture
def numbers() -> Callable[..., np.ndarray[Any, Any]]:
    """Return voxels that are all different as far as their type can tell."""

    def make(shape: tuple[int, ...], dtype: str = "uint16") -> np.ndarray[Any, Any]:
        values = np.arange(np.prod(shape)).reshape(shape)
        return (values % 2 == 0) if dtype == "bool" else (values % 251).astype(dtype)

    return make


@pytest.fixture
def tree() -> Callable[[Path], dict[str, str]]:
    """Return the hash of every file below a folder, hidden ones included."""

    def digest(folder: Path) -> dict[str, str]:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return digest

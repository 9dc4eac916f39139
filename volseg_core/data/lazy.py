"""Volumes that do not fit into memory: copied once to a memory-mapped file, from which patches are read.

Files of volumes are opened by one process, read once from end to end and never written. The copy is not compressed and
lies in the folder of temporary files (TMPDIR); data workers map it, forked or spawned, and it goes with its array.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import ResourceError
from volseg_core.machine import memory_available
from volseg_core.volume.grid import whole_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.data.files import VolumeSource

    Array = np.ndarray[Any, Any]

"""Planes that are read together at least: what is stored in chunks is then read about once."""
_BYTES = 1 << 28
_SHARE = 2
"""Volumes that would take more than this part of the memory that is left are not held in it."""


class Mapped(np.memmap[Any, Any]):
    """A memory-mapped array; the whole one is pickled as the name of its file, parts of it as their values."""

    def __reduce__(self) -> Any:
        """Return how another process makes this array."""
        if isinstance(self.base, mmap):
            return _reopened, (str(self.filename), self.dtype, self.shape)
        return np.array(self).__reduce__()


def _reopened(path: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Mapped:
    return Mapped(path, dtype, "r", shape=shape)


def mapped(shape: Sequence[int], dtype: Any) -> Array:
    """Return an array in a file of its own, which is removed with it.

    Raises:
        ResourceError: the folder of temporary files has no room for it.
    """
    folder = tempfile.gettempdir()
    needed, left = int(np.prod(shape)) * np.dtype(dtype).itemsize, shutil.disk_usage(folder).free
    if needed > left:
        what = f"needs {needed / 2**30:.1f} GiB, of which {left / 2**30:.1f} GiB are left"
        raise ResourceError(folder, what, "Set TMPDIR to a folder with more room, or data.lazy=false.")
    handle, path = tempfile.mkstemp(prefix="volseg-", suffix=".raw", dir=folder)
    os.close(handle)
    array = Mapped(path, dtype, "w+", shape=tuple(shape))
    weakref.finalize(array, _remove, Path(path), os.getpid())
    return array


def _remove(path: Path, owner: int) -> None:
    """Remove the file of an array, unless this is a worker, which only lets go of it."""
    if os.getpid() == owner:
        path.unlink(missing_ok=True)


def held(source: VolumeSource, *, lazy: bool) -> Array:
    """Return a volume (C, Z, Y, X) in memory, or of a file in a mapped copy."""
    if not lazy or source.reader is None:
        return np.ascontiguousarray(source.read())
    copy = mapped((source.channels, *source.shape), source.dtype)
    bytes_each = source.channels * source.dtype.itemsize
    for z, y in whole_chunks(source.shape, _BYTES // bytes_each):
        copy[:, z, y] = source.read((z, y, slice(0, source.shape[2])))
    return copy


def too_large(sizes: Sequence[int]) -> bool:
    """Return whether arrays of so many bytes together take too much of the memory that is left."""
    left = memory_available()
    return left is not None and sum(sizes) > left // _SHARE

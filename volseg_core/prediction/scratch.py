"""Arrays that live as long as the work: in memory while they are small, else in files that vanish with it."""

from __future__ import annotations

import math
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from volseg_core.errors import DataError, ResourceError

if TYPE_CHECKING:
    from types import TracebackType

Array = np.ndarray[Any, Any]

LARGE = 1 << 30
"""Bytes that arrays may hold together in memory where there is a folder for files."""


class Scratch:
    """Makes temporary arrays, and removes their files on success, error and interrupt.

    Without a ``folder`` all arrays are in memory; with one those that would exceed ``limit`` bytes together are memory
    maps of files in a folder of their own inside it.
    """

    def __init__(self, folder: Path | None = None, limit: int = LARGE) -> None:
        self._folder, self._limit = folder, limit
        self._used = 0
        self._own: Path | None = None
        self._files = 0
        self._stack = ExitStack()

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any] | type | str) -> Array:
        """Return a new array of zeros.

        Raises:
            DataError: the folder cannot be written. ResourceError: the disk is full.
        """
        needed = math.prod(shape) * np.dtype(dtype).itemsize
        if self._folder is None or not needed or self._used + needed <= self._limit:
            self._used += needed
            return np.zeros(shape, dtype)
        self._files += 1
        path = self._made(self._folder) / f"{self._files}.raw"
        try:
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, needed)  # or a full disk would end the process later
            return np.memmap(path, dtype, "r+", shape=shape)
        except OSError as error:
            what = f"has no room for {needed / 2**30:.1f} GiB of temporary arrays ({error.strerror})"
            raise ResourceError(str(self._folder), what) from None

    def free(self, array: Array) -> None:
        """Give up an array, whose file goes at once."""
        if isinstance(array, np.memmap):
            Path(str(array.filename)).unlink(missing_ok=True)
        else:
            self._used -= array.nbytes

    def _made(self, folder: Path) -> Path:
        if self._own is None:
            try:
                made = self._stack.enter_context(tempfile.TemporaryDirectory(prefix=".volseg-", dir=folder))
            except OSError as error:
                raise DataError(str(folder), f"cannot be written ({error.strerror})") from None
            self._own = Path(made)
        return self._own

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

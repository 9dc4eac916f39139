"""Outputs under temporary names in their own folder, put in place together at the end."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from volseg_core.api import DataError, ResourceError
from volseg_formats.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_RESERVATION = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


class Staging:
    """Keep the temporary files of one output: ``publish`` renames them, ``discard`` removes every trace."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._outputs: dict[Path, Path] = {}
        self._scratch: list[Path] = []
        self._folders: list[Path] = []

    @property
    def paths(self) -> list[Path]:
        """Final names, in the order in which they were asked for."""
        return list(self._outputs)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Discard everything when the block fails, and say why as a DataError or ResourceError."""
        try:
            with writing(self.path):
                yield
        except BaseException:
            self.discard()
            raise

    def output(self, final: Path, *, folder: bool = False) -> Path:
        """Return the temporary name of the output ``final``, a file or a folder that is made here."""
        if final.is_dir() and not folder:
            raise DataError(str(final), "is a folder; a file would be written here")
        if folder and final.exists() and not final.is_dir():
            raise DataError(str(final), "is a file; a folder of images would be written here")
        temporary = self._temporary(final, "part")
        self._outputs[final] = temporary
        if folder:
            temporary.mkdir()
        return temporary

    def scratch(self, final: Path) -> Path:
        """Return the name of a working file for ``final`` that never outlives the output's writing."""
        temporary = self._temporary(final, "work")
        self._scratch.append(temporary)
        return temporary

    def check_space(self, size: int) -> None:
        """Raise ResourceError when the disk of the output has less than ``size`` bytes left."""
        self._make_parent(self.path)
        free = shutil.disk_usage(self.path.parent).free
        if size > free:
            what = f"cannot be written: it needs {_size(size)} and the disk has {_size(free)} left"
            raise ResourceError(str(self.path), what, "Free some space or write to another disk")

    def publish(self) -> None:
        """Rename all outputs to their final names and remove the working files."""
        for final, temporary in self._outputs.items():
            if temporary.is_dir() and final.exists():
                _swap_folders(temporary, final)
            else:
                temporary.replace(final)
        self._outputs = {}
        self._folders = []
        self.discard()

    def discard(self) -> None:
        """Remove temporary files and the folders that were made for them; existing outputs stay as they are."""
        for path in [*self._outputs.values(), *self._scratch]:
            _remove(path)
        for folder in reversed(self._folders):
            with suppress(OSError):
                folder.rmdir()
        self._outputs, self._scratch, self._folders = {}, [], []

    def _temporary(self, final: Path, word: str) -> Path:
        self._make_parent(final)
        temporary = final.with_name(f".{final.name}.{word}-{os.getpid()}")
        _remove(temporary)  # of a killed process that had the same number
        return temporary

    def _make_parent(self, path: Path) -> None:
        missing = [folder for folder in path.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            self._folders.append(folder)


def reserve(path: Path) -> None:
    """Claim the disk space of a sparse file now: a full disk is an error here, not a crash of a memory map."""
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in _NO_RESERVATION:
                raise


def _swap_folders(temporary: Path, final: Path) -> None:
    old = final.with_name(f".{final.name}.old-{os.getpid()}")
    _remove(old)
    final.rename(old)
    try:
        temporary.rename(final)
    except OSError:
        old.rename(final)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{size / 1e6:.1f} MB"

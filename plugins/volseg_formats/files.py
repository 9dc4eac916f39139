"""Errors of the file system as sentences: opening what is there, writing what is not yet."""

from __future__ import annotations

import difflib
import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from volseg_core.api import DataError, ResourceError, VolsegError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM}


def check_file(path: Path) -> None:
    """Check that ``path`` is a file with something in it.

    Raises:
        DataError: it is missing (with the nearest name beside it), a folder, empty or not accessible.

    """
    with reading(path, "file"):
        if path.is_dir():
            raise DataError(str(path), "is a folder; this format is a file")
        if not path.exists():
            raise DataError(str(path), "no such file", _nearest_file(path))
        if path.is_file() and path.stat().st_size == 0:
            raise DataError(str(path), "is empty (0 bytes)")


def check_folder(path: Path) -> None:
    """Check that ``path`` is a folder.

    Raises:
        DataError: it is missing, a file or not accessible.

    """
    with reading(path, "folder"):
        if not path.exists():
            raise DataError(str(path), "no such folder", _nearest_file(path))
        if not path.is_dir():
            raise DataError(str(path), "is a file; a folder of images is expected")


def refuse_dataset(path: Path, dataset: str, kind: str) -> None:
    """Raise DataError when an internal path is given for a format that has none."""
    if dataset.strip("/"):
        hint = f"Give {str(path)!r} alone"
        raise DataError(str(path), f"{kind} has no datasets inside; {dataset!r} cannot be opened", hint)


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn every error of a decoder into a DataError on ``path``, which is not a readable ``kind``.

    Memory that does not suffice becomes a ResourceError.
    """
    where = str(path)
    try:
        yield
    except VolsegError:
        raise
    except MemoryError as error:
        raise ResourceError(where, "does not fit into memory", "Read a smaller box") from error
    except PermissionError as error:
        raise DataError(where, "cannot be read: permission denied") from error
    except Exception as error:
        text = str(error) or type(error).__name__
        if "truncated" in text.lower():
            raise DataError(where, "is truncated", "Copy or download the file again", [text]) from error
        raise DataError(where, f"is not a readable {kind}", notes=[text]) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the file system into a DataError, or a ResourceError when the disk is full."""
    where = str(path)
    try:
        yield
    except OSError as error:
        code = error_number(error)
        if code in _FULL:
            hint = "Free some space or write to another disk"
            raise ResourceError(where, "cannot be written: the disk is full", hint) from error
        if code == errno.EFBIG:
            raise ResourceError(where, "cannot be written: too large for this file system") from error
        if code in _DENIED:
            hint = "Choose a folder that you may write to"
            raise DataError(where, "cannot be written: permission denied", hint) from error
        raise DataError(where, f"cannot be written: {error.strerror or error}") from error


def error_number(error: OSError) -> int | None:
    """Return the errno of an error; HDF5 gives it only inside the text."""
    if error.errno is not None:
        return error.errno
    found = re.search(r"errno = (\d+)", str(error))
    return int(found.group(1)) if found else None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'?`` for the known name nearest to ``name``, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""


def _nearest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f"The folder {str(path.parent)!r} does not exist"
    return nearest(path.name, (entry.name for entry in path.parent.iterdir()))

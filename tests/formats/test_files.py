from __future__ import annotations

import errno
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from volseg_core.api import DataError, ResourceError
from volseg_formats.files import check_file, check_folder, error_number, reading, refuse_dataset, writing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ResourceError, "the disk is full. Free some space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), ResourceError, "the disk is full. Free some space"),
        (OSError("write failed: errno = 28, error message = 'No space'"), ResourceError, "the disk is full. Free"),
        (OSError(errno.EFBIG, "File too large"), ResourceError, "too large for this file system"),
        (PermissionError(errno.EACCES, "Permission denied"), DataError, "permission denied. Choose a folder"),
        (OSError(errno.EROFS, "Read-only file system"), DataError, "Read-only file system"),
    ],
)
def test_errors_of_writing_are_sentences(
    tmp_path: Path, error: BaseException, kind: type[Exception], text: Any
) -> None:
    with pytest.raises(kind) as caught, writing(tmp_path / "out.h5"):
        raise error
    assert str(caught.value).startswith(f"{tmp_path / 'out.h5'}: cannot be written: {text}")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "a.h5: cannot be read: permission denied"),
        (OSError("Unable to open file (truncated file: eof = 9)"), "a.h5: is truncated. Copy or download"),
        (zipfile.BadZipFile("no zip"), "a.h5: is not a readable HDF5 file"),
        (DataError("b", "is odd"), "b: is odd"),
    ],
)
def test_errors_of_reading_are_sentences(tmp_path: Path, error: BaseException, text: Any) -> None:
    with pytest.raises(DataError) as caught, reading(tmp_path / "a.h5", "HDF5 file"):
        raise error
    assert text in str(caught.value)


def test_memory_is_a_resource_and_interrupts_pass(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="does not fit into memory"), reading(tmp_path, "file"):
        raise MemoryError
    with pytest.raises(KeyboardInterrupt), reading(tmp_path, "file"):
        raise KeyboardInterrupt


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file\. The folder '.*/nowhere' does not exist"):
        check_file(tmp_path / "nowhere" / "a.h5")
    with pytest.raises(DataError, match="no such folder"):
        check_folder(tmp_path / "nowhere")


def test_a_root_path_is_no_dataset(tmp_path: Path) -> None:
    refuse_dataset(tmp_path, "/", "a TIFF file")
    with pytest.raises(DataError, match=r"a TIFF file has no datasets inside; '/data' cannot be opened\. Give '.*' al"):
        refuse_dataset(tmp_path, "/data", "a TIFF file")


def test_an_error_without_number_has_none() -> None:
    assert error_number(OSError("odd")) is None

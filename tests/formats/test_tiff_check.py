from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from volseg_core.api import DataError
from volseg_formats.tiff_check import check_complete

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "options", [{}, {"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 16), "compression": "zlib"}]
)
def test_a_whole_file_passes_and_any_cut_is_found(tmp_path: Path, options: dict[str, Any]) -> None:
    values = np.random.default_rng(0).integers(0, 255, (4, 20, 30)).astype("uint8")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", **options)
    check_complete(tmp_path / "a.tif")
    raw = (tmp_path / "a.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        ends = [page.dataoffsets[-1] + page.databytecounts[-1] for page in file.pages]
        last = max(*ends, file.pages.next_page_offset + 4)
    for size in [*range(1, last, 37), last - 1]:
        (tmp_path / "cut.tif").write_bytes(raw[:size])
        with pytest.raises(DataError, match=r"is truncated|is not a readable TIFF"):
            check_complete(tmp_path / "cut.tif")


def test_pages_in_a_circle_end(tmp_path: Path) -> None:
    page = struct.pack("<HHHIII", 1, 256, 3, 1, 5, 8)  # its next page is itself
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + page)
    with pytest.raises(DataError, match="its pages form a circle"):
        check_complete(tmp_path / "a.tif")


@pytest.mark.parametrize("head", [b"II*\0", b"MM\0*", b"GIF89a", b"II\x2b\0\x08\0\0\0\x10"])
def test_a_bare_header_is_no_tiff(tmp_path: Path, head: Any) -> None:
    (tmp_path / "a.tif").write_bytes(head)
    with pytest.raises(DataError, match="is not a readable TIFF"):
        check_complete(tmp_path / "a.tif")

"""Completeness of TIFF files: decoders read a file that was cut off as a shorter volume without a word."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from volseg_core.api import DataError

if TYPE_CHECKING:
    from pathlib import Path

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_OFFSETS, _COUNTS = {273, 324}, {279, 325}  # of strips and of tiles
_MOST_ENTRIES = 4096


@dataclass(frozen=True)
class _Flavour:
    """Byte order and sizes of classic TIFF or BigTIFF."""

    order: str
    big: bool

    @property
    def pointer(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def number(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def entry(self) -> np.dtype[np.void]:
        size = "u8" if self.big else "u4"
        inline = "V8" if self.big else "V4"
        return np.dtype([("code", self.order + "u2"), ("type", self.order + "u2"),
                         ("count", self.order + size), ("value", inline)])  # fmt: skip


def check_complete(path: Path) -> None:
    """Walk all pages and check that their tags and image data lie inside the file.

    Raises:
        DataError: it is not a TIFF, or something lies beyond its end.

    """
    where = str(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        flavour, offset = _start(where, file)
        seen: set[int] = set()
        while offset:
            if offset in seen:
                raise DataError(where, "is not a readable TIFF: its pages form a circle")
            seen.add(offset)
            end, offset = _page(where, file, flavour, offset, size)
            if end > size or offset >= size:
                what = f"is truncated: it has {size} bytes and page {len(seen)} needs {max(end, offset)}"
                raise DataError(where, what, "Copy or download the file again")


def _start(where: str, file: IO[bytes]) -> tuple[_Flavour, int]:
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    version = struct.unpack(order + "H", head[2:4])[0] if order and len(head) >= 4 else 0  # noqa: PLR2004 - the version's end
    flavour = _Flavour(order, version == 43)  # noqa: PLR2004 - the number of BigTIFF
    at = 8 if flavour.big else 4
    width = struct.calcsize(flavour.pointer) if order else 0
    if version not in (42, 43) or len(head) < at + width:
        raise DataError(where, "is not a readable TIFF", "Check the file's name and origin")
    return flavour, struct.unpack(flavour.pointer, head[at : at + width])[0]


def _page(where: str, file: IO[bytes], flavour: _Flavour, offset: int, size: int) -> tuple[int, int]:
    """Return the end of the furthest thing that the page at ``offset`` refers to, and where the next page is."""
    if offset >= size:
        return offset, 0
    file.seek(offset)
    head = file.read(struct.calcsize(flavour.number))
    number = struct.unpack(flavour.number, head)[0] if len(head) == struct.calcsize(flavour.number) else 0
    if number > _MOST_ENTRIES:
        raise DataError(where, "is not a readable TIFF: damaged page, or truncated")
    width = number * flavour.entry.itemsize
    body = file.read(width + struct.calcsize(flavour.pointer))
    if not number or len(body) < width + struct.calcsize(flavour.pointer):
        return size + 1, 0
    entries = np.frombuffer(body[:width], flavour.entry)
    return _furthest(file, flavour, entries, size), struct.unpack(flavour.pointer, body[width:])[0]


def _furthest(file: IO[bytes], flavour: _Flavour, entries: np.ndarray[tuple[int], np.dtype[np.void]], size: int) -> int:
    end = 0
    integers: dict[str, np.ndarray[tuple[int], np.dtype[np.uint64]]] = {}
    for entry in entries:
        kind, count, raw = int(entry["type"]), int(entry["count"]), entry["value"].tobytes()
        width = _SIZES.get(kind, 0) * count
        at = struct.unpack(flavour.pointer, raw)[0] if width > len(raw) else None
        if at is not None:
            end = max(end, at + width)
        code = int(entry["code"])
        if code in _OFFSETS | _COUNTS and kind in _INTEGERS and end <= size:
            if at is not None:
                file.seek(at)
                raw = file.read(width)
            values = np.frombuffer(raw[:width], flavour.order + _INTEGERS[kind]).astype(np.uint64)
            integers["offsets" if code in _OFFSETS else "counts"] = values
    if len(integers) == 2 and len(integers["offsets"]) == len(integers["counts"]):  # noqa: PLR2004 - both are there
        end = max(end, int((integers["offsets"] + integers["counts"]).max(initial=0)))
    return end

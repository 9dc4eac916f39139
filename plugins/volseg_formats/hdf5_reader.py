"""HDF5 and NeXus files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py

from volseg_core.api import DataError
from volseg_formats.files import check_file, reading
from volseg_formats.layout import default_axes, parse_axes
from volseg_formats.metadata import from_text, plain, spacing_of, unit_name
from volseg_formats.selection import choose, listed, unknown
from volseg_formats.source import ArraySource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from volseg_core.api import Spacing

_KIND = "HDF5 file"
_SPACINGS = {
    "spacing": "",
    "element_size_um": "um",
    "resolution": "",
    "voxel_size_nm": "nm",
    "voxel_size_um": "um",
    "voxel_size_mm": "mm",
    "voxel_size": "",
}
_CONSUMED = {*_SPACINGS, "unit", "units", "axes"}


class Hdf5Reader:
    """Open one dataset of an HDF5 file; boxes are read chunk by chunk."""

    def open(self, path: Path, dataset: str = "", role: str = "data") -> ArraySource:
        """Return the dataset named ``dataset``, else the one that serves ``role`` (data or labels).

        Raises:
            DataError: no such file or dataset, no HDF5 file, truncated, or not a volume of numbers.

        """
        check_file(path)
        with reading(path, _KIND):
            file = h5py.File(path, "r", locking="best-effort")
        try:
            with reading(path, _KIND):
                return _source(path, file, _select(path, file, dataset, role))
        except BaseException:
            file.close()
            raise


def _source(path: Path, file: h5py.File, found: h5py.Dataset) -> ArraySource:
    levels = list(_levels(found))
    axes = default_axes(str(path), found.shape, f"Name a dataset ({path}:/DATASET) or save one volume of it")
    named = (parse_axes(level["axes"], found.ndim) for level in levels if "axes" in level)
    spacing, unit = _spacing(levels)
    merged: dict[str, Any] = {}
    for level in levels:
        merged = {**{key: value for key, value in level.items() if key not in _CONSUMED}, **merged}
    return ArraySource(
        path,
        found,
        kind=_KIND,
        axes=next((name for name in named if name), axes),
        spacing=spacing,
        unit=unit,
        dataset=found.name or "",
        attributes=merged,
        close=file.close,
    )


def _select(path: Path, file: h5py.File, dataset: str, role: str) -> h5py.Dataset:
    where = str(path)
    name = dataset.strip("/")
    if not name:
        return file[choose(where, _shapes(file), role)]
    found = file.get(name)
    if isinstance(found, h5py.Group):
        inside = {f"{name}/{key}": shape for key, shape in _shapes(found).items()}
        what = f"{dataset!r} is a group, not a dataset"
        raise DataError(where, what, "Name a dataset", [f"it holds: {listed(inside) or 'no array of numbers'}"])
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise unknown(where, dataset, _shapes(file))
    return found


def _shapes(group: h5py.Group) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}

    def visit(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset) and found.shape and found.dtype.kind in "biuf":
            shapes[name] = found.shape

    group.visititems(visit)
    return shapes


def _levels(found: h5py.Dataset) -> Iterator[dict[str, Any]]:
    """Give the attributes of the dataset, then of the groups around it."""
    node: Any = found
    while True:
        yield {str(key): from_text(plain(value)) for key, value in _attributes(node)}
        if node.name in (None, "/"):
            return
        node = node.parent


def _attributes(node: Any) -> Iterator[tuple[str, Any]]:
    for key in node.attrs:
        try:
            value = node.attrs[key]
        except (OSError, TypeError):  # a type that h5py cannot show; nothing of ours
            continue
        if not isinstance(value, (h5py.Empty, h5py.Reference)):
            yield key, value


def _spacing(levels: Sequence[Mapping[str, Any]]) -> tuple[Spacing | None, str]:
    for level in levels:
        for key, unit in _SPACINGS.items():
            spacing = spacing_of(level[key]) if key in level else None
            if spacing is not None:
                return spacing, unit or unit_name(level.get("unit", level.get("units")))
    return None, ""

"""Opening volumes: ``FILE[:/internal/path]`` through the readers of the catalog, arrays as they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from volseg_core.api import Source
from volseg_core.catalog import Catalog, Provided, blame
from volseg_core.errors import DataError, UsageError, VolsegError
from volseg_core.recipe import ComponentUse
from volseg_core.volume import Grid, Volume, to_czyx

VolumeLike = str | os.PathLike[str] | np.ndarray[Any, Any] | Volume
"""What the Python interface takes as a volume: ``FILE[:/internal/path]``, an array or a `Volume`."""


@dataclass(frozen=True)
class Reference:
    """A file and the dataset inside it."""

    path: Path
    dataset: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Split ``FILE[:/internal/path]``."""
        file, separator, inner = text.partition(":/")
        return cls(Path(file), f"/{inner}" if separator else "")

    def __str__(self) -> str:
        return f"{self.path}:{self.dataset}" if self.dataset else str(self.path)


class VolumeSource:
    """An opened volume: boxes ``(C, z, y, x)`` of a file or an array, in the one axis order that the core uses."""

    def __init__(self, source: Source | None, array: np.ndarray[Any, Any] | None, grid: Grid) -> None:
        self._source, self._array = source, array
        self.grid = grid
        self._axes = source.axes.replace("n", "z") if source is not None else ""
        if array is not None:
            self.channels, self.shape, self.dtype = array.shape[0], array.shape[1:], array.dtype
        else:
            assert source is not None  # noqa: S101  (one of the two is given)
            sizes = dict(zip(self._axes, source.shape, strict=True))
            self.channels = sizes.get("c", 1)
            self.shape = (sizes.get("z", 1), sizes["y"], sizes["x"])
            self.dtype = source.dtype

    @property
    def dataset(self) -> str:
        """Internal path that was opened, or an empty string."""
        return self._source.dataset if self._source is not None else ""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What the file says beyond its grid."""
        return self._source.attributes if self._source is not None else {}

    def read(self, box: tuple[slice, slice, slice] | None = None) -> np.ndarray[Any, Any]:
        """Return a box ``(C, z, y, x)``, or the whole volume."""
        z, y, x = box or (slice(0, self.shape[0]), slice(0, self.shape[1]), slice(0, self.shape[2]))
        if self._array is not None:
            return self._array[:, z, y, x]
        assert self._source is not None  # noqa: S101
        slices = {"c": slice(0, self.channels), "z": z, "y": y, "x": x}
        values = self._source.read(tuple(slices[axis] for axis in self._axes))
        return to_czyx(values, self._axes)

    def volume(self) -> Volume:
        """Return the whole volume in memory."""
        return Volume(np.ascontiguousarray(self.read()), self.grid)

    def close(self) -> None:
        """Release the file."""
        if self._source is not None:
            self._source.close()

    def __enter__(self) -> VolumeSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_volume(
    catalog: Catalog, item: VolumeLike, role: str = "data", reader: ComponentUse | None = None
) -> VolumeSource:
    """Open a volume. ``role`` (``data`` or ``labels``) decides which dataset a file means without a path.

    Raises:
        DataError: missing, damaged or unreadable. UsageError: no reader takes the file.
    """
    if isinstance(item, Volume):
        return VolumeSource(None, item.data, item.grid)
    if isinstance(item, np.ndarray):
        return VolumeSource(None, to_czyx(item, where=role), Grid(source=f"array {role}"))
    reference = Reference.parse(os.fspath(item))
    provided, params = _reader_for(catalog, reference, reader)
    try:
        opened = catalog.build(provided, params).open(reference.path, dataset=reference.dataset, role=role)
    except VolsegError:
        raise
    except Exception as error:
        raise blame(provided, error) from error
    grid = Grid(opened.spacing, opened.unit, str(reference), independent="n" in opened.axes)
    return VolumeSource(opened, None, grid)


def _reader_for(
    catalog: Catalog, reference: Reference, reader: ComponentUse | None
) -> tuple[Provided, Mapping[str, Any]]:
    path = reference.path
    if not path.exists():
        raise DataError(str(path), "does not exist", _nearby(path))
    if reader is not None:
        return reader.provided, reader.params
    for provided in catalog.all("reader"):
        component = provided.component
        wanted = component.directories if path.is_dir() else _matches(path, component.suffixes)  # type: ignore[attr-defined]
        if wanted:
            return provided, default_params(provided)
    known = sorted({suffix for provided in catalog.all("reader") for suffix in provided.component.suffixes})  # type: ignore[attr-defined]
    raise UsageError(
        str(path), f"no reader takes files ending in {path.suffix or 'nothing'!r}", notes=[f"known: {', '.join(known)}"]
    )


def default_params(provided: Provided) -> dict[str, Any]:
    """Return the defaults of a component that is used without a recipe."""
    return {name: param.default for name, param in provided.component.params.items() if not param.required}


def _matches(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(tuple(suffixes))


def _nearby(path: Path) -> str:
    """Return a hint: the file of the folder whose name is nearest."""
    from volseg_core.errors import did_you_mean

    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except OSError:
        return f"The folder {str(path.parent)!r} does not exist either."
    return did_you_mean(path.name, names)


def writer_for(catalog: Catalog, path: Path) -> Provided:
    """Return the writer for an output path: by its suffix, or for folders when it has none.

    Raises:
        UsageError: no writer makes such files.
    """
    for provided in catalog.all("writer"):
        component = provided.component
        if _matches(path, component.suffixes) or (not path.suffix and component.directories):  # type: ignore[attr-defined]
            return provided
    known = sorted({suffix for provided in catalog.all("writer") for suffix in provided.component.suffixes})  # type: ignore[attr-defined]
    raise UsageError(str(path), f"no writer makes files ending in {path.suffix!r}", notes=[f"known: {', '.join(known)}"])

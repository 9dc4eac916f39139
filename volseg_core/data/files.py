"""Opening volumes: ``FILE[:/internal/path]`` through the readers of the catalog, arrays as they are."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from volseg_core.catalog import Catalog, Provided, blame
from volseg_core.discovery import BUILTIN
from volseg_core.errors import DataError, ResourceError, UsageError, VolsegError, did_you_mean
from volseg_core.machine import memory_available
from volseg_core.volume import Grid, Volume, to_czyx
from volseg_core.volume.grid import stored_axes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from volseg_core.api import Source
    from volseg_core.recipe import ComponentUse

VolumeLike = str | os.PathLike[str] | np.ndarray[Any, Any] | Volume
"""What the Python interface takes as a volume: ``FILE[:/internal/path]``, an array or a `Volume`."""

_LARGE = 1 << 30
"""Reads of fewer bytes are not checked against the memory that is left."""


@dataclass(frozen=True)
class Reference:
    """A file and the dataset inside it."""

    path: Path
    dataset: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Split ``FILE[:/internal/path]`` at the first ``:/``.

        A name that exists as it stands, colons included, is a file. Otherwise a part before a colon that exists
        is the file, so that ``FILE:path`` without the slash works too (``scan.h5:entry/data``) and a folder with
        a colon in its name does no harm.
        """
        if _exists(Path(text)):
            return cls(Path(text))
        colons = [place for place, letter in enumerate(text) if letter == ":" and place]
        for place in reversed(colons):
            if _exists(Path(text[:place])):
                inner = text[place + 1 :].strip("/")
                return cls(Path(text[:place]), f"/{inner}" if inner else "")
        file, separator, inner = text.partition(":/")
        return cls(Path(file), f"/{inner}" if separator else "")

    def __str__(self) -> str:
        return f"{self.path}:{self.dataset}" if self.dataset else str(self.path)


def _exists(path: Path) -> bool:
    """Return whether there is such a file; one in a folder that may not be entered is none."""
    return os.path.exists(path)  # noqa: PTH110  (Path.exists raises PermissionError)


class VolumeSource:
    """An opened volume: boxes ``(C, z, y, x)`` of a file or an array, in the one axis order that the core uses."""

    def __init__(
        self,
        source: Source | None,
        array: np.ndarray[Any, Any] | None,
        grid: Grid,
        provided: Provided | None = None,
    ) -> None:
        self._source, self._array, self._provided = source, array, provided
        self.grid = grid
        self._axes = stored_axes(source.axes, grid.source) if source is not None else ""
        if array is not None:
            self.channels, self.shape, self.dtype = array.shape[0], array.shape[1:], array.dtype
        else:
            assert source is not None  # noqa: S101  (one of the two is given)
            sizes = dict(zip(self._axes, source.shape, strict=True))
            self.channels = sizes.get("c", 1)
            self.shape = (sizes.get("z", 1), sizes["y"], sizes["x"])
            self.dtype = source.dtype

    @property
    def reader(self) -> Provided | None:
        """The component that opened the file; None of an array."""
        return self._provided

    @property
    def dataset(self) -> str:
        """Internal path that was opened, or an empty string."""
        return self._source.dataset if self._source is not None else ""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What the file says beyond its grid."""
        return self._source.attributes if self._source is not None else {}

    def read(self, box: tuple[slice, slice, slice] | None = None) -> np.ndarray[Any, Any]:
        """Return a box ``(C, z, y, x)``, or the whole volume; of an array a view, which must not be changed.

        Raises:
            DataError: the file is damaged. ResourceError: it does not fit into memory.
        """
        z, y, x = box or (slice(0, self.shape[0]), slice(0, self.shape[1]), slice(0, self.shape[2]))
        if self._array is not None:
            return self._array[:, z, y, x]
        assert self._source is not None  # noqa: S101
        sizes = [
            part.indices(size)[1] - part.indices(size)[0] for part, size in zip((z, y, x), self.shape, strict=True)
        ]
        needed = self.channels * math.prod(sizes) * self.dtype.itemsize
        _check_memory(needed, self.grid.source)
        slices = {"c": slice(0, self.channels), "z": z, "y": y, "x": x}
        try:
            values = self._source.read(tuple(slices[axis] for axis in self._axes))
        except VolsegError:
            raise
        except MemoryError:
            raise _too_large(needed, None, self.grid.source) from None
        except Exception as error:
            if self._provided is None:
                raise
            raise blame(self._provided, error) from error
        return to_czyx(values, self._axes, self.grid.source)

    def volume(self) -> Volume:
        """Return the whole volume in memory."""
        return Volume(np.ascontiguousarray(self.read()), self.grid)

    def close(self) -> None:
        """Release the file."""
        if self._source is not None:
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_memory(needed: int, where: str) -> None:
    """Raise a ResourceError before a read that the system would kill the process for."""
    left = memory_available() if needed > _LARGE else None
    if left is not None and needed > left:
        raise _too_large(needed, left, where)


def _too_large(needed: int, left: int | None, where: str) -> ResourceError:
    have = "" if left is None else f", of which {left / 2**30:.1f} GiB are left"
    return ResourceError(
        where, f"needs {needed / 2**30:.1f} GiB of memory{have}", "Cut the volume, or use a machine with more memory."
    )


def open_volume(
    catalog: Catalog, item: VolumeLike, role: str = "data", reader: ComponentUse | None = None
) -> VolumeSource:
    """Open a volume. ``role`` (``data`` or ``labels``) decides which dataset a file means without a path.

    Raises:
        DataError: missing, damaged or unreadable. UsageError: no reader takes the file, or it is no volume.
    """
    if isinstance(item, Volume):
        return VolumeSource(None, item.data, item.grid)
    if not isinstance(item, (str, os.PathLike)):
        return _open_array(item, role)
    if not os.fspath(item):
        raise UsageError(role, "an empty name is not a file")
    reference = Reference.parse(os.fspath(item))
    provided, params = _reader_for(catalog, reference, reader)
    built = catalog.build(provided, params)
    try:
        opened = built.open(reference.path, dataset=reference.dataset, role=role)
        grid = Grid(opened.spacing, opened.unit, str(reference), independent="n" in opened.axes)
        return VolumeSource(opened, None, grid, provided)
    except VolsegError:
        raise
    except Exception as error:
        raise blame(provided, error) from error


def _open_array(item: Any, role: str) -> VolumeSource:
    if not hasattr(item, "__array__"):
        raise UsageError(role, f"{type(item).__name__} is neither a file nor an array")
    array = np.asarray(item)
    if array.dtype.kind not in "biuf":
        raise DataError(f"array {role}", f"holds {array.dtype} values; a volume holds numbers")
    return VolumeSource(None, to_czyx(array, where=f"array {role}"), Grid(source=f"array {role}"))


def _reader_for(
    catalog: Catalog, reference: Reference, reader: ComponentUse | None
) -> tuple[Provided, Mapping[str, Any]]:
    path = reference.path
    if not _exists(path):
        raise DataError(str(path), "does not exist", _nearby(path))
    if reader is not None:
        return reader.provided, reader.params
    provided = _by_suffix(catalog, "reader", path, folder=path.is_dir())
    if provided is not None:
        return provided, default_params(provided)
    kind = "folders" if path.is_dir() else f"files ending in {path.suffix or 'nothing'!r}"
    raise UsageError(str(path), f"no reader takes {kind}", notes=[_known_suffixes(catalog, "reader")])


def _by_suffix(catalog: Catalog, kind: str, path: Path, *, folder: bool) -> Provided | None:
    """Return the component for a path: built-ins before others, the longest suffix first.

    A folder is taken by those that read folders: of its suffix, else of any name (those without suffixes).
    """
    found: list[tuple[bool, int, str, Provided]] = []
    for provided in catalog.all(kind):
        component: Any = provided.component
        fits = [len(suffix) for suffix in component.suffixes if path.name.lower().endswith(suffix)]
        if folder and component.directories and not component.suffixes:
            fits = [0]
        if fits and (component.directories or not folder):
            found.append((provided.plugin.id != BUILTIN, -max(fits), provided.id, provided))
    if folder:  # a folder reader that names the suffix knows more than one that takes any folder
        found = [item for item in found if item[1]] or found
    return min(found, key=lambda item: item[:3])[3] if found else None


def _known_suffixes(catalog: Catalog, kind: str) -> str:
    components: list[Any] = [provided.component for provided in catalog.all(kind)]
    return f"known: {', '.join(sorted({suffix for component in components for suffix in component.suffixes}))}"


def readers_of(catalog: Catalog, items: Iterable[str]) -> list[Provided]:
    """Return the readers that files are opened with where a recipe names none, each once."""
    paths = [Reference.parse(item).path for item in items]
    found = [_by_suffix(catalog, "reader", path, folder=path.is_dir()) for path in paths]
    return list({provided.id: provided for provided in found if provided is not None}.values())


def default_params(provided: Provided) -> dict[str, Any]:
    """Return the defaults of a component that is used without a recipe."""
    return {name: param.default for name, param in provided.component.params.items() if not param.required}


def _nearby(path: Path) -> str:
    """Return a hint: the file of the folder whose name is nearest."""
    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except OSError:
        return f"The folder {str(path.parent)!r} does not exist either."
    return did_you_mean(path.name, names)


def refuse_existing(*paths: Path, option: str = "-o", overwrite: bool) -> None:
    """Raise a DataError when an output exists that may not be replaced; ``option`` is what names it."""
    for path in paths:
        if path.exists() and not overwrite:
            raise DataError(str(path), "exists", f"Use --overwrite to replace it, or another {option}.")


def writer_for(catalog: Catalog, path: Path) -> Provided:
    """Return the writer for an output path: by its suffix, or for folders when it has none.

    Raises:
        UsageError: no writer makes such files.
    """
    provided = _by_suffix(catalog, "writer", path, folder=False)
    if provided is None and not path.suffix:
        provided = _by_suffix(catalog, "writer", path, folder=True)
    if provided is None:
        raise UsageError(
            str(path), f"no writer makes files ending in {path.suffix!r}", notes=[_known_suffixes(catalog, "writer")]
        )
    return provided

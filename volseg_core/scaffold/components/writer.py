"""Writing raw voxels."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from volseg_core.api import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from volseg_core.api import ArraySpec


class ComponentClass:
    """Create ``labels.SUFFIX`` with its layout in ``labels.SUFFIX.json``; a second array is ``labels_NAME.SUFFIX``."""

    def create(self, path: Path, arrays: Mapping[str, ArraySpec], attributes: Mapping[str, Any]) -> _Pairs:
        """Return a sink for boxes of the arrays, which come in any order.

        ``attributes`` hold ``spacing`` (z, y, x or None), ``unit``, ``classes`` and where the data came from, in types
        that JSON has.

        Raises:
            DataError: the folder cannot be written.
        """
        return _Pairs(path, arrays, attributes)


class _Pairs:
    """The files of one output (`volseg_core.api.Sink`), under temporary names until `commit`."""

    def __init__(self, path: Path, arrays: Mapping[str, ArraySpec], attributes: Mapping[str, Any]) -> None:
        self._path = path
        self._files: dict[Path, Path] = {}
        self._voxels: dict[str, np.memmap[Any, Any]] = {}
        with self._failing():
            path.parent.mkdir(parents=True, exist_ok=True)
            for number, (name, spec) in enumerate(arrays.items()):
                final = path if number == 0 else path.with_name(f"{path.stem}_{name}{path.suffix}")
                voxels, beside = self._temporary(final), self._temporary(final.with_name(f"{final.name}.json"))
                layout = {"shape": list(spec.shape), "dtype": np.dtype(spec.dtype).str, "axes": spec.axes}
                beside.write_text(json.dumps({**attributes, **layout}, default=str), encoding="utf-8")
                self._voxels[name] = np.memmap(voxels, dtype=spec.dtype, mode="w+", shape=tuple(spec.shape))
        self.paths = list(self._files)

    def write(self, name: str, slices: tuple[slice, ...], values: np.ndarray[Any, Any]) -> None:
        """Write a box, one slice for each dimension.

        Raises:
            DataError: no such array, a box that leaves it, or values that its type cannot hold.
        """
        target = self._voxels.get(name)
        if target is None:
            raise DataError(str(self._path), f"has no array {name!r} to write to")
        if values.shape != target[slices].shape:
            raise DataError(str(self._path), f"values {values.shape} do not fill the box {slices} of {name!r}")
        converted = values.astype(target.dtype)
        if values.dtype.kind in "iub" and not np.array_equal(converted, values):
            raise DataError(str(self._path), f"array {name!r} is {target.dtype} and cannot hold the values")
        target[slices] = converted

    def commit(self) -> None:
        """Give the files their names; nothing of the output could be seen before."""
        with self._failing():
            for voxels in self._voxels.values():
                voxels.flush()
            self._voxels.clear()
            for final, temporary in self._files.items():
                temporary.replace(final)
            self._files.clear()

    def abort(self) -> None:
        """Remove what was written; does nothing after `commit`."""
        self._voxels.clear()
        for temporary in self._files.values():
            temporary.unlink(missing_ok=True)
        self._files.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _temporary(self, final: Path) -> Path:
        self._files[final] = final.with_name(f".{final.name}.part-{os.getpid()}")
        return self._files[final]

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.abort()
            raise DataError(str(self._path), f"cannot be written: {error.strerror or error}") from None

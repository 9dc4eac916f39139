"""An output of any format that becomes visible only when it is complete."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from volseg_core.api import ArraySpec, DataError
from volseg_formats.files import writing
from volseg_formats.layout import box_shape, check_numeric, checked_box, parse_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from volseg_core.api import Slices
    from volseg_formats.staging import Staging


class StagedSink:
    """Write boxes in any order into arrays that live in temporary files; `commit` puts them in place.

    ``finish`` completes the temporary files, ``release`` lets go of them before they are removed.
    """

    def __init__(
        self,
        staging: Staging,
        specs: Mapping[str, ArraySpec],
        arrays: dict[str, Any],
        *,
        finish: Callable[[], None],
        release: Callable[[], None] | None = None,
    ) -> None:
        self.paths: Sequence[Path] = staging.paths
        self._staging = staging
        self._specs = dict(specs)
        self._arrays = arrays
        self._finish = finish
        self._release = release
        self._open = True

    def write(self, name: str, slices: Slices, values: np.ndarray[Any, Any]) -> None:
        """Write a box of the array ``name``.

        Raises:
            DataError: unknown name, a box outside the array, or values that its type cannot hold.
            ResourceError: the disk is full.

        """
        where = str(self._staging.path)
        if not self._open:
            raise DataError(where, f"array {name!r} cannot be written: the output is closed")
        if name not in self._specs:
            raise DataError(where, f"no array {name!r} was declared; there are {', '.join(self._specs)}")
        spec = self._specs[name]
        box = checked_box(where, slices, spec.shape)
        values = np.asarray(values)
        if values.shape != box_shape(box):
            raise DataError(where, f"values of shape {values.shape} do not fill the box {box_shape(box)} of {name!r}")
        with writing(self._staging.path):
            self._arrays[name][box] = cast(where, name, values, np.dtype(spec.dtype))

    def commit(self) -> None:
        """Finish and rename to the final names."""
        if not self._open:
            raise DataError(str(self._staging.path), "was already finished or abandoned")
        self._open = False
        try:
            with self._staging.guard():
                self._finish()
                self._arrays.clear()
                self._staging.publish()
        except BaseException:
            self._let_go()
            raise

    def abort(self) -> None:
        """Remove what was written; does nothing after `commit`."""
        if self._open:
            self._open = False
            self._let_go()
            self._staging.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _let_go(self) -> None:
        self._arrays.clear()
        if self._release is not None:
            with suppress(OSError, ValueError, RuntimeError):
                self._release()


def cast(where: str, name: str, values: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return ``values`` as ``dtype`` when no value changes; floats may lose digits but not become infinite.

    Raises:
        DataError: a value does not fit.

    """
    if np.can_cast(values.dtype, dtype, "safe") or values.size == 0 or _fits(values, dtype):
        return values.astype(dtype, copy=False)
    span = "" if values.dtype.kind not in "iuf" else f" (from {values.min()} to {values.max()})"
    raise DataError(where, f"array {name!r} is {dtype} and cannot hold the given {values.dtype} values{span}")


def checked_specs(path: Path, arrays: Mapping[str, ArraySpec]) -> dict[str, ArraySpec]:
    """Return the arrays of an output.

    Raises:
        DataError: there is none, or one has no numbers, no voxels or axes that do not name its dimensions.

    """
    where = str(path)
    if not arrays:
        raise DataError(where, "no array is to be written")
    for name, spec in arrays.items():
        if "/" in name or not name.strip("."):
            raise DataError(where, f"{name!r} is not a name for an array")
        check_numeric(where, np.dtype(spec.dtype))
        if min(spec.shape, default=0) < 1 or parse_axes(spec.axes, len(spec.shape)) != spec.axes:
            raise DataError(where, f"array {name!r} of shape {tuple(spec.shape)} cannot have the axes {spec.axes!r}")
    return dict(arrays)


def stored_dtype(spec: ArraySpec) -> np.dtype[Any]:
    """Return the type in image files: bytes for booleans, else the array's own."""
    dtype = np.dtype(spec.dtype)
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def _fits(values: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> bool:
    if values.dtype.kind in "iu" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return bool(limits.min <= int(values.min()) and int(values.max()) <= limits.max)
    if values.dtype.kind in "iu" and dtype.kind == "f":
        exact = 2 ** (np.finfo(dtype).nmant + 1)
        return bool(max(abs(int(values.min())), abs(int(values.max()))) <= exact)
    if values.dtype.kind == dtype.kind == "f":
        finite = values[np.isfinite(values)]
        return finite.size == 0 or bool(np.abs(finite).max() <= np.finfo(dtype).max)
    return False

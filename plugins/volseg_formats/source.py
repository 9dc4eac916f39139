"""An opened array of any format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from volseg_formats.files import reading
from volseg_formats.layout import check_numeric, checked_box

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from volseg_core.api import Slices, Spacing


class ArraySource:
    """Read boxes of anything that has ``shape``, ``dtype`` and ``[box]``; values come in native byte order.

    Raises:
        DataError: the values are no numbers, a box leaves the array, or the file cannot be decoded.

    """

    def __init__(
        self,
        path: Path,
        array: Any,
        *,
        kind: str,
        axes: str,
        spacing: Spacing | None = None,
        unit: str = "",
        dataset: str = "",
        attributes: Mapping[str, Any] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        check_numeric(str(path), np.dtype(array.dtype))
        self.shape: tuple[int, ...] = tuple(int(size) for size in array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype).newbyteorder("=")
        self.axes = axes
        self.spacing = spacing
        self.unit = unit
        self.dataset = dataset
        self.attributes: Mapping[str, Any] = dict(attributes or {})
        self._path = path
        self._kind = kind
        self._array = array
        self._close = close

    def read(self, slices: Slices) -> np.ndarray[Any, Any]:
        """Return the box ``slices`` (one slice per dimension, step 1) as an array of its own."""
        box = checked_box(str(self._path), slices, self.shape)
        with reading(self._path, self._kind):
            values = self._array[box]
            if values.flags.owndata and values.dtype == self.dtype:
                return np.ascontiguousarray(values)
            return np.array(values, dtype=self.dtype, order="C")

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self._array = None
        close, self._close = self._close, None
        if close is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

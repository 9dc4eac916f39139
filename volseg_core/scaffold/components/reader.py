"""Reading raw voxels."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_AXES = {2: "yx", 3: "zyx", 4: "czyx"}


class ComponentClass:
    """Open ``scan.SUFFIX``, whose layout stands in ``scan.SUFFIX.json``.

    Its keys are ``shape`` and ``dtype`` (``"<u2"``), and where they are known ``axes`` (a letter of ``czyxn`` for each
    dimension), ``spacing`` (z, y, x) and ``unit``. What else it holds is kept as attributes.
    """

    def open(self, path: Path, dataset: str = "", role: str = "data") -> _Voxels:  # noqa: ARG002  (the contract's)
        """Return the volume; nothing of it is read yet.

        ``dataset`` is the path inside the file (``FILE:/path``), ``role`` is ``data`` or ``labels``: a file that holds
        several volumes chooses by them.

        Raises:
            DataError: the file or its JSON is missing, damaged or of another format. Every failure must be one.
        """
        if dataset:
            raise DataError(str(path), f"holds one volume; there is no {dataset!r} in it")
        facts = _facts(path)
        try:
            shape = tuple(int(length) for length in facts["shape"])
            dtype = np.dtype(facts["dtype"])
            axes = str(facts.get("axes") or _AXES[len(shape)])
            spacing = facts.get("spacing")
            z, y, x = (float(edge) for edge in spacing or (1, 1, 1))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}.json", f"does not describe a volume ({type(error).__name__}: {error})") from None
        if dtype.kind not in "biuf" or min(shape) < 1 or len(axes) != len(shape):
            raise DataError(f"{path}.json", f"shape {shape}, axes {axes!r} and dtype {dtype} are no volume of numbers")
        expected, found = math.prod(shape) * dtype.itemsize, path.stat().st_size
        if found != expected:
            raise DataError(str(path), f"has {found} bytes; {shape} of {dtype} are {expected}")
        voxels = np.memmap(path, dtype=dtype, mode="r", shape=shape)
        known = ("shape", "dtype", "axes", "spacing", "unit")
        attributes = {key: value for key, value in facts.items() if key not in known}
        return _Voxels(voxels, axes, (z, y, x) if spacing else None, str(facts.get("unit") or ""), attributes)


class _Voxels:
    """An opened volume (`volseg_core.api.Source`)."""

    def __init__(
        self,
        voxels: np.ndarray[Any, Any],
        axes: str,
        spacing: tuple[float, float, float] | None,
        unit: str,
        attributes: Mapping[str, Any],
    ) -> None:
        self.shape: tuple[int, ...] = voxels.shape
        self.dtype: np.dtype[Any] = voxels.dtype.newbyteorder("=")
        self.axes = axes
        self.spacing = spacing
        self.unit = unit
        self.dataset = ""
        self.attributes = attributes
        self._voxels: np.ndarray[Any, Any] | None = voxels

    def read(self, slices: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        """Return a box, one slice of step 1 for each dimension, as an array of its own."""
        if self._voxels is None:
            message = "the file was closed"
            raise ValueError(message)
        return np.array(self._voxels[slices], dtype=self.dtype, order="C")

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self._voxels = None


def _facts(path: Path) -> dict[str, Any]:
    """Return what the JSON file says."""
    if not path.is_file():
        raise DataError(str(path), "no such file")
    beside = path.with_name(f"{path.name}.json")
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(str(beside), f"cannot be read: {error.strerror}", "It says shape and dtype.") from None
    except ValueError as error:
        raise DataError(str(beside), f"is not JSON: {error}") from None
    if not isinstance(facts, dict):
        raise DataError(str(beside), "is not a JSON object with shape and dtype")
    return facts

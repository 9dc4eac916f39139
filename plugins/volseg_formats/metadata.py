"""What is kept beside the voxels: spacing, unit and free attributes, as JSON and as HDF5 attributes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_core.api import Spacing

_UNITS = {
    "um": ("µm", "μm", "\\u00b5m", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"),
    "nm": ("nanometer", "nanometers", "nanometre", "nanometres"),
    "mm": ("millimeter", "millimeters", "millimetre", "millimetres"),
    "cm": ("centimeter", "centimeters", "centimetre", "centimetres"),
    "m": ("meter", "meters", "metre", "metres"),
    "angstrom": ("å", "a", "ångström", "angstroms"),
}
_NAMES = {name: unit for unit, names in _UNITS.items() for name in names}
_PIXELS = ("pixel", "pixels", "px", "voxel", "voxels")
_IN_PLANE = 2
_ALL_AXES = 3


def unit_name(value: Any) -> str:
    """Return the short name of a unit of length (``um`` for its many spellings), "" for none or pixels."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    text = value.strip()
    low = text.lower()
    return "" if low in _PIXELS else _NAMES.get(low, low if low in _UNITS else text)


def spacing_of(values: Any) -> Spacing | None:
    """Return ``(z, y, x)`` from 3 values z, y, x; 2 values y, x (z = 1) or 1 value for all; None if unusable."""
    try:
        sizes = [float(size) for size in np.asarray(values).ravel()]
    except (TypeError, ValueError):
        return None
    if len(sizes) == 1:
        sizes *= _ALL_AXES
    if len(sizes) == _IN_PLANE:
        sizes = [1.0, *sizes]
    if len(sizes) != _ALL_AXES or not all(math.isfinite(size) and size > 0 for size in sizes):
        return None
    return (sizes[0], sizes[1], sizes[2])


def plain(value: Any) -> Any:
    """Return ``value`` in the types of JSON; what has none becomes a string."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def kept(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes worth storing, in the types of JSON: no null spacing, no empty unit."""
    values = {str(key): plain(value) for key, value in attributes.items()}
    for key in ("spacing", "unit"):
        if not values.get(key):
            values.pop(key, None)
    return values


def split(record: Mapping[str, Any]) -> tuple[Spacing | None, str, dict[str, Any]]:
    """Return spacing, unit and the other attributes of a stored record."""
    rest = {key: value for key, value in record.items() if key not in ("spacing", "unit", "axes", "shape")}
    return spacing_of(record.get("spacing")), unit_name(record.get("unit")), rest


def to_text(value: Any) -> Any:
    """Return a value of JSON as what one HDF5 attribute can hold; lists and mappings become JSON."""
    if isinstance(value, str):
        return value if from_text(value) == value else json.dumps(value)
    if isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return json.dumps(value if isinstance(value, (list, dict)) or value is None else str(value))


def from_text(value: Any) -> Any:
    """Return what `to_text` was given; any other text as it is."""
    if isinstance(value, str) and (value.startswith(("{", "[", '"')) or value == "null"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def read_record(path: Path) -> dict[str, Any]:
    """Return the JSON object in the file ``path``, empty when there is no such file.

    Raises:
        DataError: the file is not a JSON object.

    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise DataError(str(path), "is not readable JSON", "Repair it or move it away", [str(error)]) from error
    if not isinstance(record, dict):
        raise DataError(str(path), "is not a JSON object", "Repair it or move it away")
    return record


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a JSON object that people can read."""
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

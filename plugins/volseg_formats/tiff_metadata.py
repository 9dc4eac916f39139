"""Axes, spacing and attributes of TIFF files: our own record, ImageJ, OME, resolution tags."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

from volseg_core.api import DataError
from volseg_formats.layout import parse_axes
from volseg_formats.metadata import plain, spacing_of, unit_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    import tifffile

    from volseg_core.api import Spacing

RECORD = "volseg"  # key of our record in the description

_UM_PER_UNIT = {2: 25400.0, 3: 10000.0}  # inch, centimetre
_INCH = 2
_SCREEN_AND_PRINT = {1, 72, 96, 100, 150, 200, 300, 600, 1200}  # dots per inch that measure no specimen
_OURS = ("axes", "shape", "spacing", "unit")


def record_of(file: tifffile.TiffFile) -> dict[str, Any]:
    """Return what the writer of this plugin stored, or an empty mapping."""
    shaped = file.shaped_metadata or ()
    value: Any = (file.imagej_metadata or {}).get(RECORD) or next((part.get(RECORD) for part in shaped), None)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def volume_axes(where: str, axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Return axes in ``czyx`` and the shape for the axes of tifffile, dimensions of length one left out.

    S (samples) is c; one of Q, I, T or a second channel axis is z when there is no Z; of two unnamed ones the
    first is c.

    Raises:
        DataError: a dimension of more than one element is none of these.

    """
    pairs = [(name, size) for name, size in zip(axes, shape, strict=True) if size > 1 or name in "ZCYX"]
    if _unnamed([name for name, _ in pairs]):
        pairs = [pair for pair in pairs if pair != ("Z", 1)]
    if any(name == "S" for name, _ in pairs):
        pairs = [pair for pair in pairs if pair != ("C", 1)]
    mapped = _mapped([name for name, _ in pairs])
    found = parse_axes("".join(mapped).lower(), len(pairs))
    if found is None:
        what = f"has the axes {axes} {tuple(shape)}, which are not those of one volume (c, z, y, x)"
        raise DataError(where, what, "Save one volume of it, for instance one time point")
    return found, tuple(size for _, size in pairs)


def _unnamed(names: list[str]) -> list[int]:
    return [at for at, name in enumerate(names) if name in "QIT"]


def _mapped(names: list[str]) -> list[str]:
    names = list(names)
    if "S" in names and "C" in names and "Z" not in names:
        names[names.index("C")] = "Z"
    names = ["C" if name == "S" else name for name in names]
    unnamed = _unnamed(names)
    if "Z" not in names and len(unnamed) == 2 and "C" not in names:  # noqa: PLR2004 - c and z
        names[unnamed.pop(0)] = "C"
    if "Z" not in names and len(unnamed) == 1:
        names[unnamed[0]] = "Z"
    return names


def physical(file: tifffile.TiffFile, planes: int) -> tuple[Spacing | None, str]:
    """Return spacing ``(z, y, x)`` and unit; None for a stack whose distance of planes is not stated.

    ImageJ and OME come first; resolution tags count only with a unit (then in um) and not as dots of a screen.
    """
    if file.is_imagej:
        return _imagej(file)
    if file.is_ome and file.ome_metadata:
        return _ome(file.ome_metadata, planes)
    page = file.pages.first
    per_unit = _UM_PER_UNIT.get(int(page.tags.valueof("ResolutionUnit", default=1)))
    x, y = _resolution(page)
    if per_unit is None or not x or not y or planes > 1:
        return None, ""
    if page.tags.valueof("ResolutionUnit") == _INCH and {round(x), round(y)} <= _SCREEN_AND_PRINT:
        return None, ""
    return spacing_of((per_unit / y, per_unit / x)), "um"


def _imagej(file: tifffile.TiffFile) -> tuple[Spacing | None, str]:
    metadata = file.imagej_metadata or {}
    unit = unit_name(metadata.get("unit"))
    x, y = _resolution(file.pages.first)
    values = (metadata.get("spacing", 1.0), 1 / y if y else 1.0, 1 / x if x else 1.0)
    spacing = spacing_of([abs(float(value)) if isinstance(value, (int, float)) else 1.0 for value in values])
    if not unit and spacing == (1.0, 1.0, 1.0):
        return None, ""
    return spacing, unit


def _ome(xml: str, planes: int) -> tuple[Spacing | None, str]:
    pixels = re.search(r"<(?:\w+:)?Pixels\b([^>]*)>", xml)
    values = dict(re.findall(r'(\w+)="([^"]*)"', pixels.group(1))) if pixels else {}
    x, y, z = (values.get(f"PhysicalSize{axis}") for axis in "XYZ")
    units = {unit_name(unescape(values.get(f"PhysicalSize{axis}Unit", "um"))) for axis in "XYZ"}
    if not x or not y or (planes > 1 and not z) or len(units) != 1:
        return None, ""
    spacing = spacing_of((z or 1.0, y, x))
    return spacing, units.pop() if spacing else ""


def _resolution(page: Any) -> tuple[float, float]:
    """Return pixels per unit along x and y, 0 where it is not stated."""
    values = []
    for tag in ("XResolution", "YResolution"):
        value = page.tags.valueof(tag, default=(0, 1))
        top, bottom = value if isinstance(value, tuple) else (value, 1)
        values.append(top / bottom if bottom else 0.0)
    return values[0], values[1]


def attributes_of(file: tifffile.TiffFile, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return our own attributes, else the description of the first page, else what ImageJ kept."""
    if record:
        return {key: value for key, value in record.items() if key not in _OURS}
    if file.is_imagej:
        return {str(key): plain(value) for key, value in (file.imagej_metadata or {}).items()}
    description = file.pages.first.description
    return {"description": description} if description else {}

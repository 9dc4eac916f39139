"""Which of the arrays in one file is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.api import DataError
from volseg_formats.files import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = {"data": ("data", "raw", "image"), "labels": ("labels", "label", "seg")}
_LISTED = 12


def choose(where: str, shapes: Mapping[str, tuple[int, ...]], role: str) -> str:
    """Return the array for ``role`` (data or labels): by its name, else the only one with 2, 3 or 4 dimensions.

    Raises:
        DataError: none or several qualify; the candidates are listed with their shapes.

    """
    wanted = NAMES.get(role, NAMES["data"])
    for name in wanted:
        if name in shapes:
            return name
    volumes = {name: shape for name, shape in shapes.items() if len(shape) in (2, 3, 4)}
    if len(volumes) == 1:
        return next(iter(volumes))
    if not shapes:
        raise DataError(where, "holds no array of numbers")
    if not volumes:
        what = f"holds no array with 2, 3 or 4 dimensions; found {listed(shapes)}"
        raise DataError(where, what, "Give a file with a volume")
    what = f"holds {len(volumes)} volumes and none is named {' or '.join(map(repr, wanted))}"
    hint = f"Name one of them: {where}:/{min(volumes)}"
    raise DataError(where, what, hint, [f"found: {listed(volumes)}"])


def unknown(where: str, dataset: str, shapes: Mapping[str, tuple[int, ...]]) -> DataError:
    """Return the error for an internal path that does not exist, with the nearest name and the list."""
    found = f"found: {listed(shapes)}" if shapes else "the file holds no array of numbers"
    return DataError(where, f"no dataset {dataset!r}", nearest(dataset.strip("/"), shapes), [found])


def listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return names and shapes in a line, at most a dozen."""
    shown = ", ".join(f"{name} {shapes[name]}" for name in sorted(shapes)[:_LISTED])
    return f"{shown} and {len(shapes) - _LISTED} more" if len(shapes) > _LISTED else shown

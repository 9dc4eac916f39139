"""Volumes on disk for readers and writers, and the partner of the other kind that a suffix leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import ArraySpec
from volseg_core.data.files import default_params

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_core.catalog import Provided
    from volseg_core.testing.trial import Trial

    Array = np.ndarray[Any, Any]

SPACING = (2.0, 0.5, 0.25)
UNIT = "um"
NAME = "labels"


@dataclass(frozen=True)
class Stored:
    """A file, and what was written to it where that is known."""

    path: Path
    values: Array | None = None


def numbers(shape: tuple[int, ...]) -> Array:
    """Return a uint16 array in which every plane differs."""
    return (np.arange(np.prod(shape)) % 60000).astype(np.uint16).reshape(shape)


def partner(trial: Trial, kind: str, suffix: str) -> Provided | None:
    """Return the reader or writer of a suffix (an empty one: of folders), of the same plugin if it has one."""
    plugin = trial.provided.plugin.id
    fitting = [
        other for other in trial.catalog.all(kind) if (suffix in _suffixes(other) if suffix else _takes_folders(other))
    ]
    return min(fitting, key=lambda other: other.plugin.id != plugin, default=None)


def _suffixes(provided: Provided) -> tuple[str, ...]:
    return tuple(getattr(provided.component, "suffixes", ()))


def _takes_folders(provided: Provided) -> bool:
    return bool(getattr(provided.component, "directories", False)) and not _suffixes(provided)


def suffixes(component: Any) -> tuple[str, ...]:
    """Return the suffixes of a reader or writer; an empty one stands for folders of any name."""
    return tuple(component.suffixes) or ("",)


def write(trial: Trial, path: Path, values: Array) -> Path | None:
    """Write an array with the writer of the path's suffix; return the file, or None where there is no writer."""
    found = partner(trial, "writer", path.suffix)
    if found is None:
        return None
    with build(trial, found).create(path, {NAME: spec(values)}, {"spacing": SPACING, "unit": UNIT}) as sink:
        sink.write(NAME, whole(values), values)
        sink.commit()
        return next(iter(sink.paths), path) if path.suffix else path


def build(trial: Trial, provided: Provided) -> Any:
    """Build a partner with its defaults."""
    return trial.catalog.build(provided, default_params(provided))


def spec(values: Array) -> ArraySpec:
    """Describe an array to a writer."""
    return ArraySpec(values.shape, values.dtype.name, "czyx"[-values.ndim :])


def whole(values: Any) -> tuple[slice, ...]:
    """Return the box of a whole array."""
    return tuple(slice(0, size) for size in values.shape)

"""Objects of a segmentation, and how those of prediction and target overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from volseg_core.api import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Objects:
    """Ids of a segmentation in ascending order, and how many voxels each has: both (n,)."""

    ids: Array
    sizes: Array


@dataclass(frozen=True)
class Overlaps:
    """True and predicted objects, and the voxels that pairs of them have in common.

    ``rows`` (p,) and ``columns`` (p,) are the places of a pair's objects in ``true`` and ``predicted``, and ``voxels``
    (p,) says how many they share; pairs that share none are not listed.
    """

    true: Objects
    predicted: Objects
    rows: Array
    columns: Array
    voxels: Array

    @classmethod
    def of_ids(cls, predicted: Array, true: Array) -> Overlaps:
        """Count voxels (n,) of two segmentations by their ids."""
        ours, places = _numbered(predicted)
        theirs, numbers = _numbered(true)
        pairs, voxels = np.unique(numbers * len(ours.ids) + places, return_counts=True)
        rows, columns = np.divmod(pairs, max(1, len(ours.ids)))
        return cls(theirs, ours, rows, columns, voxels)


def _numbered(ids: Array) -> tuple[Objects, Array]:
    unique, numbers, sizes = np.unique(ids, return_inverse=True, return_counts=True)
    return Objects(unique, sizes), numbers


def object_classes(metric: str, foreground: str | None, classes: Sequence[str]) -> Sequence[int]:
    """Return the indices of the classes that form objects: that of ``foreground`` alone, else all but 0.

    Raises:
        UsageError: there is no class ``foreground``.
    """
    if foreground is None:
        return range(1, len(classes))
    if foreground not in classes:
        known = f"the classes are {', '.join(classes)}" if classes else "instances have no classes"
        raise UsageError(f"metric {metric!r}", f"no class {foreground!r} for its foreground; {known}")
    return (list(classes).index(foreground),)


def number_objects(classes: Array, chosen: Iterable[int]) -> Array:
    """Return a number for every object of an image (*S): 1 and up as int32, 0 elsewhere.

    An object is a set of voxels of one of the ``chosen`` classes that touch face to face.
    """
    numbers = np.zeros(classes.shape, dtype=np.int32)
    count = 0
    for index in chosen:
        mask = classes == index
        found, more = ndimage.label(mask)
        numbers[mask] = found[mask] + count
        count += more
    return numbers

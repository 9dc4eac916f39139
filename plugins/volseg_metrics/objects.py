"""Objects of a segmentation, and how those of prediction and target overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterable

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Overlaps:
    """Voxels of each pair of a true and a predicted object, of each true one, and of each predicted one (ascending)."""

    pairs: list[int]
    true: list[int]
    predicted: list[int]

    @classmethod
    def of_ids(cls, predicted: Array, true: Array) -> Overlaps:
        """Count voxels (n,) of two segmentations by their ids."""
        predicted, predicted_sizes = _numbered(predicted)
        true, true_sizes = _numbered(true)
        _, pairs = np.unique(true * len(predicted_sizes) + predicted, return_counts=True)
        return cls(*(sorted(sizes.tolist()) for sizes in (pairs, true_sizes, predicted_sizes)))


def _numbered(ids: Array) -> tuple[Array, Array]:
    _, numbers, sizes = np.unique(ids, return_inverse=True, return_counts=True)
    return numbers, sizes


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

"""Centreline Dice: whether thin structures are connected as in the target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from volseg_metrics.inputs import labelled_image
from volseg_metrics.scores import by_class

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


def skeleton(mask: Array) -> Array:
    """Return the centreline of a bool mask (H, W) or (Z, Y, X) as a bool mask.

    Thinning is Zhang's (1984, doi:10.1145/357994.358023) in a slice and Lee's (1994, doi:10.1006/cgip.1994.1042) in a
    volume. Lee's removes some small objects of even thickness altogether; these are kept whole.
    """
    thin: Array = skeletonize(mask) > 0
    objects, count = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    kept = np.zeros(count + 1, dtype=bool)
    kept[objects[thin]] = True
    kept[0] = True
    thin |= ~kept[objects]
    return thin


class ClDice:
    """Centreline Dice (Shit 2021, doi:10.1109/CVPR46437.2021.01629), in [0, 1].

    It is the harmonic mean of the share of the predicted skeleton inside the target (precision) and of the share of
    the target's skeleton inside the prediction (sensitivity).

    Each update is a whole slice (H, W) or volume (Z, Y, X); a voxel that does not count (target -1 or ``valid`` False)
    belongs to no mask. Skeleton voxels of all updates are pooled. A class that is in neither has no score: nan, and
    left out of the mean. One that is only predicted, or only in the target, scores 0.

    Args:
        background: whether class 0 is scored too.
        classes: names in class order.
    """

    def __init__(self, *, background: bool = False, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.scored = range(0 if background else 1, len(self.classes))
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._counts = np.zeros((len(self.classes), 2, 2), dtype=np.int64)

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add a slice or volume of class indices.

        Raises:
            DataError: neither slice nor volume, shapes differ, or a value is no class index.
        """
        predicted, true = labelled_image(prediction, target, valid, len(self.classes))
        for index in self.scored:
            masks = predicted == index, true == index
            for row, (mask, other) in enumerate((masks, masks[::-1])):
                centre = skeleton(mask)
                self._counts[index, row] += np.count_nonzero(centre & other), np.count_nonzero(centre)

    def compute(self) -> dict[str, float]:
        """Return the mean over classes as ``cldice`` and each class's score as ``cldice/CLASS``."""
        return by_class("cldice", {self.classes[index]: _score(*self._counts[index].tolist()) for index in self.scored})


def _score(precision: Sequence[int], sensitivity: Sequence[int]) -> float:
    """Return the harmonic mean of two shares, each given as part and whole."""
    (found, predicted), (kept, true) = precision, sensitivity
    if not predicted + true:
        return math.nan
    if not (found and kept):
        return 0.0
    return 2 * found * kept / (found * true + kept * predicted)

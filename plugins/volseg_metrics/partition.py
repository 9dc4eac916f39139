"""How well objects are told apart: adapted Rand error and variation of information."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from volseg_metrics.inputs import check_classes, check_image, labelled, labelled_image
from volseg_metrics.objects import Overlaps, number_objects, object_classes
from volseg_metrics.scores import mean

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


class Partition(ABC):
    """Base of metrics that compare two partitions of an image into objects.

    From classes, an object is a set of voxels of one class that touch face to face, in every class but class 0, or in
    the ``foreground`` alone. Membranes are the case for the latter: the inside of cells is the foreground, and the
    objects are the cells (ISBI 2012). In the task ``instance`` the arrays hold the objects' own ids, 0 for none.

    Only voxels of true objects count, as in scikit-image, SNEMI3D and CREMI. What is no object in the prediction is
    one more object there. Voxels that do not count (target -1 or ``valid`` False) are cut out before objects are
    found. Each update is a whole slice (H, W) or volume (Z, Y, X); scores are means over the updates whose target has
    an object, nan when none has.

    Args:
        foreground: name of the only class that forms objects; None is every class but class 0.
        classes: names in class order. task: task of the recipe.

    Raises:
        UsageError: there is no class ``foreground``.
    """

    name: ClassVar[str]
    parts: ClassVar[tuple[str, ...]]

    def __init__(self, *, foreground: str | None = None, classes: Sequence[str], task: str) -> None:
        self.instances = task == "instance"
        self.size = len(classes)
        self.chosen = object_classes(self.name, foreground, classes)
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._images: list[tuple[float, ...]] = []

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add a slice or volume of class indices (of ids in the task ``instance``).

        Raises:
            DataError: neither slice nor volume, shapes differ, or a value is no class index.
        """
        if self.instances:
            check_classes(prediction, target, valid)
            check_image(target.shape)
            inside = labelled(target, valid) & (target != 0)
        else:
            images = labelled_image(prediction, target, valid, self.size)
            prediction, target = (number_objects(image, self.chosen) for image in images)
            inside = target != 0
        if inside.any():
            self._images.append(self._scores(Overlaps.of_ids(prediction[inside], target[inside])))

    def compute(self) -> dict[str, float]:
        """Return the metric under its name and its parts under ``NAME/PART``."""
        columns = list(zip(*self._images, strict=True)) or [()] * (1 + len(self.parts))
        names = [self.name, *(f"{self.name}/{part}" for part in self.parts)]
        return {name: mean(column) for name, column in zip(names, columns, strict=True)}

    @staticmethod
    @abstractmethod
    def _scores(overlaps: Overlaps) -> tuple[float, ...]:
        """Return the metric and its parts for one image."""


class AdaptedRand(Partition):
    """Adapted Rand error (Arganda-Carreras 2015, doi:10.3389/fnana.2015.00142), in [0, 1], 0 is best.

    It is 1 minus the F-score of pairs of voxels that lie in one object. Precision is the share of the prediction's
    pairs that are together in the target too (merges lower it), recall the share of the target's pairs that are
    together in the prediction too (splits lower it). Where nothing is together in either, both are 1.
    """

    name = "adapted-rand"
    parts = ("precision", "recall")

    @staticmethod
    def _scores(overlaps: Overlaps) -> tuple[float, ...]:
        both, true, predicted = map(_pairs, _sizes(overlaps))
        if not true + predicted:
            return 0.0, 1.0, 1.0
        return 1 - 2 * both / (true + predicted), both / predicted if predicted else 1.0, both / true if true else 1.0


class VariationOfInformation(Partition):
    """Variation of information in bits, base 2 (Meilă 2007, doi:10.1016/j.jmva.2006.11.013), 0 is best.

    It is the sum of ``split``, the entropy of the predicted object given the true one (objects cut apart), and
    ``merge``, that of the true object given the predicted one (objects run together).
    """

    name = "variation-of-information"
    parts = ("split", "merge")

    @staticmethod
    def _scores(overlaps: Overlaps) -> tuple[float, ...]:
        both, true, predicted = map(_entropy, _sizes(overlaps))
        split, merge = max(0.0, both - true), max(0.0, both - predicted)
        return split + merge, split, merge


def _sizes(overlaps: Overlaps) -> tuple[list[int], ...]:
    """Return the voxels of the pairs, of the true and of the predicted objects."""
    return overlaps.voxels.tolist(), overlaps.true.sizes.tolist(), overlaps.predicted.sizes.tolist()


def _pairs(sizes: Sequence[int]) -> int:
    """Return how many ordered pairs of voxels lie in one object, exactly."""
    return sum(size * (size - 1) for size in sizes)


def _entropy(sizes: Sequence[int]) -> float:
    total = sum(sizes)
    return math.fsum(size / total * math.log2(total / size) for size in sizes)

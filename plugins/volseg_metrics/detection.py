"""Which objects are found: average precision over overlaps, and panoptic quality."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from volseg_metrics.inputs import IGNORED, check_classes, check_image, labelled, labelled_image
from volseg_metrics.objects import Objects, Overlaps, number_objects, object_classes
from volseg_metrics.scores import mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Array = np.ndarray[Any, Any]

OVERLAPS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
LEAST = 0.5
"""Intersection over union that a match of panoptic quality exceeds: an object has that with one other at most."""


@dataclass
class Found:
    """Objects of one class over all images: true ones, predicted ones, and the overlap of each match."""

    true: int = 0
    predicted: int = 0
    matches: list[float] = field(default_factory=list)

    def add(self, overlaps: Overlaps, min_size: int) -> None:
        """Add an image; id 0, and what has fewer than ``min_size`` voxels, is no object.

        Objects are matched one to one, pairs of the largest overlap first.
        """
        ours, theirs = (_kept(objects, min_size) for objects in (overlaps.predicted, overlaps.true))
        self.predicted += int(ours.sum())
        self.true += int(theirs.sum())
        union = overlaps.true.sizes[overlaps.rows] + overlaps.predicted.sizes[overlaps.columns] - overlaps.voxels
        share = overlaps.voxels / union
        pairs = np.flatnonzero(theirs[overlaps.rows] & ours[overlaps.columns])
        for pair in pairs[np.argsort(-share[pairs], kind="stable")]:
            row, column = overlaps.rows[pair], overlaps.columns[pair]
            if theirs[row] and ours[column]:
                theirs[row] = ours[column] = False
                self.matches.append(float(share[pair]))

    def above(self, overlap: float) -> tuple[int, int, int]:
        """Return matches of more than ``overlap``, and the predicted and true objects without one."""
        hits = sum(match > overlap for match in self.matches)
        return hits, self.predicted - hits, self.true - hits


def _kept(objects: Objects, min_size: int) -> Array:
    kept: Array = (objects.ids != 0) & (objects.sizes >= min_size)
    return kept


class Detection(ABC):
    """Base of metrics that match predicted objects with true ones.

    Two objects match when their intersection over union exceeds a threshold. An object has one match at most: below
    0.5, where several are possible, pairs of the largest overlap come first. From classes, an object is a set of voxels
    of one class that touch face to face, in every class but class 0 or in the ``foreground`` alone, and matches objects
    of its class. In the task ``instance`` the arrays hold the objects' own ids, 0 for none; they may be any, and there
    need be no 0.

    Objects of all updates are pooled, and a class with objects in neither is left out of the mean over classes. Where
    no class has any, nothing was to be found and nothing was: the score is 1. It is nan when no voxel counted. Voxels
    that do not count (target -1 or ``valid`` False) are cut out before objects are found. Each update is a whole
    slice (H, W) or volume (Z, Y, X).

    Args:
        min_size: what has fewer voxels is no object, true or predicted.
        foreground: name of the only class that forms objects; None is every class but class 0.
        classes: names in class order. task: task of the recipe.

    Raises:
        UsageError: there is no class ``foreground``.
    """

    name: ClassVar[str]
    parts: ClassVar[tuple[str, ...]]

    def __init__(self, *, min_size: int, foreground: str | None, classes: Sequence[str], task: str) -> None:
        self.instances = task == "instance"
        self.size, self.min_size = len(classes), min_size
        self.chosen = (0,) if self.instances and foreground is None else object_classes(self.name, foreground, classes)
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._found = {index: Found() for index in self.chosen}
        self._seen = False

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add a slice or volume of class indices (of ids in the task ``instance``).

        Raises:
            DataError: neither slice nor volume, shapes differ, or a value is no class index.
        """
        for index, predicted, true in self._objects(prediction, target, valid):
            self._found[index].add(Overlaps.of_ids(predicted, true), self.min_size)
        self._seen = self._seen or bool(labelled(target, valid).any())

    def compute(self) -> dict[str, float]:
        """Return the metric under its name and its parts under ``NAME/PART``: means over the classes."""
        names = [self.name, *(f"{self.name}/{part}" for part in self.parts)]
        each = [self._scores(found) for found in self._found.values() if found.true + found.predicted]
        if not each:
            return dict.fromkeys(names, 1.0 if self._seen else math.nan)
        return {name: mean(column) for name, column in zip(names, zip(*each, strict=True), strict=True)}

    def _objects(self, prediction: Array, target: Array, valid: Array | None) -> Iterator[tuple[int, Array, Array]]:
        """Yield each class that forms objects, with predicted and true ids (n,) of the voxels that count."""
        if self.instances:
            check_classes(prediction, target, valid)
            check_image(target.shape)
            counted = labelled(target, valid)
            yield 0, prediction[counted], target[counted]
            return
        images = labelled_image(prediction, target, valid, self.size)
        counted = images[1] != IGNORED
        for index in self.chosen:
            predicted, true = (number_objects(image, (index,))[counted] for image in images)
            yield index, predicted, true

    @abstractmethod
    def _scores(self, found: Found) -> tuple[float, ...]:
        """Return the metric and its parts for one class that has objects."""


class AveragePrecision(Detection):
    """Mean over thresholds of ``TP / (TP + FP + FN)``, in [0, 1] (Caicedo 2019, doi:10.1038/s41592-019-0612-7).

    The average precision of the Data Science Bowl, StarDist and Cellpose. Beside it are the means over thresholds of
    precision ``TP / (TP + FP)``, recall ``TP / (TP + FN)`` and f1 ``2 TP / (2 TP + FP + FN)``; 0 without a match.

    Args:
        overlaps: intersections over union that a match must exceed.
    """

    name = "average-precision"
    parts = ("precision", "recall", "f1")

    def __init__(
        self,
        *,
        overlaps: Sequence[float] = OVERLAPS,
        min_size: int = 0,
        foreground: str | None = None,
        classes: Sequence[str],
        task: str,
    ) -> None:
        self.overlaps = tuple(overlaps)
        super().__init__(min_size=min_size, foreground=foreground, classes=classes, task=task)

    def _scores(self, found: Found) -> tuple[float, ...]:
        return tuple(
            mean(column) for column in zip(*(_rates(*found.above(each)) for each in self.overlaps), strict=True)
        )


class PanopticQuality(Detection):
    """Panoptic quality (Kirillov 2019, doi:10.1109/CVPR.2019.00963), in [0, 1].

    The sum of the intersections over union of all matches, those above 0.5, divided by ``TP + FP / 2 + FN / 2``. It is
    the product of ``segmentation``, their mean (0 without a match), and ``recognition``, the F1 score of objects.
    """

    name = "panoptic-quality"
    parts = ("segmentation", "recognition")

    def __init__(self, *, min_size: int = 0, foreground: str | None = None, classes: Sequence[str], task: str) -> None:
        super().__init__(min_size=min_size, foreground=foreground, classes=classes, task=task)

    def _scores(self, found: Found) -> tuple[float, ...]:
        hits, extra, missed = found.above(LEAST)
        total, weight = math.fsum(match for match in found.matches if match > LEAST), hits + (extra + missed) / 2
        return total / weight, total / hits if hits else 0.0, hits / weight


def _rates(hits: int, extra: int, missed: int) -> tuple[float, ...]:
    """Return the shares of hits in all objects, in the predicted and in the true ones, and f1."""
    if not hits:
        return 0.0, 0.0, 0.0, 0.0
    wrong = extra + missed
    return hits / (hits + wrong), hits / (hits + extra), hits / (hits + missed), 2 * hits / (2 * hits + wrong)

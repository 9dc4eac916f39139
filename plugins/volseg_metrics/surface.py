"""Distances between the surfaces of prediction and target: Hausdorff distance and surface Dice."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import ndimage

from volseg_metrics.inputs import IGNORED, labelled_image
from volseg_metrics.scores import by_class, mean

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]

_ROUNDING = 1 + 1e-6
"""Slack on a tolerance: spacings read from 32-bit numbers, and square roots of them, are not exact."""


def surface_distances(prediction: Array, target: Array, sampling: Sequence[float]) -> Pair:
    """Return how far each surface voxel of one mask is from the nearest of the other.

    The surface of a mask is its voxels with a face neighbour outside the mask; what lies outside the array is outside
    the mask. Distances are between voxel centres, exact, in the unit of ``sampling`` (one value per axis).

    Args:
        prediction: bool mask (*S).
        target: another of the same shape.
        sampling: voxel size along each axis.

    Returns:
        Distances (n,) of the prediction's surface to the target's, and (m,) of the target's to the prediction's; all
        infinite when the other mask is empty.
    """
    either = prediction | target
    if not either.any():
        return np.empty(0), np.empty(0)
    box = ndimage.find_objects(either.view(np.uint8))[0]
    ours, theirs = (mask[box] & ~ndimage.binary_erosion(mask[box]) for mask in (prediction, target))
    return _distances(ours, theirs, sampling), _distances(theirs, ours, sampling)


def _distances(start: Array, end: Array, sampling: Sequence[float]) -> Array:
    if not end.any():
        return np.full(np.count_nonzero(start), math.inf)
    nearest = ndimage.distance_transform_edt(~end, sampling, return_distances=False, return_indices=True)
    steps = (nearest[:, start] - np.stack(start.nonzero())) * np.reshape(sampling, (-1, 1))
    distances: Array = np.sqrt((steps**2).sum(axis=0))
    return distances


class SurfaceMetric(ABC):
    """Base of metrics of surface distances. Each update is a whole slice (H, W) or volume (Z, Y, X).

    Distances are in the unit of the spacing, or in voxels where none is known. A voxel that does not count (target -1
    or ``valid`` False) belongs to no mask, as what lies outside the array does: scores are those of the labelled part
    cut out. Masks that both end there have a surface in common, which raises the score of objects that are cut.

    Args:
        background: whether class 0 is scored too.
        classes: names in class order. spacing: voxel size (z, y, x) or None; a slice takes the last two.
    """

    name: ClassVar[str]

    def __init__(self, *, background: bool, classes: Sequence[str], spacing: Sequence[float] | None) -> None:
        self.classes = tuple(classes)
        self.scored = range(0 if background else 1, len(self.classes))
        self.spacing = (1.0, 1.0, 1.0) if spacing is None else tuple(spacing)

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add a slice or volume of class indices.

        Raises:
            DataError: neither slice nor volume, shapes differ, or a value is no class index.
        """
        predicted, true = labelled_image(prediction, target, valid, len(self.classes))
        box = ndimage.find_objects((true != IGNORED).view(np.uint8))
        if not box:
            return
        predicted, true = predicted[box[0]], true[box[0]]
        sampling = self.spacing[-true.ndim :]
        for index in self.scored:
            distances = surface_distances(predicted == index, true == index, sampling)
            self._add(index, distances, true.shape, sampling)

    def compute(self) -> dict[str, float]:
        """Return the mean over classes under the metric's name and each class's score under ``NAME/CLASS``."""
        return by_class(self.name, {self.classes[index]: self._score(index) for index in self.scored})

    @abstractmethod
    def reset(self) -> None:
        """Forget all images."""

    @abstractmethod
    def _add(self, index: int, distances: Pair, shape: Sequence[int], sampling: Sequence[float]) -> None:
        """Add the distances of one class in one image; ``shape`` is that of the box around its labels."""

    @abstractmethod
    def _score(self, index: int) -> float:
        """Return the score of a class, nan when it has none."""


class Hausdorff95(SurfaceMetric):
    """95th percentile of surface distances, the larger one of both directions; 0 is best.

    As in Metrics Reloaded (Maier-Hein 2024, doi:10.1038/s41592-023-02151-z), MONAI and DeepMind's surface-distance.

    A class that an image has only in the prediction or only in the target gets the diagonal of the box around the
    image's labels: more than any distance in it, and finite, so that means over images can be compared. A class that
    is in neither has no score in that image. A class's score is the mean over the images in which it has one, else
    nan and left out of the mean.
    """

    name = "hausdorff95"

    def __init__(self, *, background: bool = False, classes: Sequence[str], spacing: Sequence[float] | None) -> None:
        super().__init__(background=background, classes=classes, spacing=spacing)
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._images: list[list[float]] = [[] for _ in self.classes]

    def _add(self, index: int, distances: Pair, shape: Sequence[int], sampling: Sequence[float]) -> None:
        present = [one.size > 0 for one in distances]
        if all(present):
            self._images[index].append(max(float(np.percentile(one, 95)) for one in distances))
        elif any(present):
            self._images[index].append(math.dist((0,) * len(shape), np.multiply(shape, sampling)))

    def _score(self, index: int) -> float:
        return mean(self._images[index])


class SurfaceDice(SurfaceMetric):
    """Share of both surfaces that lies within a tolerance of the other (Nikolov 2021, doi:10.2196/26151), in [0, 1].

    Surfaces are voxels, as in MONAI, and each counts the same: where the spacing differs between axes they do not
    stand for equal areas, as the surface elements of the paper's own code do. Voxels of all images are pooled. A
    class that is in neither has no score: nan, and left out of the mean; one that is only predicted, or only in the
    target, scores 0.

    Args:
        tolerance: largest distance that counts as the same, in the unit of the spacing; None is the
            coarsest spacing of the image's axes: one voxel.
    """

    name = "surface-dice"

    def __init__(
        self,
        *,
        tolerance: float | None = None,
        background: bool = False,
        classes: Sequence[str],
        spacing: Sequence[float] | None,
    ) -> None:
        super().__init__(background=background, classes=classes, spacing=spacing)
        self.tolerance = tolerance
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._near = [0] * len(self.classes)
        self._all = [0] * len(self.classes)

    def _add(self, index: int, distances: Pair, shape: Sequence[int], sampling: Sequence[float]) -> None:  # noqa: ARG002
        tolerance = max(sampling) if self.tolerance is None else self.tolerance
        for one in distances:
            self._near[index] += int(np.count_nonzero(one <= tolerance * _ROUNDING))
            self._all[index] += one.size

    def _score(self, index: int) -> float:
        return self._near[index] / self._all[index] if self._all[index] else math.nan

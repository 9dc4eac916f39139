"""Voxels drawn from a labelled volume, and what every view says about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace, device

from volseg_core.prediction.segment import to_numpy
from volseg_core.volume.grid import pieces

if TYPE_CHECKING:
    from volseg_core.data.split import Region

    Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
    Whole = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Voxels:
    """Labelled voxels: ``places`` (N, 3) in the volume, ``truth`` (N) class indices.

    ``stands_for`` (N) is how many voxels of its class each one was drawn for, so that weighted counts are unbiased.
    """

    places: Whole
    truth: Whole
    stands_for: Floats

    def __len__(self) -> int:
        return len(self.truth)


def draw_voxels(region: Region, classes: int, count: int, seed: int) -> Voxels:
    """Draw up to ``count`` labelled voxels of a region, at most as many of each class; in the order of the volume."""
    rng = np.random.default_rng(seed)
    labels = region.volume.labels[region.box]
    origin = [part.start for part in region.box]
    places, truth, stands_for = [], [], []
    for index in range(classes):
        total = int(region.class_profile(index)[0].sum())
        number = min(total, max(1, count // classes))
        chosen = np.sort(rng.choice(total, number, replace=False)) if total else np.zeros(0, np.int64)
        places.append(_places(labels, index, chosen) + origin)
        truth.append(np.full(number, index))
        stands_for.append(np.full(number, total / max(1, number)))
    return Voxels(np.concatenate(places), np.concatenate(truth), np.concatenate(stands_for))


def _places(labels: np.ndarray[Any, Any], index: int, chosen: Whole) -> Whole:
    """Return where (N, 3) the voxels of a class lie that have the numbers ``chosen``, ascending, among its voxels."""
    found, seen = [np.zeros((0, 3), np.int64)], 0
    for box in pieces(labels.shape):
        inside = np.argwhere(labels[box] == index)
        low, high = np.searchsorted(chosen, (seen, seen + len(inside)))
        found.append(inside[chosen[low:high] - seen] + [box[0].start, box[1].start, 0])
        seen += len(inside)
    return np.concatenate(found)


class Gatherer:
    """Receives what a merge does and keeps what views say about some voxels: ``probabilities`` (V, C, N), float32."""

    def __init__(self, places: Whole, views: int) -> None:
        self.places, self.views = places, views
        self.probabilities: Floats = np.zeros((0, 0, 0), np.float32)
        self._shape: tuple[int, ...] = ()

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:  # noqa: ARG002  (a total weight)
        """Begin a volume."""
        self._shape = shape
        self.probabilities = np.zeros((self.views, classes, len(self.places)), np.float32)

    def add(self, probabilities: Any, where: tuple[slice, ...], view: int, weight: int = 1) -> None:  # noqa: ARG002
        """Keep the probabilities ``(C, *box)`` of the voxels in a box."""
        ranges = [part.indices(size) for part, size in zip(where, self._shape, strict=True)]
        low, high = np.array([item[0] for item in ranges]), np.array([item[1] for item in ranges])
        chosen = np.flatnonzero(((self.places >= low) & (self.places < high)).all(1))
        xp = array_namespace(probabilities)
        here = (xp.asarray(axis, device=device(probabilities)) for axis in (self.places[chosen] - low).T.copy())
        self.probabilities[view][:, chosen] = to_numpy(probabilities[(slice(None), *here)])

"""The held-out part: a contiguous slab of each volume, or whole volumes, so that scores are honest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError, UsageError
from volseg_core.volume.grid import pieces
from volseg_core.volume.labels import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.data.labelled import Labelled
    from volseg_core.recipe.blocks import ValidationBlock

Box = tuple[slice, slice, slice]
Profile = np.ndarray[Any, np.dtype[np.int64]]
_MANY = 3
_LEAST = 2
_HINT = "Set data.val.axis, a smaller data.val.gap or data.val.fraction (0 holds nothing out), or data.val.files."


@dataclass(frozen=True)
class Region:
    """A box of one labelled volume that windows are cut from."""

    volume: Labelled
    box: Box

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y and x."""
        z, y, x = (part.stop - part.start for part in self.box)
        return z, y, x

    @cached_property
    def labelled(self) -> tuple[Profile, Profile, Profile]:
        """How many voxels have a label in each plane along z, y and x."""
        return self._profile(IGNORED, equal=False)

    def class_profile(self, number: int) -> tuple[Profile, Profile, Profile]:
        """How many voxels of a class there are in each plane along z, y and x."""
        return self._profile(number, equal=True)

    def _profile(self, number: int, *, equal: bool) -> tuple[Profile, Profile, Profile]:
        labels = self.volume.labels[self.box]
        counts = tuple(np.zeros(size, np.int64) for size in labels.shape)
        for box in pieces(labels.shape):
            chosen = labels[box] == number if equal else labels[box] != number
            columns = np.count_nonzero(chosen, axis=0)
            counts[0][box[0]] += np.count_nonzero(chosen, axis=(1, 2))
            counts[1][box[1]] += columns.sum(axis=1)
            counts[2][:] += columns.sum(axis=0)
        return counts[0], counts[1], counts[2]

    def planes(self, axis: int) -> Profile:
        """Return the indices of the planes along ``axis`` that have a label."""
        return np.flatnonzero(self.labelled[axis])

    def has_whole_planes(self, axis: int) -> bool:
        """Return whether the planes along ``axis`` are as large as the volume's."""
        return all(self.shape[other] == self.volume.shape[other] for other in range(3) if other != axis)

    def describe(self) -> str:
        """Return the source and the box, for messages."""
        ranges = ", ".join(f"{axis} {part.start}-{part.stop - 1}" for axis, part in zip("zyx", self.box, strict=True))
        return f"{self.volume.grid.source} [{ranges}]"


def whole(volume: Labelled) -> Region:
    """Return a volume as one region."""
    z, y, x = volume.shape
    return Region(volume, (slice(0, z), slice(0, y), slice(0, x)))


def split(volumes: Sequence[Labelled], rule: ValidationBlock, axes: str) -> tuple[list[Region], list[Region]]:
    """Return training and validation regions.

    With three volumes or more the last ones are held out whole; else the end of each volume, after a gap, so that
    about ``fraction`` of its labelled voxels is held out. A fraction of 0 holds nothing out.

    Raises:
        DataError: a volume, or its labelled part, is too short to hold anything out.
    """
    if rule.fraction == 0:
        return [whole(volume) for volume in volumes], []
    if rule.split == "random-slices":
        return _interleaved(volumes, rule, axes)
    if len(volumes) >= _MANY:
        held = min(max(1, round(len(volumes) * rule.fraction)), len(volumes) - 1)
        return [whole(volume) for volume in volumes[:-held]], [whole(volume) for volume in volumes[-held:]]
    pairs = [_slab(volume, rule, axes) for volume in volumes]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def slab_axis(volume: Labelled, rule: ValidationBlock, axes: str) -> int:
    """Return the axis that the slab is cut off along: the first slicing axis if long enough, else the longest.

    Without ``axes`` nothing is sliced: it is the longest.
    """
    if rule.axis != "auto":
        return "zyx".index(rule.axis)
    if axes:
        first = "zyx".index(axes[0])
        if volume.grid.independent or volume.shape[first] * rule.fraction >= _LEAST:
            return first
    return max(range(3), key=lambda axis: volume.shape[axis])


def automatic_gap(volume: Labelled, size: int) -> int:
    """Return how many of ``size`` planes lie between training and validation: a twentieth, at most 8."""
    return 0 if volume.grid.independent else min(8, size // 20)


def _slab(volume: Labelled, rule: ValidationBlock, axes: str) -> tuple[Region, Region]:
    axis = slab_axis(volume, rule, axes)
    size = volume.shape[axis]
    gap = automatic_gap(volume, size) if rule.gap == "auto" else rule.gap
    labelled = whole(volume).labelled[axis]
    start = _cut_at(labelled, rule.fraction)
    if start - gap < 1:
        raise DataError(
            volume.grid.source,
            f"is too short along {'zyx'[axis]} ({size} voxels) to hold out {size - start} with a gap of {gap}",
            _HINT,
        )
    if not labelled[: start - gap].any():
        raise DataError(
            volume.grid.source,
            f"has labels in planes {_span(labelled)} along {'zyx'[axis]} only; with {size - start} planes held out "
            f"and a gap of {gap} none are left for training",
            _HINT,
        )
    return cut(volume, axis, slice(0, start - gap)), cut(volume, axis, slice(start, size))


def _cut_at(labelled: Profile, fraction: float) -> int:
    """Return where the held-out end starts, so that its share of all labels is nearest to ``fraction``, not 0."""
    behind = labelled[::-1].cumsum()[::-1]
    distance = np.abs(behind - fraction * behind[0])
    distance[behind == 0] = np.inf
    # among equals the shortest end: unlabelled planes before it stay with the training part
    return int(len(distance) - 1 - np.argmin(distance[::-1]))


def _span(labelled: Profile) -> str:
    planes = np.flatnonzero(labelled)
    return f"{planes[0]} to {planes[-1]}"


def cut(volume: Labelled, axis: int, part: slice) -> Region:
    """Return the part of a volume between two planes along an axis."""
    box = list(whole(volume).box)
    box[axis] = part
    return Region(volume, (box[0], box[1], box[2]))


def _interleaved(volumes: Sequence[Labelled], rule: ValidationBlock, axes: str) -> tuple[list[Region], list[Region]]:
    """Return single labelled slices drawn at random (seeded by their number): neighbours end up on both sides.

    Raises:
        UsageError: several slicing axes, whose slices would all cross the held-out ones. DataError: one slice only.
    """
    where = "data.val.split"
    if len(axes) > 1:
        hint = f"data.axes is {axes!r}; set for example data.axes=z"
        raise UsageError(where, "random-slices needs one slicing axis", hint)
    if rule.axis not in ("auto", axes):
        raise UsageError(where, f"random-slices holds out slices along {axes}, but data.val.axis is {rule.axis}")
    train: list[Region] = []
    held: list[Region] = []
    axis = "zyx".index(axes)
    for volume in volumes:
        planes = whole(volume).planes(axis)
        if len(planes) < _LEAST:
            raise DataError(volume.grid.source, f"has one labelled slice along {axes}; two are needed to split", _HINT)
        count = min(max(1, round(len(planes) * rule.fraction)), len(planes) - 1)
        chosen = set(np.random.default_rng(len(planes)).permutation(planes)[:count].tolist())
        for index in planes.tolist():
            (held if index in chosen else train).append(cut(volume, axis, slice(index, index + 1)))
    return train, held

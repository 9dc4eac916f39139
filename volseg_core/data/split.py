"""The held-out part: a contiguous slab of each volume, or whole volumes, so that scores are honest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from volseg_core.data.labelled import Labelled
from volseg_core.errors import DataError, UsageError
from volseg_core.recipe.blocks import ValidationBlock

Box = tuple[slice, slice, slice]
_MANY = 3


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

    def describe(self) -> str:
        """Return the source and the box, for messages."""
        ranges = ", ".join(
            f"{axis} {part.start}-{part.stop - 1}" for axis, part in zip("zyx", self.box, strict=True)
        )
        return f"{self.volume.grid.source} [{ranges}]"


def whole(volume: Labelled) -> Region:
    """Return a volume as one region."""
    z, y, x = volume.shape
    return Region(volume, (slice(0, z), slice(0, y), slice(0, x)))


def split(volumes: Sequence[Labelled], rule: ValidationBlock, axes: str) -> tuple[list[Region], list[Region]]:
    """Return training and validation regions.

    With three volumes or more the last ones are held out whole; else the end of each volume, after a gap. A
    fraction of 0 holds nothing out.

    Raises:
        DataError: a volume is too short to hold anything out.
    """
    if rule.fraction == 0:
        return [whole(volume) for volume in volumes], []
    if len(volumes) >= _MANY:
        held = max(1, round(len(volumes) * rule.fraction))
        return [whole(volume) for volume in volumes[:-held]], [whole(volume) for volume in volumes[-held:]]
    if rule.split == "random-slices":
        return _interleaved(volumes, rule, axes)
    pairs = [_slab(volume, rule, axes) for volume in volumes]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _axis(volume: Labelled, rule: ValidationBlock, axes: str) -> int:
    """Return the axis along which the slab is cut off: the first slicing axis if it is long enough, else the longest."""
    if rule.axis != "auto":
        return "zyx".index(rule.axis)
    first = "zyx".index(axes[0])
    if volume.grid.independent or volume.shape[first] * rule.fraction >= 2:  # noqa: PLR2004
        return first
    return max(range(3), key=lambda axis: volume.shape[axis])


def _slab(volume: Labelled, rule: ValidationBlock, axes: str) -> tuple[Region, Region]:
    axis = _axis(volume, rule, axes)
    size = volume.shape[axis]
    automatic = 0 if volume.grid.independent else min(8, size // 20)
    gap = automatic if rule.gap == "auto" else rule.gap
    held = max(1, round(size * rule.fraction))
    end = size - held - gap
    if end < 1:
        raise DataError(
            volume.grid.source,
            f"is too short along {'zyx'[axis]} ({size} voxels) to hold out {held} with a gap of {gap}",
            "Set data.val.axis, a smaller data.val.fraction (0 holds nothing out), or data.val.files.",
        )
    return _cut(volume, axis, slice(0, end)), _cut(volume, axis, slice(size - held, size))


def _cut(volume: Labelled, axis: int, part: slice) -> Region:
    box = list(whole(volume).box)
    box[axis] = part
    return Region(volume, (box[0], box[1], box[2]))


def _interleaved(
    volumes: Sequence[Labelled], rule: ValidationBlock, axes: str
) -> tuple[list[Region], list[Region]]:
    """Return single slices drawn at random (seeded by the volume's length): neighbours end up on both sides.

    Raises:
        UsageError: several slicing axes, whose slices would all cross the held-out ones.
    """
    if len(axes) > 1:
        raise UsageError(
            "data.val.split", "random-slices needs one slicing axis", f"data.axes is {axes!r}; set for example data.axes=z"
        )
    train: list[Region] = []
    held: list[Region] = []
    for volume in volumes:
        axis = _axis(volume, rule, axes)
        size = volume.shape[axis]
        count = max(1, round(size * rule.fraction))
        chosen = set(np.random.default_rng(size).permutation(size)[:count].tolist())
        for index in range(size):
            (held if index in chosen else train).append(_cut(volume, axis, slice(index, index + 1)))
    return train, held

"""The held-out part as the network sees it: whole slices, or windows that tile it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from volseg_core.data.sampling import Place, as_window
from volseg_core.data.truth import class_indices, unlabelled
from volseg_core.data.windows import window_shape
from volseg_core.volume import BOXES, SLICES, Tiling, View, reflected
from volseg_core.volume.labels import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.data.sampling import Window
    from volseg_core.data.split import Box, Region
    from volseg_core.data.truth import Teacher
    from volseg_core.data.windows import Taught
    from volseg_core.model import ModelSpec


class ValidationWindow(Protocol):
    """A window of a held-out region."""

    @property
    def region(self) -> Region:
        """The region."""

    @property
    def size(self) -> tuple[int, ...]:
        """Windows of one size make up a batch."""

    @property
    def plane(self) -> tuple[int, int]:
        """Axis of the volume and index of the plane that stands for the window in a report."""

    @property
    def picture(self) -> tuple[int | slice, ...]:
        """Where this plane lies in the labels of the window, without padding."""

    def load(self, spec: ModelSpec) -> Window:
        """Return image (C, *S) and truth (K, *S) as the network sees them."""


@dataclass(frozen=True)
class ValidationSlice:
    """One whole slice of a held-out region."""

    region: Region
    axis: int
    index: int

    @property
    def size(self) -> tuple[int, ...]:
        """Axis, height and width."""
        return self.axis, *View.parse("zyx"[self.axis]).shape(self.region.shape)[1:]

    @property
    def plane(self) -> tuple[int, int]:
        """The slice itself."""
        return self.axis, self.region.box[self.axis].start + self.index

    @property
    def picture(self) -> tuple[int | slice, ...]:
        """The whole slice."""
        return tuple(slice(0, size) for size in self.size[1:])

    def load(self, spec: ModelSpec) -> Window:
        """Return the slice as the network sees it, padded to the divisor (truth with "no label")."""
        view = View.parse("zyx"[self.axis])
        height, width = self.size[1:]
        shape = spec.sizes.padded((height, width))
        place = Place(self.region, self.index, (slice(0, height), slice(0, width)))
        image, truth = place.cut(view, shape, spec.neighbours)
        return as_window(self.region.volume.normaliser(image), truth, SLICES)


@dataclass(frozen=True)
class ValidationBox:
    """A window of a held-out region: its ``box`` in the volume, and the part ``own`` of it that it is scored on.

    The image goes on beyond the region, as at prediction, and is reflected beyond the volume. Labels outside ``own``,
    which other windows are scored on or which are trained on, are "no label".
    """

    region: Region
    box: Box
    own: Box

    @property
    def size(self) -> tuple[int, ...]:
        """Depth, height and width."""
        return tuple(part.stop - part.start for part in self.box)

    @property
    def plane(self) -> tuple[int, int]:
        """The middle of what is scored, along z."""
        return 0, (self.own[0].start + self.own[0].stop) // 2

    @property
    def picture(self) -> tuple[int | slice, ...]:
        """The rows and columns that are scored."""
        return self.plane[1] - self.box[0].start, *self.inside[1:]

    @property
    def inside(self) -> Box:
        """The part that is scored, counted within the window."""
        z, y, x = (
            slice(own.start - part.start, own.stop - part.start) for own, part in zip(self.own, self.box, strict=True)
        )
        return z, y, x

    def load(self, spec: ModelSpec) -> Window:  # noqa: ARG002  (slices are padded by its rules)
        """Return the window as the network sees it."""
        volume = self.region.volume
        taught = volume.taught
        truth = np.full((len(taught), *self.size), unlabelled(taught.dtype), taught.dtype)
        truth[(slice(None), *self.inside)] = taught[(slice(None), *self.own)]
        return as_window(volume.normaliser(reflected(volume.data, self.box)), truth, BOXES)


def validation_windows(
    regions: Sequence[Region], spec: ModelSpec, window: str | Sequence[int], limit: int
) -> Sequence[ValidationWindow]:
    """Return what a network is validated on: slices, or for a 3D network boxes, at most ``limit`` of a region."""
    if spec.dims == SLICES:
        return validation_slices(regions, spec.axes, limit)
    return validation_boxes(regions, spec, window, limit)


def validation_slices(regions: Sequence[Region], axes: str, limit: int) -> list[ValidationSlice]:
    """Return whole slices with labels along ``axes``, evenly spread and at most ``limit`` per region and axis.

    A slab is looked at along the axis that it was cut off along, if that is one of ``axes``: its slices along the
    others would be strips, too narrow to judge a network by.
    """
    result = []
    for region in regions:
        whole = [letter for letter in axes if region.has_whole_planes("zyx".index(letter))]
        for letter in whole or axes:
            axis = "zyx".index(letter)
            planes = region.planes(axis)
            result += [ValidationSlice(region, axis, int(index)) for index in planes[_spread(len(planes), limit)]]
    return result


def validation_boxes(
    regions: Sequence[Region], spec: ModelSpec, window: str | Sequence[int], limit: int
) -> list[ValidationBox]:
    """Return windows with labels that tile the regions, evenly spread and at most ``limit`` per region.

    Where all fit in, every voxel of a region is scored once, by the window whose centre is nearest. The windows are
    as large as those of training, smaller where the whole volume is.
    """
    result = []
    for region in regions:
        boxes = [box for box in _tiles(region, spec, window) if (region.volume.labels[box.own] != IGNORED).any()]
        result += [boxes[index] for index in _spread(len(boxes), limit)]
    return result


def _tiles(region: Region, spec: ModelSpec, window: str | Sequence[int]) -> list[ValidationBox]:
    wanted = window_shape(window, region.volume.shape, spec.axes, spec.sizes)
    axes = []
    largest = map(min, wanted, spec.sizes.padded(region.volume.shape))
    for part, whole, size in zip(region.box, region.volume.shape, largest, strict=True):
        length = max(size, part.stop - part.start)
        first = max(0, min(part.start, whole - length))
        axes.append([(first + begin, size, own) for begin, own in _owned(length, size, first, part)])
    return [
        ValidationBox(region, (_slice(z), _slice(y), _slice(x)), (z[2], y[2], x[2]))
        for z in axes[0] for y in axes[1] for x in axes[2]
    ]  # fmt: skip


def _slice(window: tuple[int, int, slice]) -> slice:
    return slice(window[0], window[0] + window[1])


def _owned(length: int, size: int, first: int, part: slice) -> list[tuple[int, slice]]:
    """Return where windows of ``size`` begin that cover ``length``, and what each owns of ``part`` of the volume."""
    tiling = Tiling((length,), (size,), overlap=0, blend="crop")
    result = []
    for start, profile in zip(tiling.starts(0), tiling.profiles(0), strict=True):
        owned = np.flatnonzero(profile) + first + start
        own = slice(max(part.start, int(owned[0])), min(part.stop, int(owned[-1]) + 1))
        if own.start < own.stop:
            result.append((start, own))
    return result


def _spread(count: int, limit: int) -> list[int]:
    """Return up to ``limit`` of ``count`` indices, evenly spread."""
    return [int(index) for index in np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(int))]


class ValidationDataset:
    """Windows of the held-out part as a dataset of images and targets, as `WindowDataset`."""

    def __init__(
        self, windows: Sequence[ValidationWindow], spec: ModelSpec, teachers: Sequence[Teacher] = (class_indices,)
    ) -> None:
        self.windows, self.spec, self.teachers = list(windows), spec, tuple(teachers)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Taught:
        image, truth = self.windows[index].load(self.spec)
        return image, tuple(teacher(truth) for teacher in self.teachers)

    def batches(self, batch: int) -> list[list[int]]:
        """Return indices in batches of windows of one size."""
        sizes: dict[tuple[int, ...], list[int]] = {}
        for index, item in enumerate(self.windows):
            sizes.setdefault(item.size, []).append(index)
        return [members[at : at + batch] for members in sizes.values() for at in range(0, len(members), batch)]

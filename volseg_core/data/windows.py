"""Training windows: cut straight from volumes in memory; every draw is keyed by (seed, epoch, index)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError, UsageError
from volseg_core.volume import View, pad_to, padded_size
from volseg_core.volume.labels import IGNORED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from volseg_core.data.split import Region

AUTO_WINDOW = 256
_TRIES = 4
_WHERE = "data.window"

Window = tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.int64]]]
Draw = tuple[int, int, int]
"""Epoch, group and index of a sample."""


@dataclass(frozen=True)
class Group:
    """Windows of one shape: slices along one axis of one or more regions.

    In a ``turned`` group rows and columns are exchanged; ``share`` is the part of the slices that it stands for.
    """

    axis: int
    window: tuple[int, int]
    regions: tuple[Region, ...]
    turned: bool = False
    share: float = 1.0

    @property
    def view(self) -> View:
        """The view whose planes the windows are cut from."""
        first, second = (other for other in range(3) if other != self.axis)
        return View((self.axis, second, first) if self.turned else (self.axis, first, second))

    @property
    def counts(self) -> list[float]:
        """How many windows cover the slices with labels of each region once."""
        result = []
        for region in self.regions:
            _, height, width = self.view.shape(region.shape)
            slices = self.share * len(region.planes(self.axis))
            result.append(slices * max(1.0, height / self.window[0]) * max(1.0, width / self.window[1]))
        return result


def with_turns(groups: Sequence[Group]) -> list[Group]:
    """Return the groups with every oblong one in both orientations, each half as often.

    An augmentation turns square windows by itself; oblong ones of a batch can only be turned together.
    """
    result = []
    for group in groups:
        height, width = group.window
        if height == width:
            result.append(group)
        else:
            upright = replace(group, share=group.share / 2)
            result += [upright, replace(upright, window=(width, height), turned=True)]
    return result


def window_groups(
    regions: Sequence[Region], axes: str, window: tuple[int, int] | None, divisor: int, minimum: int
) -> list[Group]:
    """Return the groups of windows of all regions; those of equal axis and shape share a group.

    Without ``window`` it is 256 x 256, smaller where slices are smaller; always multiples of ``divisor``.

    Raises:
        UsageError: a window that was asked for is larger than the slices or does not suit the network.
        DataError: no region holds a label.
    """
    if not any(len(region.planes(0)) for region in regions):
        listed = ", ".join(region.describe() for region in regions)
        raise DataError(listed or "data.train", "has no labelled voxel to train on", "See data.val and data.ignore.")
    found: dict[tuple[int, tuple[int, int]], list[Region]] = {}
    for region in regions:
        for letter in axes:
            plane = View.parse(letter).shape(region.shape)[1:]
            if window is not None:
                _check_fits(window, region, letter)
                _check_suits(window, divisor, minimum)
            wanted = window or (AUTO_WINDOW, AUTO_WINDOW)
            shape = tuple(_fit(size, target, divisor, minimum) for size, target in zip(plane, wanted, strict=True))
            found.setdefault(("zyx".index(letter), (shape[0], shape[1])), []).append(region)
    return [Group(axis, shape, tuple(members)) for (axis, shape), members in found.items()]


def _fit(size: int, target: int, divisor: int, minimum: int) -> int:
    """Return the multiple of ``divisor`` that is nearest to size or target, whichever is smaller.

    A slice of 55 pixels is padded to 64 rather than cut to 32: context is worth more than a few reflected pixels.
    """
    wanted = min(size, target)
    inside, outside = wanted // divisor * divisor, padded_size(wanted, divisor, minimum)
    return inside if inside >= max(minimum, 1) and wanted - inside <= outside - wanted else outside


def _check_fits(window: tuple[int, int], region: Region, letter: str) -> None:
    """Refuse a window larger than the volume's slices; where a slab was held out it may be smaller."""
    plane = View.parse(letter).shape(region.volume.shape)[1:]
    if any(wanted > size for wanted, size in zip(window, plane, strict=True)):
        raise UsageError(
            _WHERE,
            f"{window[0]} x {window[1]} is larger than the slices along {letter} of "
            f"{region.volume.grid.source} ({plane[0]} x {plane[1]})",
            "Use data.window=auto or a smaller one.",
        )


def _check_suits(window: tuple[int, int], divisor: int, minimum: int) -> None:
    if any(wanted % divisor or wanted < minimum for wanted in window):
        rule = f"multiples of {divisor}" + (f", {minimum} or more," if minimum > divisor else "")
        raise UsageError(_WHERE, f"{window[0]} x {window[1]} must be {rule} for this network")


class WindowDataset:
    """Draws windows: ``dataset[epoch, group, index] -> (image (C, H, W) float32, labels (H, W) int64)``.

    Images are normalised as the network sees them; labels are class indices, -1 where there is none.
    """

    def __init__(self, groups: Sequence[Group], augment: Any, seed: int) -> None:
        self.groups, self.augment, self.seed = list(groups), augment, seed
        counts = [np.asarray(group.counts) for group in self.groups]
        self._shares = [count / count.sum() if count.any() else count for count in counts]

    def __getitem__(self, draw: Draw) -> Window:
        """Return the window of a draw; the same draw always gives the same window."""
        epoch, number, index = draw
        group = self.groups[number]
        random = np.random.default_rng([self.seed, epoch, number, index, 1])
        shares = self._shares[number]
        region = group.regions[int(random.choice(len(shares), p=shares))]
        image, labels = _cut(region, group, random)
        normaliser = region.volume.normaliser
        unit = np.ascontiguousarray(np.moveaxis(normaliser.unit(image), 0, -1))
        unit, labels = self.augment(unit, labels.astype(np.int32), seed=int(random.integers(2**31)))
        network = normaliser.to_network(np.moveaxis(unit, -1, 0))
        return np.ascontiguousarray(network), np.ascontiguousarray(labels).astype(np.int64)


def _cut(
    region: Region, group: Group, random: np.random.Generator
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Cut a random window with at least one labelled voxel.

    After a few tries in the plane, which is one with labels, the window is laid around one of its labelled voxels.
    """
    data = group.view.apply(region.volume.data[(slice(None), *region.box)])
    labels = group.view.apply(region.volume.labels[region.box])
    plane = int(random.choice(region.planes(group.axis)))
    box = _place(labels[plane], group.window, random)
    return pad_to(data[:, plane, *box], group.window), pad_labels(labels[plane][box], group.window)


def _place(labels: np.ndarray[Any, Any], window: tuple[int, int], random: np.random.Generator) -> tuple[slice, slice]:
    """Return a random box of the shape ``window`` (smaller where the plane is) that holds a label of the plane."""
    room = [max(0, size - wanted) for size, wanted in zip(labels.shape, window, strict=True)]
    for _ in range(_TRIES):
        top, left = (int(random.integers(free + 1)) for free in room)
        box = slice(top, top + window[0]), slice(left, left + window[1])
        if (labels[box] != IGNORED).any():
            return box
    anchor = np.unravel_index(int(random.choice(np.flatnonzero(labels != IGNORED))), labels.shape)
    top, left = (
        int(random.integers(max(0, int(place) - wanted + 1), min(int(place), free) + 1))
        for place, wanted, free in zip(anchor, window, room, strict=True)
    )
    return slice(top, top + window[0]), slice(left, left + window[1])


def pad_labels(labels: np.ndarray[Any, Any], shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """Pad class indices ``(H, W)`` at their ends with "no label"."""
    grow = [(0, max(0, target - size)) for target, size in zip(shape, labels.shape, strict=True)]
    return np.pad(labels, grow, constant_values=IGNORED)


class BatchPlan:
    """The batches of every epoch: which group each one draws from, and the draws. A torch batch sampler."""

    def __init__(self, groups: Sequence[Group], steps: int, batch: int, seed: int) -> None:
        self.steps, self.batch, self.seed = steps, batch, seed
        counts = np.array([sum(group.counts) for group in groups])
        self._shares = counts / counts.sum()
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches are iterated next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[Draw]]:
        random = np.random.default_rng([self.seed, self.epoch, 0])
        for step, group in enumerate(random.choice(len(self._shares), size=self.steps, p=self._shares)):
            yield [(self.epoch, int(group), step * self.batch + item) for item in range(self.batch)]


@dataclass(frozen=True)
class ValidationSlice:
    """One whole slice of a held-out region."""

    region: Region
    axis: int
    index: int

    def load(self, divisor: int, minimum: int) -> Window:
        """Return the slice as the network sees it, padded to the divisor (labels with "no label")."""
        view = View.parse("zyx"[self.axis])
        volume = self.region.volume
        image = view.apply(volume.data[(slice(None), *self.region.box)])[:, self.index]
        labels = view.apply(volume.labels[self.region.box])[self.index]
        shape = tuple(padded_size(size, divisor, minimum) for size in labels.shape)
        padded = pad_to(volume.normaliser(image), shape)
        return np.ascontiguousarray(padded), pad_labels(labels, shape).astype(np.int64)


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
            chosen = np.unique(np.linspace(0, len(planes) - 1, min(len(planes), limit)).round().astype(int))
            result += [ValidationSlice(region, axis, int(index)) for index in planes[chosen]]
    return result


class SliceDataset:
    """Validation slices as a dataset of `Window`."""

    def __init__(self, slices: Sequence[ValidationSlice], divisor: int, minimum: int) -> None:
        self.slices, self.divisor, self.minimum = list(slices), divisor, minimum

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> Window:
        return self.slices[index].load(self.divisor, self.minimum)

    def batches(self, batch: int) -> list[list[int]]:
        """Return indices in batches of slices of one shape."""
        shapes: dict[tuple[int, int, int], list[int]] = {}
        for index, item in enumerate(self.slices):
            height, width = View.parse("zyx"[item.axis]).shape(item.region.shape)[1:]
            shapes.setdefault((item.axis, height, width), []).append(index)
        return [members[at : at + batch] for members in shapes.values() for at in range(0, len(members), batch)]

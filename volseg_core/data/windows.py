"""Training windows: cut straight from volumes in memory; every draw is keyed by (seed, epoch, index)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volseg_core.data.split import Region
from volseg_core.errors import UsageError
from volseg_core.volume import View, pad_to, padded_size
from volseg_core.volume.labels import IGNORED

AUTO_WINDOW = 256
_TRIES = 10

Window = tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.int64]]]
Draw = tuple[int, int, int]
"""Epoch, group and index of a sample."""


@dataclass(frozen=True)
class Group:
    """Windows of one shape: slices along one axis of one or more regions."""

    axis: int
    window: tuple[int, int]
    regions: tuple[Region, ...]

    @property
    def counts(self) -> list[float]:
        """How many windows cover each region once."""
        result = []
        for region in self.regions:
            slices, height, width = View.parse("zyx"[self.axis]).shape(region.shape)
            result.append(slices * max(1.0, height / self.window[0]) * max(1.0, width / self.window[1]))
        return result


def window_groups(
    regions: Sequence[Region], axes: str, window: tuple[int, int] | None, divisor: int, minimum: int
) -> list[Group]:
    """Return the groups of windows of all regions; those of equal axis and shape share a group.

    Without ``window`` it is 256 x 256, smaller where slices are smaller; always multiples of ``divisor``.

    Raises:
        UsageError: a window that was asked for is larger than the slices.
    """
    found: dict[tuple[int, tuple[int, int]], list[Region]] = {}
    for region in regions:
        for letter in axes:
            plane = View.parse(letter).shape(region.shape)[1:]
            if window is not None:
                _check_window(window, plane, region, letter, divisor)
            wanted = window or (AUTO_WINDOW, AUTO_WINDOW)
            shape = tuple(_fit(size, target, divisor, minimum) for size, target in zip(plane, wanted, strict=True))
            found.setdefault(("zyx".index(letter), (shape[0], shape[1])), []).append(region)
    return [Group(axis, shape, tuple(members)) for (axis, shape), members in found.items()]


def _fit(size: int, target: int, divisor: int, minimum: int) -> int:
    """Return the largest multiple of ``divisor`` within size and target; smaller slices are padded up to one."""
    inside = min(size, target) // divisor * divisor
    return inside if inside >= max(minimum, 1) else padded_size(1, divisor, minimum)


def _check_window(window: tuple[int, int], plane: Sequence[int], region: Region, letter: str, divisor: int) -> None:
    if any(wanted > size for wanted, size in zip(window, plane, strict=True)):
        raise UsageError(
            "data.window",
            f"{window[0]} x {window[1]} is larger than the slices along {letter} of "
            f"{region.describe()} ({plane[0]} x {plane[1]})",
            "Use data.window=auto or a smaller one.",
        )
    if any(wanted % divisor for wanted in window):
        raise UsageError("data.window", f"{window[0]} x {window[1]} must be multiples of {divisor} for this network")


class WindowDataset:
    """Draws windows: ``dataset[epoch, group, index] -> (image (C, H, W) float32, labels (H, W) int64)``.

    Images are normalised as the network sees them; labels are class indices, -1 where there is none.
    """

    def __init__(self, groups: Sequence[Group], augment: Any, seed: int) -> None:
        self.groups, self.augment, self.seed = list(groups), augment, seed

    def __getitem__(self, draw: Draw) -> Window:
        """Return the window of a draw; the same draw always gives the same window."""
        epoch, number, index = draw
        group = self.groups[number]
        random = np.random.default_rng([self.seed, epoch, index, 1])
        weights = np.asarray(group.counts)
        region = group.regions[int(random.choice(len(weights), p=weights / weights.sum()))]
        image, labels = _cut(region, group, random)
        normaliser = region.volume.normaliser
        unit = np.ascontiguousarray(np.moveaxis(normaliser.unit(image), 0, -1))
        unit, labels = self.augment(unit, labels.astype(np.int32), seed=int(random.integers(2**31)))
        network = normaliser.to_network(np.moveaxis(unit, -1, 0))
        return np.ascontiguousarray(network), np.ascontiguousarray(labels).astype(np.int64)


def _cut(
    region: Region, group: Group, random: np.random.Generator
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Cut a random window with at least one labelled voxel (after a few tries, any window)."""
    view = View.parse("zyx"[group.axis])
    data = view.apply(region.volume.data[(slice(None), *region.box)])
    labels = view.apply(region.volume.labels[region.box])
    height, width = group.window
    for _ in range(_TRIES):
        plane = int(random.integers(labels.shape[0]))
        top = int(random.integers(max(1, labels.shape[1] - height + 1)))
        left = int(random.integers(max(1, labels.shape[2] - width + 1)))
        box = (plane, slice(top, top + height), slice(left, left + width))
        if (labels[box] != IGNORED).any():
            break
    return pad_to(data[(slice(None), *box)], group.window), pad_labels(labels[box], group.window)


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
    """Return whole slices of the regions along ``axes``, evenly spread and at most ``limit`` per region and axis."""
    result = []
    for region in regions:
        for letter in axes:
            axis = "zyx".index(letter)
            size = region.shape[axis]
            chosen = np.unique(np.linspace(0, size - 1, min(size, limit)).round().astype(int))
            result += [ValidationSlice(region, axis, int(index)) for index in chosen]
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

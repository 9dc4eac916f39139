"""Training windows: groups of one shape, and their draws, each keyed by (seed, epoch, group, index)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.sampling import Places, Window, stacked
from volseg_core.errors import DataError, UsageError
from volseg_core.volume import View, padded_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from volseg_core.data.split import Region
    from volseg_core.recipe.blocks import SamplerBlock

AUTO_WINDOW = 256
_WHERE = "data.window"

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
    regions: Sequence[Region], axes: str, window: str | Sequence[int], divisor: int, minimum: int
) -> list[Group]:
    """Return the groups of windows of all regions; those of equal axis and shape share a group.

    ``window`` is a shape, ``auto`` (256 x 256, smaller where slices are smaller) or ``whole`` (the padded slices);
    always multiples of ``divisor``.

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
            shape = _window_shape(window, plane, divisor, minimum)
            if not isinstance(window, str):
                _check_fits((window[0], window[1]), region, letter)
                _check_suits((window[0], window[1]), divisor, minimum)
            found.setdefault(("zyx".index(letter), shape), []).append(region)
    return [Group(axis, shape, tuple(members)) for (axis, shape), members in found.items()]


def _window_shape(window: str | Sequence[int], plane: tuple[int, int], divisor: int, minimum: int) -> tuple[int, int]:
    if window == "whole":
        return padded_size(plane[0], divisor, minimum), padded_size(plane[1], divisor, minimum)
    wanted = (AUTO_WINDOW, AUTO_WINDOW) if isinstance(window, str) else (window[0], window[1])
    return _fit(plane[0], wanted[0], divisor, minimum), _fit(plane[1], wanted[1], divisor, minimum)


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

    Images are normalised as the network sees them, with ``neighbours`` slices on each side as further channels;
    labels are class indices, -1 where there is none.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        augment: Any,
        seed: int,
        sampler: SamplerBlock | None = None,
        classes: int = 0,
        neighbours: int = 0,
    ) -> None:
        self.groups, self.augment, self.seed, self.neighbours = list(groups), augment, seed, neighbours
        self._places = [Places(group, sampler, classes) for group in self.groups]

    def __getitem__(self, draw: Draw) -> Window:
        """Return the window of a draw; the same draw always gives the same window."""
        epoch, number, index = draw
        group = self.groups[number]
        random = np.random.default_rng([self.seed, epoch, number, index, 1])
        place = self._places[number].draw(random)
        normaliser = place.region.volume.normaliser
        image, labels = place.cut(group.view, group.window, self.neighbours)
        channels, slices, height, width = image.shape
        unit = normaliser.unit(image).reshape(channels * slices, height, width)
        unit, labels = self.augment(
            np.ascontiguousarray(np.moveaxis(unit, 0, -1)), labels.astype(np.int32), seed=int(random.integers(2**31))
        )
        height, width = labels.shape
        network = normaliser.to_network(np.moveaxis(unit, -1, 0).reshape(channels, slices, height, width))
        return stacked(network), np.ascontiguousarray(labels).astype(np.int64)


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

    def for_steps(self, steps: int, epoch: int) -> BatchPlan:
        """Return the plan of an epoch of another length."""
        plan = copy.copy(self)
        plan.steps, plan.epoch = steps, epoch
        return plan

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[Draw]]:
        random = np.random.default_rng([self.seed, self.epoch, 0])
        for step, group in enumerate(random.choice(len(self._shares), size=self.steps, p=self._shares)):
            yield [(self.epoch, int(group), step * self.batch + item) for item in range(self.batch)]

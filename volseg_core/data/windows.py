"""Training windows: groups of one shape, and their draws, each keyed by (seed, epoch, group, index)."""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.augment import augmented
from volseg_core.data.sampling import Places, Window, as_window, box_shape
from volseg_core.errors import DataError, UsageError
from volseg_core.volume import SLICES, View, padded_size, symmetries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from volseg_core.data.split import Region
    from volseg_core.recipe.blocks import SamplerBlock

log = logging.getLogger("volseg")

AUTO_WINDOW = 256
AUTO_BOX, AUTO_THIN_BOX = (96, 96, 96), (32, 128, 128)
"""Windows of 3D networks where all axes are alike, and where the first one differs from the others."""
_WHERE = "data.window"

Draw = tuple[int, int, int]
"""Epoch, group and index of a sample."""


@dataclass(frozen=True)
class Group:
    """Windows of one shape: of slices along one axis, or boxes, of one or more regions.

    In a ``turned`` group rows and columns are exchanged; ``share`` is the part of the slices that it stands for. Each
    box takes one of the ``orientations``, which keep its shape.
    """

    axis: int
    window: tuple[int, ...]
    regions: tuple[Region, ...]
    turned: bool = False
    share: float = 1.0
    orientations: tuple[View, ...] = (View(),)

    @property
    def dims(self) -> int:
        """2 where windows are cut from slices, 3 where they are boxes."""
        return len(self.window)

    @property
    def view(self) -> View:
        """The view whose planes the windows are cut from."""
        first, second = (other for other in range(3) if other != self.axis)
        return View((self.axis, second, first) if self.turned else (self.axis, first, second))

    @property
    def counts(self) -> list[float]:
        """How many windows cover the planes with labels of each region once."""
        depth, *window = box_shape(self.window)
        result = []
        for region in self.regions:
            plane = self.view.shape(region.shape)[1:]
            layers = self.share * math.ceil(len(region.planes(self.axis)) / depth)
            result.append(layers * math.prod(max(1.0, size / edge) for size, edge in zip(plane, window, strict=True)))
        return result


def with_turns(groups: Sequence[Group], axes: str = "zyx") -> list[Group]:
    """Return the groups with every oblong one of slices in both orientations, each half as often.

    An augmentation turns square windows by itself; oblong ones of a batch can only be turned together. Boxes take
    every orientation that keeps their shape; where one of ``axes`` differs from the others, it stays in its place.
    """
    result = []
    for group in groups:
        if group.dims != SLICES:
            alike = (view for view in symmetries(axes) if view.shape(group.window) == group.window)
            result.append(replace(group, orientations=tuple(alike)))
            continue
        height, width = group.window
        if height == width:
            result.append(group)
        else:
            upright = replace(group, share=group.share / 2)
            result += [upright, replace(upright, window=(width, height), turned=True)]
    return result


def window_groups(
    regions: Sequence[Region], axes: str, window: str | Sequence[int], divisor: int, minimum: int, dims: int = SLICES
) -> list[Group]:
    """Return the groups of windows of all regions; those of equal axis and shape share a group.

    ``window`` is a shape, ``auto`` (256 x 256, or 96 x 96 x 96, smaller where regions are smaller), ``small`` (half the
    edges of ``auto``) or ``whole`` (the padded slices or regions); always multiples of ``divisor``. Boxes may be larger
    than a volume, which is padded.

    Raises:
        UsageError: a window that was asked for is larger than the slices or does not suit the network.
        DataError: no region holds a label.
    """
    if not any(len(region.planes(0)) for region in regions):
        listed = ", ".join(region.describe() for region in regions)
        raise DataError(listed or "data.train", "has no labelled voxel to train on", "See data.val and data.ignore.")
    found: dict[tuple[int, tuple[int, ...]], list[Region]] = {}
    for region in regions:
        for letter in axes if dims == SLICES else "z":
            extent = View.parse(letter).shape(region.shape)[-dims:]
            shape = window_shape(window, extent, axes, divisor, minimum)
            if not isinstance(window, str):
                check = _check_fits if dims == SLICES else _note_padding
                check(tuple(window), region, letter)
                _check_suits(window, divisor, minimum)
            found.setdefault(("zyx".index(letter), shape), []).append(region)
    return [Group(axis, shape, tuple(members)) for (axis, shape), members in found.items()]


def window_shape(
    window: str | Sequence[int], extent: Sequence[int], axes: str, divisor: int, minimum: int
) -> tuple[int, ...]:
    """Return the shape of windows in slices (H, W) or volumes (D, H, W) of a size, as `window_groups` says.

    Boxes that were asked for are as large as asked; windows of slices fit into them.
    """
    if window == "whole":
        return tuple(padded_size(size, divisor, minimum) for size in extent)
    if isinstance(window, str):
        share = 2 if window == "small" else 1
        window = [edge // share for edge in _automatic(len(extent), axes)]
    elif len(extent) != SLICES:
        return tuple(window)
    return tuple(_fit(size, wanted, divisor, minimum) for size, wanted in zip(extent, window, strict=True))


def _automatic(dims: int, axes: str) -> tuple[int, ...]:
    if dims == SLICES:
        return AUTO_WINDOW, AUTO_WINDOW
    if len(axes) > 1:
        return AUTO_BOX
    thin, wide, _ = AUTO_THIN_BOX
    return tuple(thin if axis == axes else wide for axis in "zyx")


def _fit(size: int, target: int, divisor: int, minimum: int) -> int:
    """Return the multiple of ``divisor`` that is nearest to size or target, whichever is smaller.

    A slice of 55 pixels is padded to 64 rather than cut to 32: context is worth more than a few reflected pixels.
    """
    wanted = min(size, target)
    inside, outside = wanted // divisor * divisor, padded_size(wanted, divisor, minimum)
    return inside if inside >= max(minimum, 1) and wanted - inside <= outside - wanted else outside


def _check_fits(window: tuple[int, ...], region: Region, letter: str) -> None:
    """Refuse a window larger than the volume's slices; where a slab was held out it may be smaller."""
    plane = View.parse(letter).shape(region.volume.shape)[1:]
    if any(wanted > size for wanted, size in zip(window, plane, strict=True)):
        raise UsageError(
            _WHERE,
            f"{by(window)} is larger than the slices along {letter} of {region.volume.grid.source} ({by(plane)})",
            "Use data.window=auto or a smaller one.",
        )


def _note_padding(window: tuple[int, ...], region: Region, _: str) -> None:
    """Say that boxes reach beyond the part that is trained on."""
    if any(wanted > size for wanted, size in zip(window, region.shape, strict=True)):
        log.info("%s is smaller than windows of %s: they are filled up by reflection", region.describe(), by(window))


def _check_suits(window: Sequence[int], divisor: int, minimum: int) -> None:
    if any(wanted % divisor or wanted < minimum for wanted in window):
        rule = f"multiples of {divisor}" + (f", {minimum} or more," if minimum > divisor else "")
        raise UsageError(_WHERE, f"{by(window)} must be {rule} for this network")


def by(shape: Sequence[int]) -> str:
    """Return a shape for messages: ``64 x 96``."""
    return " x ".join(map(str, shape))


class WindowDataset:
    """Draws windows: ``dataset[epoch, group, index] -> (image (C, *S) float32, labels (*S) int64)``.

    Images are normalised as the network sees them, in slices with ``neighbours`` on each side as further channels;
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
        orientation = group.orientations[int(random.integers(len(group.orientations)))]
        unit, labels = orientation.apply(normaliser.unit(image)), orientation.apply(labels)
        unit, labels = augmented(self.augment, unit, labels, int(random.integers(2**31)))
        return as_window(normaliser.to_network(unit), labels, group.dims)


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

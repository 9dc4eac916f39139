"""Training windows: groups of one shape, and their draws, each keyed by (seed, epoch, group, index)."""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.augment import Space, augmented
from volseg_core.data.cover import GridPlaces
from volseg_core.data.sampling import Places, as_window, box_shape
from volseg_core.data.truth import class_indices
from volseg_core.errors import DataError, UsageError
from volseg_core.volume import SLICES, SizeRule, View, padded_size, symmetries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from volseg_core.data.split import Region
    from volseg_core.data.truth import Teacher
    from volseg_core.recipe.blocks import SamplerBlock

log = logging.getLogger("volseg")

AUTO_WINDOW = 256
AUTO_BOX, AUTO_THIN_BOX = (96, 96, 96), (32, 128, 128)
"""Windows of 3D networks where all axes are alike, and where the first one differs from the others."""
_WHERE = "data.window"

Taught = tuple[np.ndarray[Any, np.dtype[np.float32]], tuple[np.ndarray[Any, Any], ...]]
"""Image (C, *S) and the target of each head: class indices (*S) int64, or values (K, *S) float32."""
Draw = tuple[int, int, int]
"""Epoch, group and index of a sample."""


@dataclass(frozen=True)
class Group:
    """Windows of one shape: of slices along one axis, or boxes, of one or more regions.

    In a ``turned`` group rows and columns are exchanged; ``share`` is the part of the slices that it stands for. Each
    box, once augmented, takes one of the ``orientations``, which keep its shape; ``thick`` is the axis that differs
    from the others, if one does.
    """

    axis: int
    window: tuple[int, ...]
    regions: tuple[Region, ...]
    turned: bool = False
    share: float = 1.0
    orientations: tuple[View, ...] = (View(),)
    thick: int | None = None

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

    @property
    def weighted(self) -> list[float]:
        """The counts, each times the weight of its volume."""
        return [count * region.volume.weight for count, region in zip(self.counts, self.regions, strict=True)]


def with_turns(groups: Sequence[Group], axes: str = "zyx", *, mirrored: bool = True) -> list[Group]:
    """Return the groups with every oblong one of slices in both orientations, each half as often.

    An augmentation turns square windows by itself; oblong ones of a batch can only be turned together. Boxes take
    every orientation that keeps their shape, or unless ``mirrored`` those that are no mirror images; where one of
    ``axes`` differs from the others, it stays in its place.
    """
    result = []
    for group in groups:
        if group.dims != SLICES:
            views = (view for view in symmetries(axes) if mirrored or not view.mirrored)
            alike = (view for view in views if view.shape(group.window) == group.window)
            result.append(replace(group, orientations=tuple(alike)))
            continue
        height, width = group.window
        if height == width:
            result.append(group)
        else:
            upright = replace(group, share=group.share / 2)
            result += [upright, replace(upright, window=(width, height), turned=True)]
    return result


def window_groups(regions: Sequence[Region], axes: str, window: str | Sequence[int], sizes: SizeRule) -> list[Group]:
    """Return the groups of windows of all regions; those of equal axis and shape share a group.

    ``window`` is a shape, ``auto`` (256 x 256, or 96 x 96 x 96, smaller where regions are smaller), ``small`` (half the
    edges of ``auto``) or ``whole`` (the padded slices or regions); always of ``sizes`` that the network takes. Boxes
    may be larger than a volume, which is padded.

    Raises:
        UsageError: a window that was asked for is larger than the slices or does not suit the network.
        DataError: no region holds a label.
    """
    if not any(len(region.planes(0)) for region in regions):
        listed = ", ".join(region.describe() for region in regions)
        raise DataError(listed or "data.train", "has no labelled voxel to train on", "See data.val and data.ignore.")
    found: dict[tuple[int, tuple[int, ...]], list[Region]] = {}
    dims = sizes.dims
    for region in regions:
        for letter in axes if dims == SLICES else "z":
            extent = View.parse(letter).shape(region.shape)[-dims:]
            shape = window_shape(window, extent, axes, sizes)
            if not isinstance(window, str):
                check = _check_fits if dims == SLICES else _note_padding
                check(tuple(window), region, letter)
                _check_suits(window, sizes)
            found.setdefault(("zyx".index(letter), shape), []).append(region)
    thick = "zyx".index(axes) if dims != SLICES and len(axes) == 1 else None
    return [Group(axis, shape, tuple(members), thick=thick) for (axis, shape), members in found.items()]


def window_shape(window: str | Sequence[int], extent: Sequence[int], axes: str, sizes: SizeRule) -> tuple[int, ...]:
    """Return the shape of windows in slices (H, W) or volumes (D, H, W) of a size, as `window_groups` says.

    Boxes that were asked for are as large as asked; windows of slices fit into them.
    """
    if window == "whole":
        return sizes.padded(extent)
    if isinstance(window, str):
        share = 2 if window == "small" else 1
        window = [edge // share for edge in _automatic(len(extent), axes)]
    elif len(extent) != SLICES:
        return tuple(window)
    return tuple(map(_fit, extent, window, sizes.divisor, sizes.least))


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


def _check_suits(window: Sequence[int], sizes: SizeRule) -> None:
    if not sizes.suits(window):
        raise UsageError(_WHERE, f"{by(window)} does not suit this network, which takes {sizes}")


def by(shape: Sequence[int]) -> str:
    """Return a shape for messages: ``64 x 96``."""
    return " x ".join(map(str, shape))


class WindowDataset:
    """Draws windows: ``dataset[epoch, group, index] -> (image (C, *S) float32, targets)``.

    Images are normalised as the network sees them, in slices with ``neighbours`` on each side as further channels. Each
    of ``teachers`` makes a target out of the truth of a window (`volseg_core.data.truth`).
    """

    def __init__(
        self,
        groups: Sequence[Group],
        augment: Any,
        seed: int,
        sampler: SamplerBlock | None = None,
        classes: int = 0,
        neighbours: int = 0,
        teachers: Sequence[Teacher] = (class_indices,),
    ) -> None:
        self.groups, self.augment, self.seed, self.neighbours = list(groups), augment, seed, neighbours
        self.teachers = tuple(teachers)
        self.places: list[Places | GridPlaces] = [
            GridPlaces(group, sampler) if sampler and sampler.kind == "grid" else Places(group, sampler, classes)
            for group in self.groups
        ]

    def __getitem__(self, draw: Draw) -> Taught:
        """Return the window of a draw; the same draw always gives the same window."""
        epoch, number, index = draw
        group = self.groups[number]
        random = np.random.default_rng([self.seed, epoch, number, index, 1])
        place = self.places[number].place(index, random)
        normaliser = place.region.volume.normaliser
        image, truth = place.cut(group.view, group.window, self.neighbours)
        orientation = group.orientations[int(random.integers(len(group.orientations)))]
        space = None if group.dims == SLICES else Space(place.region.volume.grid.spacing, group.thick)
        unit, truth = augmented(self.augment, normaliser.unit(image), truth, int(random.integers(2**31)), space)
        unit, truth = orientation.apply(unit), orientation.apply(truth)
        image, truth = as_window(normaliser.to_network(unit), truth, group.dims)
        return image, tuple(teacher(truth) for teacher in self.teachers)


class BatchPlan:
    """The batches of every epoch: which group each one draws from, and the draws. A torch batch sampler."""

    def __init__(self, groups: Sequence[Group], steps: int, batch: int, seed: int) -> None:
        self.steps, self.batch, self.seed = steps, batch, seed
        counts = np.array([sum(group.weighted) for group in groups])
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

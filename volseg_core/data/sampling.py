"""Where a window is laid, and cutting it out of a volume in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.truth import pad_truth
from volseg_core.volume import SLICES, mirrored_planes, pad_to
from volseg_core.volume.labels import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.data.split import Region
    from volseg_core.data.windows import Group
    from volseg_core.recipe.blocks import SamplerBlock
    from volseg_core.volume import View

Array = np.ndarray[Any, Any]
Window = tuple[np.ndarray[Any, np.dtype[np.float32]], Array]
"""Image (C, *S) as a network sees it, and truth (K, *S)."""

_TRIES = 4


@dataclass(frozen=True)
class Place:
    """A box of a region, counted in a view: ``depth`` planes from ``plane`` on, and their rows and columns."""

    region: Region
    plane: int
    box: tuple[slice, slice]
    depth: int = 1

    def cut(self, view: View, window: Sequence[int], neighbours: int) -> tuple[Array, Array]:
        """Return raw image (C, D + 2 k, H, W) and truth (K, D, H, W), padded to ``window`` (truth with "no label").

        Neighbours lie in the whole volume, beyond the region too; at the volume's ends they are mirrored.
        """
        inside = [
            slice(part.start, min(part.stop, extent))
            for part, extent in zip(
                (slice(self.plane, self.plane + self.depth), *self.box), view.shape(self.region.shape), strict=True
            )
        ]
        starts = [self.region.box[axis].start for axis in view.order]
        first, rows, columns = (
            slice(start + part.start, start + part.stop) for start, part in zip(starts, inside, strict=True)
        )
        data = view.apply(self.region.volume.data)
        planes = mirrored_planes(first.start, first.stop, neighbours, data.shape[1])
        truth = view.apply(self.region.volume.taught[(slice(None), *self.region.box)])[(slice(None), *inside)]
        return pad_to(data[:, planes, rows, columns], window), pad_truth(truth, box_shape(window))


class Places:
    """Draws places of one group of windows, as a recipe's sampler says."""

    def __init__(self, group: Group, sampler: SamplerBlock | None, classes: int) -> None:
        self.group = group
        counts = np.asarray(group.weighted)
        self._shares = counts / counts.sum() if counts.any() else counts
        self._by_class: dict[int, list[Array]] = {}
        self._share = 0.0
        if sampler is not None and sampler.kind != "uniform":
            self._share = sampler.share
            first = 1 if sampler.kind == "foreground" else 0
            self._by_class = _profiles(group, range(first, classes))

    def place(self, index: int, random: np.random.Generator) -> Place:  # noqa: ARG002  (those of a grid are counted)
        """Return a drawn place with at least one labelled voxel."""
        if self._by_class and random.random() < self._share:
            return self._around_class(random)
        region = self.group.regions[int(random.choice(len(self._shares), p=self._shares))]
        return self._anywhere(region, random)

    def _labels(self, region: Region) -> Array:
        labels: Array = self.group.view.apply(region.volume.labels[region.box])
        return labels

    def _around_class(self, random: np.random.Generator) -> Place:
        """Return a place around a voxel of a class; all classes present are equally likely, then all their voxels."""
        number = list(self._by_class)[int(random.integers(len(self._by_class)))]
        profiles = self._by_class[number]
        weights = [region.volume.weight for region in self.group.regions]
        totals = np.array([profile.sum() for profile in profiles], float) * weights
        chosen = int(random.choice(len(totals), p=totals / totals.sum()))
        region, plane = self.group.regions[chosen], _plane(profiles[chosen], random)
        return self._around(region, plane, self._labels(region)[plane] == number, random)

    def _anywhere(self, region: Region, random: np.random.Generator) -> Place:
        """Return a random place that holds a label: after a few tries one around a labelled voxel.

        A slice is drawn among those with labels.
        """
        labels, start = self._labels(region), 0
        if self.group.dims == SLICES:
            start = int(random.choice(region.planes(self.group.axis)))
            labels = labels[start : start + 1]
        shape = box_shape(self.group.window)
        room = [max(0, size - wanted) for size, wanted in zip(labels.shape, shape, strict=True)]
        for _ in range(_TRIES):
            corner = [int(random.integers(free + 1)) for free in room]
            box = tuple(slice(at, at + wanted) for at, wanted in zip(corner, shape, strict=True))
            if (labels[box] != IGNORED).any():
                return self._place(region, start + corner[0], corner[1:])
        if self.group.dims != SLICES:
            start = _plane(region.labelled[self.group.axis], random)
        return self._around(region, start, self._labels(region)[start] != IGNORED, random)

    def _around(self, region: Region, plane: int, mask: Array, random: np.random.Generator) -> Place:
        """Return a random place that holds a random voxel of a plane's mask."""
        row, column = divmod(int(random.choice(np.flatnonzero(mask))), mask.shape[1])
        sizes = self.group.view.shape(region.shape)
        first, *corner = (
            int(random.integers(max(0, at - wanted + 1), min(at, max(0, size - wanted)) + 1))
            for at, wanted, size in zip((plane, row, column), box_shape(self.group.window), sizes, strict=True)
        )
        return self._place(region, first, corner)

    def _place(self, region: Region, plane: int, corner: Sequence[int]) -> Place:
        depth, height, width = box_shape(self.group.window)
        rows, columns = slice(corner[0], corner[0] + height), slice(corner[1], corner[1] + width)
        return Place(region, plane, (rows, columns), depth)


def box_shape(window: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of a window as a box: one of a slice is one plane deep."""
    depth, height, width = (1, *window)[-3:]
    return depth, height, width


def _plane(profile: Array, random: np.random.Generator) -> int:
    """Return a plane, drawn by how many voxels of a profile lie in it."""
    return int(random.choice(len(profile), p=profile / profile.sum()))


def _profiles(group: Group, classes: range) -> dict[int, list[Array]]:
    """Return for each class that is present its voxels per plane, region by region."""
    found = {number: [region.class_profile(number)[group.axis] for region in group.regions] for number in classes}
    return {number: profiles for number, profiles in found.items() if any(profile.any() for profile in profiles)}


def stacked(image: Array) -> Array:
    """Return an image (C, 2 k + 1, H, W) as ((2 k + 1) C, H, W): its slices one after the other as channels."""
    return np.ascontiguousarray(image.swapaxes(0, 1).reshape(-1, *image.shape[2:]))


def as_window(image: Array, truth: Array, dims: int) -> Window:
    """Return what a network sees of an image (C, P, H, W) and truth (K, D, H, W): slices without their first axis."""
    if dims == SLICES:
        return stacked(image), np.ascontiguousarray(truth[:, 0])
    return np.ascontiguousarray(image), np.ascontiguousarray(truth)

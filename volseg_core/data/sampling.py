"""Where a window is laid, and cutting it out of a volume in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.volume import mirrored_planes, pad_to
from volseg_core.volume.labels import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.data.split import Region
    from volseg_core.data.windows import Group
    from volseg_core.recipe.blocks import SamplerBlock
    from volseg_core.volume import View

Array = np.ndarray[Any, Any]
Window = tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.int64]]]

_TRIES = 4


@dataclass(frozen=True)
class Place:
    """A box (rows, columns) of one plane of a region, both counted in a view."""

    region: Region
    plane: int
    box: tuple[slice, slice]

    def cut(self, view: View, window: Sequence[int], neighbours: int) -> tuple[Array, Array]:
        """Return raw image (C, 2 k + 1, H, W) and labels (H, W), padded to ``window`` (labels with "no label").

        Neighbours lie in the whole volume, beyond the region too; at the volume's ends they are mirrored.
        """
        starts = [self.region.box[axis].start for axis in view.order]
        data = view.apply(self.region.volume.data)
        planes = mirrored_planes(starts[0] + self.plane, starts[0] + self.plane + 1, neighbours, data.shape[1])
        extents = view.shape(self.region.shape)[1:]
        rows, columns = (
            slice(start + part.start, start + min(part.stop, extent))
            for start, part, extent in zip(starts[1:], self.box, extents, strict=True)
        )
        labels = view.apply(self.region.volume.labels[self.region.box])[self.plane]
        return pad_to(data[:, planes, rows, columns], window), pad_labels(labels[self.box], window)


class Places:
    """Draws places of one group of windows, as a recipe's sampler says."""

    def __init__(self, group: Group, sampler: SamplerBlock | None, classes: int) -> None:
        self.group = group
        counts = np.asarray(group.counts)
        self._shares = counts / counts.sum() if counts.any() else counts
        self._by_class: dict[int, list[Array]] = {}
        self._share = 0.0
        if sampler is not None and sampler.kind != "uniform":
            self._share = sampler.share
            first = 1 if sampler.kind == "foreground" else 0
            self._by_class = _profiles(group, range(first, classes))

    def draw(self, random: np.random.Generator) -> Place:
        """Return a place with at least one labelled voxel."""
        if self._by_class and random.random() < self._share:
            return self._around_class(random)
        region = self.group.regions[int(random.choice(len(self._shares), p=self._shares))]
        plane = int(random.choice(region.planes(self.group.axis)))
        return Place(region, plane, self._anywhere(self._labels(region, plane), random))

    def _labels(self, region: Region, plane: int) -> Array:
        labels: Array = self.group.view.apply(region.volume.labels[region.box])[plane]
        return labels

    def _around_class(self, random: np.random.Generator) -> Place:
        """Return a place around a voxel of a class; all classes present are equally likely, then all their voxels."""
        number = list(self._by_class)[int(random.integers(len(self._by_class)))]
        profiles = self._by_class[number]
        totals = np.array([profile.sum() for profile in profiles], float)
        chosen = int(random.choice(len(totals), p=totals / totals.sum()))
        region, profile = self.group.regions[chosen], profiles[chosen]
        plane = int(random.choice(len(profile), p=profile / profile.sum()))
        labels = self._labels(region, plane)
        return Place(region, plane, self._around(labels == number, random))

    def _anywhere(self, labels: Array, random: np.random.Generator) -> tuple[slice, slice]:
        """Return a random box that holds a label: after a few tries one around a labelled voxel."""
        window = self.group.window
        room = [max(0, size - wanted) for size, wanted in zip(labels.shape, window, strict=True)]
        for _ in range(_TRIES):
            top, left = (int(random.integers(free + 1)) for free in room)
            box = slice(top, top + window[0]), slice(left, left + window[1])
            if (labels[box] != IGNORED).any():
                return box
        return self._around(labels != IGNORED, random)

    def _around(self, mask: Array, random: np.random.Generator) -> tuple[slice, slice]:
        """Return a random box that holds a random voxel of the mask."""
        window = self.group.window
        anchor = np.unravel_index(int(random.choice(np.flatnonzero(mask))), mask.shape)
        top, left = (
            int(random.integers(max(0, int(place) - wanted + 1), min(int(place), max(0, size - wanted)) + 1))
            for place, wanted, size in zip(anchor, window, mask.shape, strict=True)
        )
        return slice(top, top + window[0]), slice(left, left + window[1])


def _profiles(group: Group, classes: range) -> dict[int, list[Array]]:
    """Return for each class that is present its voxels per plane, region by region."""
    found = {number: [region.class_profile(number)[group.axis] for region in group.regions] for number in classes}
    return {number: profiles for number, profiles in found.items() if any(profile.any() for profile in profiles)}


def pad_labels(labels: Array, shape: Sequence[int]) -> Array:
    """Pad class indices ``(H, W)`` at their ends with "no label"."""
    grow = [(0, max(0, target - size)) for target, size in zip(shape, labels.shape, strict=True)]
    return np.pad(labels, grow, constant_values=IGNORED)


def stacked(image: Array) -> Array:
    """Return an image (C, 2 k + 1, H, W) as ((2 k + 1) C, H, W): its slices one after the other as channels."""
    return np.ascontiguousarray(image.swapaxes(0, 1).reshape(-1, *image.shape[2:]))

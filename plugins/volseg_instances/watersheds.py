"""Watersheds: of the distance to the background, and of a boundary map."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from volseg_instances.inputs import LABELS, Array, Spacing, chosen, inside, one_channel, proportions
from volseg_instances.prominence import joined
from volseg_instances.seeds import distances, peaks, smoothed, with_the_rest

_VALUES = "values"


class DistanceWatershed:
    """Part the foreground where it is narrow: a watershed of the distance to the background from its peaks.

    The foreground are labels (*S), a channel of probabilities above ``threshold``, or one of values, which are then
    the distances themselves. Lengths are in the smallest edge of a voxel. Parts without a peak are objects too.

    Args:
        channel: class index or channel; None is every class but the background, or the last channel.
        threshold: what probability or distance must exceed.
        min_distance: seeds are the highest of a box that reaches so far to either side.
        smooth: standard deviation of a Gaussian on the distances, against several peaks in one object.
        prominence: share of its height by which a peak must rise above what parts it from a higher one; where two
            equal spheres meet, 0.25 joins those whose centres are nearer than 1.3 radii; 0 joins nothing.
        halo: voxels of context around a block; at least the radius of an object.
        spacing: size of a voxel (z, y, x), for what it says of their proportions.
    """

    def __init__(
        self, *, channel: int | None = None, threshold: float = 0.5, min_distance: float = 8.0, smooth: float = 2.0,
        prominence: float = 0.25, halo: int = 32, spacing: Spacing | None = None, taken: str = LABELS,
    ) -> None:  # fmt: skip
        self.channel, self.threshold, self.taken = channel, threshold, taken
        self.min_distance, self.smooth, self.prominence, self.halo = min_distance, smooth, prominence, halo
        self.shares = proportions(spacing)

    def __call__(self, array: Array) -> Array:
        """Return instances (*S)."""
        mask = chosen(array, self.taken, self.channel, self.threshold)
        distance = one_channel(array, self.channel) if self.taken == _VALUES else distances(mask, self.shares)
        distance = smoothed(distance, self.smooth, self.shares)
        seeds = peaks(distance, mask, self.min_distance, self.shares)
        basins = np.asarray(watershed(-distance, seeds, mask=mask))
        return with_the_rest(joined(basins, distance, self.prominence), mask)


class Watershed:
    """Flood a map of boundaries from seeds: every voxel goes to the seed that the lowest pass leads to.

    Seeds are components of voxels below ``seeds``; with ``min_distance`` the peaks of the distance to voxels above
    ``threshold`` instead, which parts what weak boundaries leave connected.

    Args:
        channel: channel of the boundary's probability; None is the last.
        seeds: probability below which a voxel belongs to a seed.
        min_seed: voxels of the smallest seed.
        min_distance: in the smallest edge of a voxel, as `DistanceWatershed`; 0 takes components.
        threshold: probability from which a voxel is boundary, for distances.
        smooth: standard deviation of a Gaussian on distances or, without them, on the map.
        foreground: channel of the foreground's probability, outside of which (below 0.5) there is no object.
        halo, spacing: as `DistanceWatershed`.
    """

    def __init__(
        self, *, channel: int | None = None, seeds: float = 0.3, min_seed: int = 8, min_distance: float = 0.0,
        threshold: float = 0.5, smooth: float = 0.0, foreground: int | None = None, halo: int = 32,
        spacing: Spacing | None = None,
    ) -> None:  # fmt: skip
        self.channel, self.foreground, self.halo = channel, foreground, halo
        self.seeds, self.min_seed, self.threshold = seeds, min_seed, threshold
        self.min_distance, self.smooth = min_distance, smooth
        self.shares = proportions(spacing)

    def __call__(self, probabilities: Array) -> Array:
        """Return instances (*S) of probabilities (K, *S)."""
        boundary, mask = one_channel(probabilities, self.channel), inside(probabilities, self.foreground)
        if not self.min_distance:
            boundary = smoothed(boundary, self.smooth, self.shares)
            seeds = self._components(boundary, mask)
        else:
            seeds = fragment_seeds(boundary, mask, self.threshold, self.min_distance, self.smooth, self.shares)
        return np.asarray(watershed(boundary, seeds, mask=mask))

    def _components(self, boundary: Array, mask: Array | None) -> Array:
        low = boundary < self.seeds
        found, count = ndimage.label(low if mask is None else low & mask)
        kept = np.bincount(found.reshape(-1), minlength=count + 1) >= self.min_seed
        return np.asarray(found * kept[found])


def fragment_seeds(
    boundary: Array, mask: Array | None, threshold: float, apart: float, smooth: float, shares: Spacing
) -> Array:
    """Return seeds (*S): peaks of the smoothed distance to voxels of ``boundary`` from ``threshold`` on."""
    within = boundary < threshold
    if mask is not None:
        within &= mask
    return peaks(smoothed(distances(within, shares), smooth, shares), within, apart, shares)

"""Distances and seeds of watersheds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from volseg_instances.inputs import Array, Spacing

_CORNERS = 3


def distances(mask: Array, shares: Spacing) -> Array:
    """Return how far each voxel (*S) is from the nearest one outside ``mask``, in the smallest edge of a voxel."""
    if mask.all():
        return np.full(mask.shape, np.float32(max(mask.shape)))
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=shares), np.float32)


def smoothed(array: Array, sigma: float, shares: Spacing) -> Array:
    """Return an array (*S) after a Gaussian of ``sigma`` smallest edges of a voxel; 0 leaves it as it is."""
    if not sigma:
        return array
    return np.asarray(ndimage.gaussian_filter(array, [sigma / share for share in shares]))


def peaks(distance: Array, mask: Array, apart: float, shares: Spacing) -> Array:
    """Return seeds (*S): voxels of ``mask`` that are the largest of a box around them.

    The box reaches ``apart`` smallest edges of a voxel to either side; voxels of one height that touch are one seed.
    """
    size = [2 * round(apart / share) + 1 for share in shares]
    highest = (distance == ndimage.maximum_filter(distance, size)) & mask
    return np.asarray(ndimage.label(highest, ndimage.generate_binary_structure(distance.ndim, _CORNERS))[0])


def with_the_rest(numbers: Array, mask: Array) -> Array:
    """Return instances (*S) with a number of their own for the parts of ``mask`` that no seed reached."""
    rest, _ = ndimage.label(mask & (numbers == 0))
    return np.where(rest > 0, rest + numbers.max(initial=0), numbers)

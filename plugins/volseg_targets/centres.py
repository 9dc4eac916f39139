"""Where the centre of a voxel's object is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.measure import label

from volseg_targets.neighbours import UNLABELLED, Array, any_neighbour, known_channels
from volseg_targets.units import voxel_size

if TYPE_CHECKING:
    from collections.abc import Sequence

_AXES = "zyx"


class CentreOffsets:
    """Steps from a voxel to the centre of mass of its object: ids (*S) to (K, *S), a channel for each axis.

    An object is what hangs together face to face under one id (Neven et al. 2019, doi:10.1109/CVPR.2019.00904). NaN in
    the background, and throughout an object that touches the margin of the window or a voxel without label, whose
    centre is not known: let windows be much larger than objects.

    Args:
        units: ``voxels`` or ``physical``, the unit of the spacing.
        spacing: of the voxels along the axes of the window, or None.
        dims: dimensions of the windows.

    Raises:
        UsageError: physical units without a spacing.
    """

    def __init__(self, *, units: str = "voxels", spacing: Sequence[float] | None = None, dims: int) -> None:
        self.voxel = voxel_size(units, spacing) or (1.0,) * dims
        self.names = tuple(f"centre {axis}" for axis in _AXES[-dims:])

    def __call__(self, ids: Array) -> Array:
        """Return the steps to the centres."""
        around = np.pad(ids, 1, constant_values=UNLABELLED)
        objects = label(around, background=0, connectivity=1)
        unlabelled = around <= UNLABELLED
        sizes = np.bincount(objects.ravel())
        whole = np.ones(len(sizes), bool)
        whole[objects[unlabelled | any_neighbour(unlabelled, 1, np.not_equal)]] = False
        whole[0] = False
        known = whole[objects]
        channels = [
            np.where(known, _to_centre(objects, sizes, axis) * size, np.nan) for axis, size in enumerate(self.voxel)
        ]
        inside = (slice(1, -1),) * ids.ndim
        return known_channels([channel[inside] for channel in channels], ids)


def _to_centre(objects: Array, sizes: Array, axis: int) -> Array:
    """Return the steps (*S) along an axis from voxels to the mean place of their object.

    Sums of whole numbers are exact, so that the place of the window has no part in the result.
    """
    shape = [-1 if each == axis else 1 for each in range(objects.ndim)]
    places = np.arange(objects.shape[axis]).reshape(shape)
    sums = np.bincount(objects.ravel(), np.broadcast_to(places, objects.shape).ravel()).astype(np.int64)
    difference: Array = sums[objects] - sizes[objects] * places
    return difference / sizes[objects]

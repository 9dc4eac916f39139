"""Cores of objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Ids = NDArray[np.int32]


class ComponentClass:
    """Voxels deep in an object: seeds for a watershed that parts objects which touch.

    Args:
        depth: every voxel up to this many steps away along all axes has the same id.
    """

    names = ("core",)

    def __init__(self, *, depth: int = 2) -> None:
        self.depth = depth

    def __call__(self, ids: Ids) -> NDArray[np.float32]:
        """Return 1 in cores and 0 elsewhere, (1, *S), of ids (*S) with -1 where there is no label.

        NaN is what the labels of the window cannot tell: how an object goes on outside, or where there is no label.
        What is made of a window must equal what is made of the whole volume wherever it is not NaN.
        """
        size = 2 * self.depth + 1
        low = ndimage.minimum_filter(ids, size, mode="constant", cval=-1)
        high = ndimage.maximum_filter(ids, size, mode="constant", cval=-1)
        core: NDArray[np.float32] = ((low == high) & (ids > 0)).astype(np.float32)
        core[low < 0] = np.nan
        target: NDArray[np.float32] = core[None]
        return target

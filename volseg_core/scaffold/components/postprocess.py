"""Removing small objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

Array = np.ndarray[Any, Any]


class ComponentClass:
    """Turn objects of fewer than ``voxels`` voxels into background.

    An object is a set of voxels of one class that touch face to face; class 0 is the background and forms none.
    One that reaches from a block through a halo of ``voxels`` has more of them, so that blocks give what the whole
    volume gives.

    Args:
        voxels: size of the smallest object that stays.
    """

    def __init__(self, *, voxels: int = 64) -> None:
        self.voxels = voxels
        self.halo = voxels  # context that a block needs; leave it out where a step needs the whole volume at once

    def __call__(self, labels: Array) -> Array:
        """Return new labels of the shape and type of ``labels`` (*S), class indices; what was given is not changed."""
        kept = labels.copy()
        for index in np.unique(labels[labels > 0]):
            objects, count = ndimage.label(labels == index)
            sizes = np.bincount(objects.ravel(), minlength=count + 1)
            small = sizes < self.voxels
            small[0] = False  # what is no object of this class
            kept[small[objects]] = 0
        return kept

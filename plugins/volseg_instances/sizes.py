"""Filters by size: of instances, and of the connected components of labels."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np

from volseg_instances.components import number_components
from volseg_instances.inputs import INSTANCES, Array, Spacing

if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDING = 1e-9

_log = logging.getLogger("volseg")


class SizeRange:
    """Turn objects of fewer than ``low`` or more than ``high`` voxels into background.

    Objects of labels are face-connected voxels of one class. One that reaches from a block through its whole halo is
    larger than both bounds, so a halo of as many voxels gives in every block what the whole volume gives. Instances
    are counted in all blocks first.
    """

    def __init__(self, low: int, high: int | None, taken: str) -> None:
        self.low, self.high = low, high
        self.halo = 0
        self._sizes = np.zeros(1, np.int64)
        self._filter: Callable[[Array], Array] = self._instances
        if taken == INSTANCES:
            self.look = self._count
        else:
            self.halo = max(low, 0 if high is None else high + 1)
            self._filter = self._labels

    def __call__(self, array: Array) -> Array:
        """Return labels or instances (*S), as they are given, without what is too small or too large."""
        return self._filter(array)

    def _count(self, instances: Array) -> None:
        """Add the voxels of a block to the sizes of instances."""
        more = np.bincount(instances.reshape(-1), minlength=len(self._sizes))
        more[: len(self._sizes)] += self._sizes
        self._sizes = more

    def _instances(self, instances: Array) -> Array:
        return instances * self._fits(self._sizes)[instances]

    def _labels(self, labels: Array) -> Array:
        masks = [labels == index for index in np.unique(labels[labels > 0])]
        if not masks:
            return labels.copy()
        numbers = number_components(masks, labels.shape)
        return labels * self._fits(np.bincount(numbers.reshape(-1)))[numbers]

    def _fits(self, sizes: Array) -> Array:
        fits: Array = sizes >= self.low
        return fits if self.high is None else fits & (sizes <= self.high)


class RemoveSmall(SizeRange):
    """Remove objects of fewer than ``min_size`` voxels."""

    def __init__(self, *, min_size: int = 64, taken: str = "labels") -> None:
        super().__init__(min_size, None, taken)


class SizeFilter(SizeRange):
    """Remove objects smaller than ``min_size`` or larger than ``max_size``, inclusive bounds.

    Sizes are in the cube of the unit of ``spacing`` (z, y, x), in voxels without one, which is warned of.
    """

    def __init__(
        self, *, min_size: float = 0.0, max_size: float | None = None, spacing: Spacing | None = None,
        taken: str = "labels",
    ) -> None:  # fmt: skip
        if spacing is None:
            _log.warning("size-filter: the volume does not say its voxel size, so that sizes are numbers of voxels")
        voxel = 1.0 if spacing is None else math.prod(spacing)
        high = None if max_size is None else math.floor(max_size / voxel + _ROUNDING)
        super().__init__(math.ceil(min_size / voxel - _ROUNDING), high, taken)

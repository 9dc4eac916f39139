"""The median of the views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import array_api_compat

from volseg_core.api import MergeResult, PluginError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "merge 'median'"
_GIVES = ("labels", "confidence", "probabilities")
_FULL = 32767


class Median:
    """Label each voxel with the class of the highest median probability over the views.

    Of an even number it is the mean of the two in the middle; a view of weight w counts w times. Probabilities are the
    medians divided by their sum. Fewer than half of the views may say anything at a voxel without any influence, where
    a mean moves with each. All views are kept, as 16-bit fixed point: 2 bytes for each view, class and voxel. Arrays
    may be of numpy or torch, on any device, and stay there.

    Args:
        views: names of the views, in the order of their numbers.
    """

    def __init__(self, *, views: Sequence[str]) -> None:
        self._count = len(views)
        self._shape: tuple[int, ...] = ()
        self._weights: list[int] = []
        self._state: Any = None

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:  # noqa: ARG002  (the contract's)
        """Begin a block of (Z, Y, X) voxels; every voxel will receive the total weight ``views``."""
        self._shape = (self._count, classes, *shape)
        self._weights = [0] * self._count
        self._state = None

    def add(self, probabilities: Any, where: tuple[slice, ...], view: int, weight: int = 1) -> None:
        """Add the probabilities (C, *box) of one view, in the block's orientation."""
        xp = array_api_compat.array_namespace(probabilities)
        if self._state is None:  # here, not in start: now the namespace and the device are known
            device = array_api_compat.device(probabilities)
            self._state = xp.full(self._shape, -1, dtype=xp.int16, device=device)
        fixed = xp.round(xp.astype(probabilities, xp.float32) * _FULL)
        self._state[(view, slice(None), *where)] = xp.astype(fixed, xp.int16)
        self._weights[view] = weight

    def result(self, where: tuple[slice, ...], wanted: Sequence[str] = ("labels",)) -> MergeResult:
        """Return labels (class indices) of a box, and what else is ``wanted`` as float32.

        Raises:
            UsageError: ``wanted`` names what this merge does not keep.
            PluginError: the box was not covered.
        """
        for name in wanted:
            if name not in _GIVES:
                raise UsageError(_NAME, f"cannot give {name!r}; it gives {', '.join(_GIVES)}")
        if self._state is None:
            raise PluginError(_NAME, "no view was added")
        box = self._state[(slice(None), slice(None), *where)]
        xp = array_api_compat.array_namespace(box)
        if not bool(xp.all(box >= 0)):
            raise PluginError(_NAME, "the box was not covered by every view, or values were no probabilities")
        counted = [box[view : view + 1] for view, weight in enumerate(self._weights) for _ in range(weight)]
        ordered = xp.sort(xp.concat(counted), axis=0)
        low, high = (xp.astype(ordered[index], xp.float32) for index in ((len(counted) - 1) // 2, len(counted) // 2))
        medians = (low + high) / (2 * _FULL)
        total = xp.sum(medians, axis=0)  # 0 where most views exclude each class: then none is more probable
        even = xp.full(medians.shape, 1 / medians.shape[0], dtype=xp.float32, device=array_api_compat.device(box))
        shares = xp.where(total > 0, medians / xp.clip(total, 1 / _FULL, None), even)
        return MergeResult(
            labels=xp.astype(xp.argmax(medians, axis=0), xp.int32),
            confidence=xp.max(shares, axis=0) if "confidence" in wanted else None,
            probabilities=shares if "probabilities" in wanted else None,
        )

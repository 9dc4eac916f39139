"""Mean probability in fixed point."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from volseg_core.api import MergeResult, PluginError, UsageError
from volseg_merges.checks import (
    RangeWatch,
    added,
    box_shape,
    check_probabilities,
    check_wanted,
    label_dtype,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "merge 'mean'"
GIVES = ("labels", "confidence", "probabilities")
FULL = 32767
WEIGHT = 255


class Mean:
    """Label each voxel with the class of the highest mean probability.

    The state is one int16 per voxel and class but the last, the sum of ``round(weight * p * scale)`` with
    ``scale = 32767 // total weight``; the last class is what remains to 1. Integer sums are the same in any order
    of views and boxes, bit for bit. Equal means give the first class. Arrays of any namespace of the array API
    standard; the state lives where the first probabilities do.

    Steps are of ``1 / scale`` (16 views: 1 / 2047), so probabilities below half a step count for the last class.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None
        self._classes = 0
        self._views = 0
        self._scale = 0
        self._received = 0
        self._state: Any = None
        self._watch = RangeWatch(NAME)

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:
        """Begin a block of ``(Z, Y, X)`` voxels that will each receive the total weight ``views``.

        Raises:
            UsageError: a total weight below 1 or above 255, where a step of the fixed point exceeds 1/128.
        """
        if not 1 <= views <= WEIGHT:
            what = f"takes views of a total weight of 1 to {WEIGHT}, got {views}"
            raise UsageError(NAME, what, "Use fewer views or smaller weights.")
        self._shape, self._classes, self._views = tuple(shape), classes, views
        self._scale = FULL // views
        self._received = 0
        self._state = None
        self._watch = RangeWatch(NAME)

    def add(self, probabilities: Any, where: tuple[slice, ...], view: int, weight: int = 1) -> None:
        """Add the probabilities ``(C, *box)`` of one view; temporaries are of the size of the box.

        Raises:
            PluginError: `start` was not called, the shape does not fit the box, or the block received more
                weight than was announced.
        """
        shape = started(NAME, self._shape)
        box = box_shape(where, shape)
        check_probabilities(NAME, probabilities.shape, self._classes, box)
        self._count(view, weight * math.prod(box), math.prod(shape))
        xp = array_api_compat.array_namespace(probabilities)
        if self._state is None:
            device = array_api_compat.device(probabilities)
            self._state = xp.zeros((self._classes - 1, *shape), dtype=xp.int16, device=device)
        for index in range(self._classes - 1):
            share = xp.astype(probabilities[index], xp.float32, copy=True)
            self._watch.see(xp, share)
            share *= weight * self._scale
            share += 0.5
            with np.errstate(invalid="ignore"):  # NaN is reported by result
                self._state[index][where] += xp.astype(share, xp.int16)

    def _count(self, view: int, amount: int, voxels: int) -> None:
        """Refuse more than the announced weight before it can overflow the state."""
        if self._received + amount > self._views * voxels:
            what = f"view {view} exceeds the total weight {self._views} given to start"
            raise PluginError(NAME, what, "Add each view once, with non-overlapping boxes.")
        self._received += amount

    def result(self, where: tuple[slice, ...], wanted: Sequence[str] = ("labels",)) -> MergeResult:
        """Return labels (class index) and what is wanted of confidence and probabilities (float32) of a box.

        Raises:
            DataError: a view gave NaN or values above 1, anywhere in the block.
            PluginError: the block has not received its total weight.
            UsageError: ``wanted`` names what this merge does not keep.
        """
        check_wanted(NAME, wanted, GIVES)
        state = added(NAME, self._state)
        self._watch.check()
        self._check_complete()
        sums = state[(slice(None), *where)]
        xp = array_api_compat.array_namespace(sums)
        rest = _rest(xp, sums, self._scale * self._views)
        labels, best = _winner(xp, sums, rest)
        step = 1 / (self._scale * self._views)
        confidence = xp.astype(best, xp.float32) * step if "confidence" in wanted else None
        probabilities = None
        if "probabilities" in wanted:
            probabilities = xp.concat([xp.astype(sums, xp.float32), xp.astype(rest, xp.float32)[None, ...]])
            probabilities *= step
        return MergeResult(labels, confidence, probabilities)

    def _check_complete(self) -> None:
        announced = self._views * math.prod(started(NAME, self._shape))
        if self._received < announced:
            what = f"has received {self._received / announced:.1%} of the total weight {self._views} given to start"
            raise PluginError(NAME, what, "Add every view to the whole block before asking for a result.")


def _rest(xp: Any, sums: Any, full: int) -> Any:
    """Return the fixed-point sum of the last class, at least 0."""
    rest = full - sums[0]
    for index in range(1, sums.shape[0]):
        rest -= sums[index]
    return xp.maximum(rest, xp.zeros_like(rest))


def _winner(xp: Any, sums: Any, rest: Any) -> tuple[Any, Any]:
    """Return the first class of the largest sum, and that sum."""
    dtype = label_dtype(xp, sums.shape[0] + 1)
    best = sums[0]
    labels = xp.zeros(best.shape, dtype=dtype, device=array_api_compat.device(best))
    for index in range(1, sums.shape[0] + 1):
        candidate = sums[index] if index < sums.shape[0] else rest
        step = xp.astype(candidate > best, dtype)
        step *= index
        labels = xp.maximum(labels, step)
        best = xp.maximum(best, candidate)
    return labels, best

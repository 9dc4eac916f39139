"""Mean probability in fixed point."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from volseg_merges.scores import Box, ScoreMerge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.api import MergeResult

FULL = 32767


class Mean(ScoreMerge):
    """Label each voxel with the class of the highest mean probability.

    The state is one int16 per voxel and class but the last, the sum of ``weight * round(p * scale)`` with
    ``scale = 32767 // total weight``; the last class is what remains to 1. Integer sums are the same in any order
    of views and boxes, bit for bit. Equal means give the first class.

    Steps are of ``1 / scale`` (16 views: 1 / 2047), so probabilities below half a step count for the last class.

    When ``wanted`` has ``variance``, an int32 per voxel is kept too: the weighted sum over views and classes of the
    squared steps. With it the variance is that of the rounded probabilities, exactly: 0 where all views agree.
    """

    name = "merge 'mean'"
    gives = ("labels", "confidence", "probabilities", "entropy", "variance")

    def __init__(self, *, wanted: Sequence[str] = ("labels",)) -> None:
        super().__init__()
        self._keeps_squares = "variance" in wanted
        self._squares: Any = None

    @property
    def _scale(self) -> int:
        return FULL // self._total

    def _allocate(self, xp: Any, shape: tuple[int, ...], device: Any) -> None:
        self._state = xp.zeros((self._classes - 1, *shape), dtype=xp.int16, device=device)
        if self._keeps_squares:
            self._squares = xp.zeros(shape, dtype=xp.int32, device=device)

    def _receive(self, xp: Any, probabilities: Any, where: Box, view: int, weight: int) -> None:  # noqa: ARG002 - all views count alike
        rest: Any = self._scale
        squares: Any = 0
        for index in range(self._classes - 1):
            share = xp.astype(probabilities[index], xp.float32, copy=True)
            self._watch.see(xp, share)
            share *= self._scale
            share += 0.5
            with np.errstate(invalid="ignore"):  # NaN is reported by result
                steps = xp.astype(share, xp.int16)
            if self._keeps_squares:
                wide = xp.astype(steps, xp.int32)
                rest = rest - wide
                squares = squares + wide * wide
            steps *= weight
            self._state[index][where] += steps
        if self._keeps_squares:
            self._squares[where] += (squares + rest * rest) * weight

    def result(self, where: Box, wanted: Sequence[str] = ("labels",)) -> MergeResult:
        """Return what every merge of scores gives, and the variance over views; raises as `ScoreMerge.result`."""
        found = super().result(where, wanted)
        if "variance" not in wanted:
            return found
        return replace(found, variance=self._variance(array_api_compat.array_namespace(self._state), where))

    def _scores(self, xp: Any, where: Box) -> Sequence[Any]:
        sums = [score[where] for score in self._state]
        rest = self._rest(sums)
        return [*sums, xp.maximum(rest, xp.zeros_like(rest))]

    def _rest(self, sums: Sequence[Any]) -> Any:
        """Return the sum of the last class; rounding may have carried it a few steps below 0."""
        rest = self._scale * self._total - sums[0]
        for score in sums[1:]:
            rest -= score
        return rest

    def _variance(self, xp: Any, where: Box) -> Any:
        """Return the mean of the squares less the square of the mean, summed over classes, in integers to the end."""
        sums = [score[where] for score in self._state]
        spread = self._squares[where] * self._total
        for score in (*sums, self._rest(sums)):
            wide = xp.astype(score, xp.int32)
            wide *= wide
            spread -= wide
        variance = xp.astype(spread, xp.float32)
        variance *= 1 / (self._scale * self._total) ** 2
        return variance

"""Mean probability in which confident views weigh more."""

from __future__ import annotations

from typing import Any

import numpy as np

from volseg_merges.scores import Box, ScoreMerge
from volseg_merges.tables import ENTROPY_UNIT, entropy_terms, look_up

LEVELS = 255


class EntropyWeighted(ScoreMerge):
    """Label each voxel with the class of the highest mean probability, views weighted by their certainty there.

    A view weighs ``1 - H(p) / log(C)``, H being the Shannon entropy of its probabilities at the voxel, in 255 steps
    and at least one of them: a view without any opinion counts 1/255 of a certain one.

    The state is an int32 per voxel and class, the sum of ``weight * steps * round(p * scale)`` with ``scale`` =
    ``(2**31 - 1) // (255 * total weight)``; logarithms come from a table. So the result is the same in any order of
    views and boxes, bit for bit. Probabilities are the sums' shares.
    """

    name = "merge 'entropy'"

    def _allocate(self, xp: Any, shape: tuple[int, ...], device: Any) -> None:
        super()._allocate(xp, shape, device)
        self._table = xp.asarray(entropy_terms(self._classes), device=device)
        self._scale = (2**31 - 1) // (LEVELS * self._total)

    def _receive(self, xp: Any, probabilities: Any, where: Box, view: int, weight: int) -> None:  # noqa: ARG002 - all views count alike
        certainty = self._certainty(xp, probabilities)
        certainty *= weight
        for index in range(self._classes):
            share = xp.astype(probabilities[index], xp.float32, copy=True)
            self._watch.see(xp, share)
            share *= self._scale
            share += 0.5
            with np.errstate(invalid="ignore"):  # NaN is reported by result
                steps = xp.astype(share, xp.int32)
            steps *= certainty
            self._state[index][where] += steps

    def _certainty(self, xp: Any, probabilities: Any) -> Any:
        """Return the certainty of a view, int32 from 1 to 255."""
        spent: Any = ENTROPY_UNIT // 2  # half a step, for rounding
        for values in probabilities:
            spent = spent + look_up(xp, self._table, xp.astype(values, xp.float32, copy=False)) * LEVELS
        return xp.clip(LEVELS - spent // ENTROPY_UNIT, 1, LEVELS)

"""Geometric mean of probabilities: a product of experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_merges.scores import Box, ScoreMerge, softmax
from volseg_merges.tables import UNIT, look_up, surprise

if TYPE_CHECKING:
    from collections.abc import Sequence


class Geometric(ScoreMerge):
    """Label each voxel with the class of the highest product of probabilities.

    Probabilities are the geometric means over views, normalised to 1: the logarithmic opinion pool, a product of
    experts to the power of 1 / total weight (Hinton 2002, doi:10.1162/089976602760128018). Any view can veto a
    class, as far as the floor lets it: probabilities below 1 / 65535 count as that.

    The state is an int32 per voxel and class, the sum of ``weight * round(65536 * log(p))``, from a table with p in
    steps of 1 / 65535; so it is the same in any order of views and boxes, bit for bit.
    """

    name = "merge 'geometric'"

    def _allocate(self, xp: Any, shape: tuple[int, ...], device: Any) -> None:
        super()._allocate(xp, shape, device)
        self._table = xp.asarray(surprise(), device=device)

    def _receive(self, xp: Any, probabilities: Any, where: Box, view: int, weight: int) -> None:  # noqa: ARG002 - all views count alike
        for index in range(self._classes):
            values = xp.astype(probabilities[index], xp.float32, copy=False)
            self._watch.see(xp, values)
            self._state[index][where] -= look_up(xp, self._table, values) * weight

    def _probabilities(self, xp: Any, scores: Sequence[Any]) -> Any:
        return softmax(xp, scores, 1 / (UNIT * self._total))

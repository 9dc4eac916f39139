"""Weighted mean with a learned weight per view and class."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import UsageError
from volseg_merges.scores import Box, ScoreMerge, softmax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "merge 'fusion'"
LARGEST = 1 << 22
FIT = "Fit them along these directions: volseg fit-merge RUN --data FILE --labels FILE."


class Fusion(ScoreMerge):
    """Label each voxel with the class of the highest sum of ``w[view][class] * p``.

    The fusion of Multi-Planar U-Net (Perslev et al. 2019, doi:10.1007/978-3-030-32245-8_4) without its bias, so that
    a class that no view sees cannot win. Probabilities are the softmax of the sums.

    ``weights`` has, by name of the view, a number of at least 0 for each class; views that are not predicted may have
    weights too. The weights replace the multiplicity of a view. ``volseg fit-merge`` finds them.

    The state is an int32 per voxel and class, the sum of ``round(w * p * scale)`` with ``scale = 2**22 / largest
    weight``: the same in any order of views and boxes, bit for bit.

    Raises:
        UsageError: a view has no weights, or they are not one number of at least 0 for each class.
    """

    name = NAME

    def __init__(self, *, weights: Mapping[str, Any], views: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__()
        rows = [_row(weights, view, classes) for view in views]
        largest = max(max(row) for row in rows)
        if not largest > 0:
            raise UsageError(NAME, "has weights that are all 0", FIT)
        self._scale = LARGEST / largest
        self._rows = rows

    def _receive(self, xp: Any, probabilities: Any, where: Box, view: int, weight: int) -> None:  # noqa: ARG002 - the learned weights replace it
        for index, factor in enumerate(self._rows[view]):
            share = xp.astype(probabilities[index], xp.float32, copy=True)
            self._watch.see(xp, share)
            share *= factor * self._scale
            share += 0.5
            with np.errstate(invalid="ignore"):  # NaN is reported by result
                self._state[index][where] += xp.astype(share, xp.int32)

    def _probabilities(self, xp: Any, scores: Sequence[Any]) -> Any:
        return softmax(xp, scores, 1 / self._scale)


def _row(weights: Mapping[str, Any], view: str, classes: Sequence[str]) -> list[float]:
    if view not in weights:
        known = ", ".join(repr(name) for name in weights) or "none"
        raise UsageError(NAME, f"has no weights for the direction {view!r}; it has them for {known}", FIT)
    row = weights[view]
    if not isinstance(row, (list, tuple)) or len(row) != len(classes) or not all(map(_is_weight, row)):
        what = f"needs a number of at least 0 for each of {', '.join(classes)}; the direction {view!r} has {row!r}"
        raise UsageError(NAME, what, FIT)
    return [float(item) for item in row]


def _is_weight(item: Any) -> bool:
    return isinstance(item, (int, float)) and not isinstance(item, bool) and math.isfinite(item) and item >= 0

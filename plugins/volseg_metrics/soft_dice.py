"""Dice coefficient of probabilities, without a threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_metrics.channels import check_background
from volseg_metrics.inputs import (
    check_channels,
    check_probabilities,
    check_range,
    check_target,
    known_entries,
    labelled,
)
from volseg_metrics.scores import mean

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


class SoftDice:
    """Dice coefficient of probabilities ``2 sum(p y) / (sum(p^2) + sum(y^2))`` (Milletari 2016), in [0, 1].

    doi:10.1109/3DV.2016.79. Sums run over the voxels of all updates. A class that the target does not have has no
    score: nan, and left out of the mean, which is nan when no class has one.

    Args:
        background: whether class 0 counts in the mean; its own score is always given. All channels of a multilabel
            task count.
        classes: names in class order. task: task of the recipe.

    Raises:
        UsageError: ``background`` is false in a multilabel task.
    """

    def __init__(self, *, background: bool = True, classes: Sequence[str], task: str) -> None:
        self.classes = tuple(classes)
        self.multilabel = task == "multilabel"
        if self.multilabel:
            check_background("soft-dice", background=background)
        self.first = 0 if background else 1
        self.reset()

    def reset(self) -> None:
        """Forget all voxels."""
        self._sums = np.zeros((3, len(self.classes)))

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add probabilities (C, *S) and class indices (*S), -1 for none; in a multilabel task a target (C, *S).

        Raises:
            DataError: shapes differ, or values are no probabilities or no class indices.
        """
        for index, (chances, true) in enumerate(self._by_class(prediction, target, valid)):
            self._sums[:, index] += (chances * true).sum(), (chances**2).sum(), (true**2).sum()

    def compute(self) -> dict[str, float]:
        """Return the mean as ``soft-dice`` and each class's score as ``soft-dice/CLASS``."""
        both, predicted, true = self._sums.tolist()
        scores = [2 * b / (p + t) if t else math.nan for b, p, t in zip(both, predicted, true, strict=True)]
        return {"soft-dice": mean(scores[self.first :])} | {
            f"soft-dice/{name}": score for name, score in zip(self.classes, scores, strict=True)
        }

    def _by_class(self, prediction: Array, target: Array, valid: Array | None) -> list[tuple[Array, Array]]:
        """Return probability and target (n,) of the entries of each class that count, as float64."""
        size = len(self.classes)
        if self.multilabel:
            known = known_entries(prediction, target, valid, size)
            check_probabilities(prediction[known])
            masked = zip(prediction, target, known, strict=True)
            return [(chances[mask].astype(float), true[mask].astype(float)) for chances, true, mask in masked]
        check_channels(prediction, size)
        check_target(target, valid, prediction.shape[1:])
        counted = labelled(target, valid)
        true = target[counted]
        check_range("target", true, size)
        chances = prediction[:, counted].astype(float)
        check_probabilities(chances)
        return [(chances[index], (true == index).astype(float)) for index in range(size)]

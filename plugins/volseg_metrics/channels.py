"""Counts of a multilabel task: each channel's probabilities at a threshold against its own target."""

from __future__ import annotations

from typing import Any

import numpy as np

from volseg_core.api import UsageError
from volseg_metrics.inputs import check_probabilities, known_entries

Array = np.ndarray[Any, Any]

_MEMBER = 0.5
"""From here on a target in [0, 1] says that a voxel belongs to a channel."""


def check_background(metric: str, *, background: bool) -> None:
    """Raise a UsageError when the background of a multilabel task, which has none, is to be left out."""
    if not background:
        raise UsageError(f"metric {metric!r}", "background=false says nothing of a multilabel task", "Leave it out.")


class ChannelCounts:
    """Count hits, false alarms and misses of each channel.

    ``counts`` is int64 (3, K): true positives, false positives, false negatives.

    Args:
        size: number of channels.
        threshold: probability that a predicted voxel exceeds.
    """

    def __init__(self, size: int, threshold: float) -> None:
        self.threshold = threshold
        self.counts: Array = np.zeros((3, size), dtype=np.int64)

    def reset(self) -> None:
        """Forget all counts."""
        self.counts[:] = 0

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add probabilities (K, *S) and a target (K, *S) in [0, 1]; NaN, or False in ``valid``, leaves an entry out.

        Raises:
            DataError: shapes differ, an array is not of floats, or the prediction holds no probabilities.
        """
        known = known_entries(prediction, target, valid, self.counts.shape[1])
        check_probabilities(prediction[known])
        predicted, true = (prediction > self.threshold) & known, (target >= _MEMBER) & known
        for row, mask in enumerate((predicted & true, predicted & ~true, true & ~predicted)):
            self.counts[row] += mask.reshape(len(mask), -1).sum(axis=1)

    def outcomes(self) -> Array:
        """Return true positives, false positives and false negatives of each channel, int64 (3, K)."""
        return self.counts

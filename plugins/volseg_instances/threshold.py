"""Thresholding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from volseg_core.api import UsageError
from volseg_instances.inputs import WHERE, Array, one_channel

if TYPE_CHECKING:
    from collections.abc import Sequence


class Threshold:
    """Labels where a channel of probabilities or values (K, *S) is above a threshold, and background elsewhere.

    Args:
        channel: channel from 0; None is the last.
        threshold: what a voxel must exceed.
        classes: names of classes; there the channel is the class index that is given, elsewhere that is 1.
    """

    halo = 0

    def __init__(self, *, channel: int | None = None, threshold: float = 0.5, classes: Sequence[str] = ()) -> None:
        self.channel, self.threshold = channel, threshold
        self.label = 1
        if classes:
            self.label = len(classes) - 1 if channel is None else channel
        if self.label == 0:
            raise UsageError(WHERE, "threshold: channel 0 is the background", "Choose the channel of another class.")

    def __call__(self, array: Array) -> Array:
        """Return class indices (*S)."""
        return (one_channel(array, self.channel) > self.threshold).astype(np.min_scalar_type(self.label)) * self.label

"""Whether probabilities mean what they say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_metrics.inputs import check_channels, check_probabilities, check_range, check_target, labelled

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


class ExpectedCalibrationError:
    """Mean difference of confidence and accuracy over bins of confidence, in [0, 1], 0 is best.

    Bins have equal width and count by their voxels (Guo 2017, arXiv:1706.04599). The confidence of a voxel is its
    highest probability; it is right when that class is the target's. Voxels of all updates are pooled; nan without a
    labelled voxel.

    Args:
        bins: number of bins; each holds its upper end.
        classes: names in class order.
    """

    def __init__(self, *, bins: int = 15, classes: Sequence[str]) -> None:
        self.size = len(classes)
        self.bins = bins
        self.reset()

    def reset(self) -> None:
        """Forget all voxels."""
        self._voxels = np.zeros(self.bins, dtype=np.int64)
        self._right = np.zeros(self.bins, dtype=np.int64)
        self._confidence = np.zeros(self.bins)

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add probabilities (C, *S) and class indices (*S); -1 in ``target`` or False in ``valid`` leaves one out.

        Raises:
            DataError: shapes differ, or values are no probabilities or no class indices.
        """
        check_channels(prediction, self.size)
        check_target(target, valid, prediction.shape[1:])
        counted = labelled(target, valid)
        true = target[counted]
        check_range("target", true, self.size)
        probabilities = prediction[:, counted]
        check_probabilities(probabilities)
        confidence = np.clip(probabilities.max(axis=0).astype(np.float64), 0, 1)
        place = np.maximum(np.ceil(confidence * self.bins).astype(np.intp) - 1, 0)
        right = probabilities.argmax(axis=0) == true
        self._voxels += np.bincount(place, minlength=self.bins)
        self._right += np.bincount(place[right], minlength=self.bins)
        self._confidence += np.bincount(place, confidence, self.bins)

    def compute(self) -> dict[str, float]:
        """Return the score as ``expected-calibration-error``."""
        total = int(self._voxels.sum())
        error = float(np.abs(self._right - self._confidence).sum())
        return {"expected-calibration-error": error / total if total else math.nan}

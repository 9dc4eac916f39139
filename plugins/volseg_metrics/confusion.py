"""Counts of what was predicted for what is true, gathered piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np

from volseg_metrics.inputs import check_classes, check_range, labelled

Array = np.ndarray[Any, Any]

_CHUNK = 1 << 17


class ConfusionMatrix:
    """Count voxels by true and predicted class.

    ``counts`` is int64 (C, C): row the target, column the prediction.
    """

    def __init__(self, size: int) -> None:
        self.counts: Array = np.zeros((size, size), dtype=np.int64)

    def reset(self) -> None:
        """Forget all counts."""
        self.counts[:] = 0

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add the voxels of two arrays of class indices, of any one shape and memory order.

        Voxels with ``valid`` False or target -1 do not count, whatever was predicted there. Temporary memory
        does not grow with the arrays. Nothing is added when an error is raised.

        Raises:
            DataError: shapes differ, an array is not of integers, or a class index is outside the classes.
        """
        check_classes(prediction, target, valid)
        operands = [prediction, target, *([] if valid is None else [valid])]
        counts = np.zeros(self.counts.size, dtype=np.int64)
        chunks = np.nditer(
            operands,
            flags=["external_loop", "buffered", "zerosize_ok"],
            op_flags=[["readonly"]] * len(operands),
            buffersize=_CHUNK,
        )
        for predicted, true, *masks in chunks:
            counts += self._count(predicted, true, masks[0] if masks else None)
        self.counts += counts.reshape(self.counts.shape)

    def outcomes(self) -> Array:
        """Return true positives, false positives and false negatives of each class, int64 (3, C)."""
        hits = self.counts.diagonal()
        return np.stack([hits, self.counts.sum(axis=0) - hits, self.counts.sum(axis=1) - hits])

    def _count(self, predicted: Array, true: Array, valid: Array | None) -> Array:
        size = len(self.counts)
        counted = labelled(true, valid)
        if not counted.all():
            predicted, true = predicted[counted], true[counted]
        check_range("prediction", predicted, size)
        check_range("target", true, size)
        pairs = true.astype(np.intp)
        pairs *= size
        pairs += predicted.astype(np.intp, copy=False)
        return np.bincount(pairs, minlength=self.counts.size)

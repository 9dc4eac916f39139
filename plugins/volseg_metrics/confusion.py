"""Counts of what was predicted for what is true, gathered piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np

from volseg_core.api import DataError

Array = np.ndarray[Any, Any]

IGNORED = -1
"""Target of a voxel that has no label."""

_CHUNK = 1 << 17
_WHERE = "metric"


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
        operands = [np.asarray(prediction), np.asarray(target), *([] if valid is None else [np.asarray(valid)])]
        _check(operands)
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

    def _count(self, predicted: Array, true: Array, valid: Array | None) -> Array:
        size = len(self.counts)
        counted = true != IGNORED if valid is None else (true != IGNORED) & valid
        if not counted.all():
            predicted, true = predicted[counted], true[counted]
        _check_range("prediction", predicted, size)
        _check_range("target", true, size)
        pairs = true.astype(np.intp)
        pairs *= size
        pairs += predicted.astype(np.intp, copy=False)
        return np.bincount(pairs, minlength=self.counts.size)


def _check(operands: list[Array]) -> None:
    for name, array in zip(("prediction", "target"), operands, strict=False):
        if array.dtype.kind not in "iub":
            raise DataError(_WHERE, f"the {name} is of type {array.dtype}", "It must hold integer class indices")
    shape = operands[0].shape
    for name, array in zip(("target", "valid"), operands[1:], strict=False):
        if array.shape != shape:
            raise DataError(
                _WHERE,
                f"prediction {shape} and {name} {array.shape} differ in shape",
                "They must lie on the same voxel grid",
            )
    if len(operands) == 3 and operands[2].dtype != bool:  # noqa: PLR2004 - prediction, target, valid
        raise DataError(_WHERE, f"valid is of type {operands[2].dtype}", "It must be a bool mask")


def _check_range(name: str, values: Array, size: int) -> None:
    if not values.size:
        return
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= size:
        wrong = low if low < 0 else high
        raise DataError(
            _WHERE, f"the {name} holds class index {wrong}", f"With {size} classes it must be 0 to {size - 1}"
        )

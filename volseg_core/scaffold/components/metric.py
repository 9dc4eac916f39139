"""The error of volume fractions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]

_NAME = "component-name"


class ComponentClass:
    """How far the predicted share of each class is from its true share, ``|predicted - true| / labelled`` voxels.

    In [0, 1], 0 is best. Voxels of all updates are pooled; metrics use numpy and never torch.

    Args:
        background: whether class 0 counts in the mean; its own error is always given.
        classes: names in class order.
    """

    def __init__(self, *, background: bool = False, classes: Sequence[str]) -> None:
        self.background = background
        self.classes = tuple(classes)
        self.reset()

    def reset(self) -> None:
        """Forget all voxels."""
        self._predicted = np.zeros(len(self.classes), np.int64)
        self._true = np.zeros(len(self.classes), np.int64)

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add class indices (*S); a voxel with -1 in ``target``, or False in ``valid``, does not count.

        Raises:
            DataError: shapes differ, or an index is none of the classes.
        """
        counted = target >= 0 if valid is None else valid & (target >= 0)
        if prediction.shape != target.shape:
            raise DataError(_NAME, f"prediction {prediction.shape} and target {target.shape} differ in shape")
        self._predicted += self._count(prediction[counted])
        self._true += self._count(target[counted])

    def compute(self) -> dict[str, float]:
        """Return the mean error and ``NAME/CLASS`` of each class; all nan where no voxel has a label."""
        labelled = int(self._true.sum())
        errors = abs(self._predicted - self._true) / labelled if labelled else np.full(len(self.classes), math.nan)
        mean = float(errors[0 if self.background else 1 :].mean())
        return {_NAME: mean} | {f"{_NAME}/{name}": float(e) for name, e in zip(self.classes, errors, strict=True)}

    def _count(self, indices: Array) -> Array:
        if indices.size and not 0 <= indices.min() <= indices.max() < len(self.classes):
            raise DataError(_NAME, f"an index is none of the {len(self.classes)} classes")
        return np.bincount(indices.astype(np.intp, copy=False), minlength=len(self.classes))

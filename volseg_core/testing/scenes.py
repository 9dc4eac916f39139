"""Small images in the form in which a metric receives them, for every task that it may serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from volseg_core.api import Metric

Array = np.ndarray[Any, Any]
Image = tuple[Array, Array, Array | None]

NAMES = ("background", "first", "second")
_SHAPES = {2: (9, 8), 3: (5, 7, 6)}
_LARGER = {2: (17, 18), 3: (12, 14, 13)}
"""Of values, which metrics look at in windows."""
_CLASSES = ("multiclass", "binary")


@dataclass(frozen=True)
class Scene:
    """What a metric of one task is given of predicted and true classes (*S): 0 the background, -1 no label."""

    task: str
    inputs: str
    truth: str
    dims: int

    def __str__(self) -> str:
        return f"in {self.dims}D" + ("" if self.task == "multiclass" else f", {self.task},")

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of an image (*S)."""
        return (_LARGER if self.inputs == "values" else _SHAPES)[self.dims]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, or of the channels."""
        if self.task in ("multiclass", "instance"):
            return NAMES
        return NAMES[1:2] if self.truth == "instances" else NAMES[1:]

    def image(self, prediction: Array, target: Array, valid: Array | None = None, sure: float | Array = 0.8) -> Image:
        """Return prediction, target and mask; ``sure`` is the probability of what is predicted, or (*S) of each."""
        if self.task == "instance":
            return prediction, target, valid
        given = self._predicted(prediction, sure)
        if self.truth == "instances":
            return given, np.where(target > 0, 7 * target, target), valid
        if self.task == "multiclass":
            return given, target, valid
        known = target >= 0 if valid is None else (target >= 0) & valid
        return given, np.where(known, self._true(target), 0).astype(np.float32), np.stack([known] * len(self.names))

    def _predicted(self, classes: Array, sure: float | Array) -> Array:
        if self.task == "multiclass":
            if self.inputs == "classes":
                return classes
            rest = (1 - sure) / (len(NAMES) - 1)
            return np.where(_each(classes, range(len(NAMES))), sure, rest).astype(np.float32)
        if self.truth == "instances":  # the map of a boundary
            outside = classes[None] == 0
            return np.where(outside, sure, 1 - sure).astype(np.float32)
        if self.task == "multilabel":
            return np.where(_each(classes, (1, 2)), sure, 1 - sure).astype(np.float32)
        return self._true(classes).astype(np.float32)

    def _true(self, classes: Array) -> Array:
        """Return a float target (2, *S): members of the two classes, or values that rise and fall with the class."""
        if self.task == "multilabel":
            return _each(classes, (1, 2)).astype(float)
        texture = np.sin(np.arange(classes.size)).reshape(classes.shape)
        return np.stack([texture + classes, texture - classes / 2])


def scenes(component: Metric, dims: int) -> list[Scene]:
    """Return the scenes of all tasks that a metric may be used for."""
    if component.inputs == "values":
        tasks = ["regression"]
    else:
        served = component.tasks or (*_CLASSES, "multilabel")
        tasks = ["multiclass"] if set(_CLASSES) & set(served) else []
        tasks += [task for task in ("instance", "multilabel") if task in served]
    return [Scene(task, component.inputs, component.truth, dims) for task in tasks]


def _each(classes: Array, indices: Any) -> Array:
    """Return whether each class is at a voxel, bool (len(indices), *S)."""
    here: Array = np.array(list(indices)).reshape(-1, *[1] * classes.ndim) == classes
    return here

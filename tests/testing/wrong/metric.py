"""A right metric and, for each rule, a metric that breaks it."""

from __future__ import annotations

from typing import Any

import numpy as np

from volseg_core.api import Metric


def described(target: str, summary: str, **fields: Any) -> Metric:
    name = target.lower()
    values: dict[str, Any] = {"tasks": ("multiclass",), "licence": "MIT", "outputs": (name,)}
    return Metric(name=name, target=f"metric:{target}", summary=summary, wants=("classes",), **(values | fields))


class Right:
    """Share of voxels of the foreground classes that are found, the mean over those that are there."""

    def __init__(self, *, classes: Any) -> None:
        self.classes = range(1, len(classes))
        self.reset()

    def reset(self) -> None:
        self.hits, self.sizes = np.zeros(99), np.zeros(99)

    def update(self, prediction: Any, target: Any, valid: Any = None) -> None:
        kept = target >= 0 if valid is None else (target >= 0) & valid
        prediction, target = prediction[kept], target[kept]
        for index in self.classes:
            self.hits[index] += 2 * np.sum((prediction == index) & (target == index))
            self.sizes[index] += np.sum(prediction == index) + np.sum(target == index)

    def compute(self) -> Any:
        there = self.sizes > 0
        value = float(np.mean(self.hits[there] / self.sizes[there])) if there.any() else float("nan")
        return {type(self).__name__.lower(): value}


class VolumesOnly(Right):
    def update(self, prediction: Any, target: Any, valid: Any = None) -> None:
        if target.ndim != 3:
            raise IndexError(f"{target.ndim} dimensions")
        super().update(prediction, target, valid)


class Numpy(Right):
    def compute(self) -> Any:
        return {name: np.float64(value) for name, value in super().compute().items()}


class Nameless(Right):
    def compute(self) -> Any:
        return {"score": 1.0}


class Distance(Right):
    """One minus the score, with better="higher"."""

    def compute(self) -> Any:
        return {name: 1 - value for name, value in super().compute().items()}


class MeanOfUpdates(Right):
    """The mean of the scores of the updates."""

    def reset(self) -> None:
        super().reset()
        self.scores: list[float] = []

    def update(self, prediction: Any, target: Any, valid: Any = None) -> None:
        super().update(prediction, target, valid)
        self.scores += Right.compute(self).values()
        super().reset()

    def compute(self) -> Any:
        known = [score for score in self.scores if score == score]  # noqa: PLR0124
        return {"meanofupdates": float(np.mean(known)) if known else float("nan")}


class LastUpdate(Right):
    def update(self, prediction: Any, target: Any, valid: Any = None) -> None:
        Right.reset(self)
        super().update(prediction, target, valid)


class AbsentIsUndefined(Right):
    def compute(self) -> Any:
        with np.errstate(invalid="ignore"):
            each = [float(self.hits[index] / self.sizes[index]) for index in self.classes]
        return {"absentisundefined": float(np.mean(each))}


class NothingIsZero(Right):
    def compute(self) -> Any:
        return {name: value if value == value else 0.0 for name, value in super().compute().items()}  # noqa: PLR0124


class ResetsHalf(Right):
    def __init__(self, *, classes: Any) -> None:
        super().__init__(classes=classes)
        self.sizes = np.zeros(99)

    def reset(self) -> None:
        self.hits = np.zeros(99)


class CountsIgnored(Right):
    def update(self, prediction: Any, target: Any, valid: Any = None) -> None:
        super().update(prediction, np.maximum(target, 0), None if (target < 0).all() is False else valid)


class ComputesOnce(Right):
    def compute(self) -> Any:
        result = super().compute()
        self.hits = self.hits / 2
        return result


class Overwrites(Right):
    def update(self, prediction: Any, target: Any, valid: Any = None) -> None:
        super().update(prediction, target, valid)
        prediction[:] = 0


class NeedsTorch(Right):
    def compute(self) -> Any:
        import torch

        return {name: float(torch.tensor(value, dtype=torch.float64)) for name, value in super().compute().items()}


class Soft(Right):
    """Dice of two channels of probabilities, each with a mask of its own."""

    def update(self, prediction: Any, target: Any, valid: Any) -> None:
        for index, (chances, true, known) in enumerate(zip(prediction, target, valid, strict=True)):
            self.hits[index] += 2 * np.sum((chances * true)[known], dtype=float)
            self.sizes[index] += np.sum((chances + true)[known], dtype=float)


class OfClassesOnly(Right):
    """Takes class indices, and says that it serves multilabel tasks."""

    def update(self, prediction: Any, target: Any, valid: Any = None) -> None:
        if prediction.dtype.kind == "f":
            raise TypeError("no class indices")
        super().update(prediction, target, valid)


class ForgetsTheMask(Soft):
    """Counts the entries of channels that are not known as 0."""

    def update(self, prediction: Any, target: Any, valid: Any) -> None:
        super().update(prediction, target, np.ones_like(valid) if valid.any() else valid)


class Squares(Right):
    """Mean squared error of values."""

    def update(self, prediction: Any, target: Any, valid: Any) -> None:
        self.hits[0] += np.sum((prediction - target)[valid] ** 2, dtype=float)
        self.sizes[0] += valid.sum()


class SquaresOfAll(Squares):
    """The same, with what is not known as 0."""

    def update(self, prediction: Any, target: Any, valid: Any) -> None:
        self.hits[0] += np.sum((prediction - target) ** 2, dtype=float) if valid.any() else 0
        self.sizes[0] += valid.sum()


class Inside(Right):
    """Share of the voxels of true objects that a boundary map leaves inside of them, and of others that it does not."""

    def update(self, prediction: Any, target: Any, valid: Any = None) -> None:
        known = target >= 0 if valid is None else (target >= 0) & valid
        self.hits[0] += np.sum((prediction[0] < 0.5)[known] == (target > 0)[known])
        self.sizes[0] += known.sum()


class NoneIsAnObject(Inside):
    """Takes -1 for the id of an object."""

    def update(self, prediction: Any, target: Any, valid: Any = None) -> None:
        super().update(prediction, np.abs(target) if (target >= 0).any() else target, valid)


MULTILABEL = {"tasks": ("multilabel",), "inputs": "probabilities"}
VALUES = {"tasks": ("regression",), "inputs": "values"}
MAPS = {"tasks": ("multilabel",), "inputs": "probabilities", "truth": "instances"}

RIGHT = [
    (described("Right", "mean Dice of the foreground"), {}),
    (described("Soft", "Dice of channels", **MULTILABEL), {}),
    (described("Squares", "mean squared error", better="lower", **VALUES), {}),
    (described("Inside", "share of a map that is right", **MAPS), {}),
]
WRONG = {
    "works": (described("VolumesOnly", "raises in 2D and declares it"), "in 2D it raised IndexError: 2 dimensions"),
    "outputs": (described("Nameless", "does not give what outputs names"), "'nameless' is not in score"),
    "ordered": (
        described("Distance", "is lower for better predictions and says higher"),
        "in 2D perfect gives 0, nearly right",
    ),
    "pieces": (described("MeanOfUpdates", "takes the mean of the scores of updates"), "in 2D it is 0."),
    "updates": (
        described("LastUpdate", "forgets all updates but the last", streaming=False),
        "in 2D two images in the other order give another score",
    ),
    "absent-class": (described("AbsentIsUndefined", "is NaN where a class is absent"), "in 2D it is NaN"),
    "nothing": (described("NothingIsZero", "is 0 where there is nothing to score"), "without an update it gives 0"),
    "reset": (described("ResetsHalf", "resets half of its counts"), "in 2D what came before it still counts"),
    "ignored": (
        described("CountsIgnored", "counts voxels without a label as background"),
        "in 2D the prediction at a target of -1 changes the score",
    ),
    "repeatable": (described("ComputesOnce", "uses its counts up"), "in 2D the second call gives something else"),
    "untouched": (described("Overwrites", "fills the prediction with 0"), "in 2D it changed one"),
    "torch-free": (
        described("NeedsTorch", "imports torch in compute()"),
        "it breaks metric.works: in 2D it raised ModuleNotFoundError: No module named 'torch'",
    ),
}
ALSO_WRONG = [
    ("outputs", described("Numpy", "gives numbers of numpy"), "'numpy' is float64"),
    (
        "works",
        described("OfClassesOnly", "takes class indices alone", tasks=("multiclass", "multilabel")),
        "in 2D, multilabel, it raised TypeError: no class indices",
    ),
    (
        "works",
        described("OfClassesOnly", "names no task and serves one", tasks=()),
        "in 2D, multilabel, it raised TypeError: no class indices",
    ),
    (
        "ignored",
        described("ForgetsTheMask", "counts channels that are not known", **MULTILABEL),
        "in 2D, multilabel, the prediction at a target of -1 changes the score",
    ),
    (
        "ignored",
        described("SquaresOfAll", "counts values that are not known", better="lower", **VALUES),
        "in 2D, regression, the prediction at a target of -1 changes the score",
    ),
    (
        "ordered",
        described("Squares", "says that a larger error is better", **VALUES),
        "in 2D, regression, perfect gives 0",
    ),
    (
        "ignored",
        described("NoneIsAnObject", "takes -1 for an object", **MAPS),
        "in 2D, multilabel, the prediction at a target of -1 changes the score",
    ),
]

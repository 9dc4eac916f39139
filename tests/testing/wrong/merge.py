"""A right merge and, for each rule, a merge that breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from volseg_core.api import Merge, MergeResult, UsageError


def described(target: str, summary: str, **fields: Any) -> Merge:
    values: dict[str, Any] = {"state_bytes": "4 * classes", "licence": "MIT"}
    return Merge(name=target.lower(), target=f"merge:{target}", summary=summary, **(values | fields))


class Right:
    """The mean of the probabilities in steps of 2**-20, summed in integers."""

    def start(self, shape: Any, classes: int, views: int) -> None:
        self.shape, self.classes, self.total, self.state = shape, classes, views, None

    def add(self, probabilities: Any, where: Any, view: int, weight: int = 1) -> None:
        xp = array_namespace(probabilities)
        if self.state is None:
            self.state = xp.zeros((self.classes, *self.shape), dtype=xp.int32)
        self.state[(slice(None), *where)] += xp.astype(probabilities * 2**20, xp.int32) * weight

    def chances(self, where: Any) -> Any:
        xp = array_namespace(self.state)
        return xp.astype(self.state[(slice(None), *where)], xp.float32) / (2**20 * self.total)

    def result(self, where: Any, wanted: Any = ("labels",)) -> MergeResult:
        for name in wanted:
            if name not in ("labels", "confidence"):
                raise UsageError("merge", f"cannot give {name!r}")
        xp, chances = array_namespace(self.state), self.chances(where)
        labels = xp.astype(xp.argmax(chances, axis=0), xp.uint8)
        return MergeResult(labels, xp.max(chances, axis=0) if "confidence" in wanted else None)


class TakesOneView(Right):
    def add(self, probabilities: Any, where: Any, view: int, weight: int = 1) -> None:
        if view:
            raise KeyError(view)


class NoConfidence(Right):
    def result(self, where: Any, wanted: Any = ("labels",)) -> MergeResult:
        return MergeResult(super().result(where, wanted).labels)


class GivesAll(Right):
    def result(self, where: Any, wanted: Any = ("labels",)) -> MergeResult:
        return super().result(where, (*wanted, "confidence"))


class Undeclared(Right):
    def result(self, where: Any, wanted: Any = ("labels",)) -> MergeResult:
        return replace(super().result(where, wanted), variance=self.chances(where)[0])


class RefusesNothing(Right):
    def result(self, where: Any, wanted: Any = ("labels",)) -> MergeResult:
        return super().result(where, [name for name in wanted if name in ("labels", "confidence")])


class Percent(Right):
    def chances(self, where: Any) -> Any:
        return super().chances(where) * 100


class EdgeIsBackground(Right):
    def result(self, where: Any, wanted: Any = ("labels",)) -> MergeResult:
        result = super().result(where, wanted)
        if not where[0].start:
            result.labels[0] = 0
        return result


class FirstCountsDouble(Right):
    def add(self, probabilities: Any, where: Any, view: int, weight: int = 1) -> None:
        if self.state is None:
            self.first, self.total = view, self.total + weight
        super().add(probabilities, where, view, weight * (2 if view == self.first else 1))


class CountsBoxes(Right):
    """Every box halves what was there in the whole block."""

    def start(self, shape: Any, classes: int, views: int) -> None:
        super().start(shape, classes, views)
        self.boxes = 0

    def add(self, probabilities: Any, where: Any, view: int, weight: int = 1) -> None:
        super().add(probabilities, where, view, weight)
        self.boxes += weight

    def chances(self, where: Any) -> Any:
        return super().chances(where) * (self.total / self.boxes)


class WholeConfidence(Right):
    def result(self, where: Any, wanted: Any = ("labels",)) -> MergeResult:
        part, whole = super().result(where, wanted), super().result((slice(None),) * 3, ("labels",))
        box = tuple(slice(0, size) for size in part.labels.shape)
        return MergeResult(whole.labels[box], part.confidence)


class IgnoresWeight(Right):
    def add(self, probabilities: Any, where: Any, view: int, weight: int = 1) -> None:
        super().add(probabilities, where, view)


class GoesOn(Right):
    def start(self, shape: Any, classes: int, views: int) -> None:
        state = getattr(self, "state", None)
        super().start(shape, classes, views)
        self.state = None if state is None else state // 2


class NumpyOnly(Right):
    def add(self, probabilities: Any, where: Any, view: int, weight: int = 1) -> None:
        super().add(np.asarray(probabilities), where, view, weight)


class Overwrites(Right):
    def add(self, probabilities: Any, where: Any, view: int, weight: int = 1) -> None:
        super().add(probabilities, where, view, weight)
        probabilities *= 1.0000002


class NeedsTorch(Right):
    def start(self, shape: Any, classes: int, views: int) -> None:
        import torch

        super().start(tuple(torch.Size(shape)), classes, views)


RIGHT = [(described("Right", "mean in fixed point"), {})]
WRONG = {
    "works": (
        described("TakesOneView", "raises at the second view"),
        "with 4 views of 3 classes it raised KeyError: 1",
    ),
    "gives": (described("NoConfidence", "declares a confidence and gives none"), "confidence is None"),
    "refuses": (described("RefusesNothing", "gives nothing where it cannot give variance"), " is not"),
    "values": (described("Percent", "gives the confidence in percent"), "confidence lies between"),
    "constant": (described("EdgeIsBackground", "makes the first plane background"), "class 1 at 0.9 gives 0, 1"),
    "order": (described("FirstCountsDouble", "counts the first view twice"), "the order (3, 2, 1, 0) gives other"),
    "windows": (described("CountsBoxes", "divides by the number of calls"), "a view in boxes gives other confidence"),
    "boxes": (described("WholeConfidence", "cuts the labels from the corner of the block"), "labels is not"),
    "weights": (described("IgnoresWeight", "ignores the weight"), "(2, 1, 3, 1) as weights gives other confidence"),
    "restart": (described("GoesOn", "keeps half of the block before"), "a second block gives other"),
    "state": (
        described("Right", "declares a quarter of its state", state_bytes="classes"),
        "'classes' is 3 and it holds 12 bytes",
    ),
    "namespaces": (described("NumpyOnly", "turns everything into numpy"), "with torch the labels are ndarray"),
    "untouched": (described("Overwrites", "scales the array that it is given"), "it changed them"),
    "torch-free": (
        described("NeedsTorch", "imports torch in start()"),
        "it breaks merge.works: with 4 views of 3 classes it raised ModuleNotFoundError: No module named 'torch'",
    ),
}
ALSO_WRONG = [
    ("gives", described("GivesAll", "gives what is not wanted"), "confidence comes with labels alone"),
    ("gives", described("Undeclared", "gives what it does not declare"), "variance is given and not declared"),
    ("state", described("Right", "declares no state", state_bytes=""), "'' is no such expression"),
]

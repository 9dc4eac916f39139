"""Rules of metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.testing.alone import without_torch
from volseg_core.testing.findings import rules
from volseg_core.testing.scenes import NAMES, scenes

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.scenes import Array, Image, Scene
    from volseg_core.testing.trial import Trial

RULES = rules(
    "metric",
    works=("A metric scores slices and volumes of the dims that it declares", "Mend it, or declare fewer dims."),
    outputs=(
        "compute() gives plain floats, and among them every name in outputs",
        "Convert with float(), and name in outputs what compute() returns.",
    ),
    ordered=(
        "A perfect prediction scores better than a wrong one, in the direction that better names",
        "Correct better, or the order of prediction and target.",
    ),
    pieces=(
        "A streaming metric gives the same for an image in pieces as for the whole",
        "Add up counts in update() and divide in compute(), or declare streaming=False.",
    ),
    updates=(
        "The order of updates does not matter, and every one counts",
        "Keep sums over updates, not the last one.",
    ),
    absent_class=(
        "A class that neither prediction nor target has leaves the score defined",
        "Leave absent classes out of the mean, and divide no sum by zero.",
    ),
    nothing=("A metric that saw nothing gives NaN and raises nothing", "Return float('nan') where there is no count."),
    reset=("reset() forgets everything", "Set every count back to its start."),
    ignored=(
        "Voxels whose target is -1 or whose valid is False do not count",
        "Drop them before anything is counted: kept = (target >= 0) & valid.",
    ),
    repeatable=("compute() may be called twice", "Change no state in compute()."),
    untouched=("A metric leaves the arrays that it is given as they are", "Work on copies."),
    torch_free=(
        "A metric works where torch is not installed",
        "Use numpy and scipy; volumes are scored in environments without torch.",
    ),
)

_SPACING = (2.0, 1.0, 0.5)


def examine(trial: Trial, found: Findings) -> None:
    """Score small images of the dims that a metric declares, as each task that it may serve gives them."""
    for dims in trial.component.dims:
        for scene in scenes(trial.component, dims):
            with found.trying("works", str(scene)):
                Examination(trial, found, scene).run()
    if not found.broken:
        found.broke_if("torch-free", without_torch(trial))


@dataclass(frozen=True)
class Examination:
    """One metric on the images of one scene."""

    trial: Trial
    found: Findings
    scene: Scene

    def run(self) -> None:
        """Apply every rule."""
        target, prediction = self._target(), self._prediction()
        image = self.scene.image(prediction, target)
        score = self._score(image)
        if not self._has_outputs(score):
            return
        self._ordered(target)
        self._repeats(image, score)
        self._updates(target, image)
        if self.trial.component.streaming:
            self._pieces(image, score)
        self._absent(target)
        self._nothing()
        self._ignored(prediction, target, score)
        self._untouched(image)

    def build(self) -> Any:
        """Return a fresh metric."""
        return self.trial.build(classes=self.scene.names, spacing=_SPACING, task=self.scene.task)

    def _target(self) -> Array:
        """Return classes with an object each, on background."""
        target = np.zeros(self.scene.shape, np.int64)
        target[..., 1:4, 1:4], target[..., 5:, 4:] = 1, 2
        return target

    def _prediction(self) -> Array:
        """Return the target with errors: a class grown, another shrunk."""
        prediction = self._target()
        prediction[..., 1:5, 4], prediction[..., 5, :] = 1, 0
        return prediction

    def _score(self, *images: Image) -> dict[str, float]:
        metric = self.build()
        for image in images:
            _update(metric, image)
        return metric.compute()  # type: ignore[no-any-return]

    def _primary(self, score: dict[str, float]) -> float:
        return score[self._name]

    @property
    def _name(self) -> str:
        component = self.trial.component
        return str(component.outputs[0] if component.outputs else component.name)

    def _has_outputs(self, score: Any) -> bool:
        if not isinstance(score, dict):
            self.found.broke("outputs", f"it returned {type(score).__name__}")
            return False
        lacking = [name for name in (self._name, *self.trial.component.outputs) if name not in score]
        if lacking:
            self.found.broke("outputs", f"{lacking[0]!r} is not in {', '.join(map(str, score)) or 'nothing'}")
        for name, value in score.items():
            if type(value) is not float:
                self.found.broke("outputs", f"{name!r} is {type(value).__name__}")
        return not lacking

    def _ordered(self, target: Array) -> None:
        close = target.copy()
        close[..., 1, 1] = 0
        sign = 1 if self.trial.component.better == "higher" else -1
        perfect, near, far = (
            self._primary(self._score(self.scene.image(prediction, target, sure=1.0)))
            for prediction in (target, close, np.zeros_like(target))
        )
        if not (sign * perfect >= sign * near > sign * far):
            seen = f"{self.scene} perfect gives {perfect:.4g}, nearly right {near:.4g} and wrong {far:.4g}"
            self.found.broke("ordered", f"{seen}, where {self.trial.component.better} is better")

    def _repeats(self, image: Image, score: dict[str, float]) -> None:
        metric = self.build()
        _update(metric, self.scene.image(self._target()[::-1], self._target()))
        metric.reset()
        _update(metric, image)
        if not _alike(metric.compute(), score):
            self.found.broke("reset", f"{self.scene} what came before it still counts")
            return
        if not _alike(metric.compute(), score):
            self.found.broke("repeatable", f"{self.scene} the second call gives something else")

    def _updates(self, target: Array, image: Image) -> None:
        other = self.scene.image(np.zeros_like(target), target)
        one, two, alone = self._score(image, other), self._score(other, image), self._score(other)
        if not _alike(one, two):
            self.found.broke("updates", f"{self.scene} two images in the other order give another score")
        elif _alike(one, alone):
            self.found.broke("updates", f"{self.scene} the first of two images counts for nothing")

    def _pieces(self, image: Image, score: dict[str, float]) -> None:
        metric = self.build()
        for piece in (slice(0, 1), slice(1, 4), slice(4, None)):
            box = (Ellipsis, piece, *[slice(None)] * (self.scene.dims - 1))
            prediction, target, valid = image
            _update(metric, (prediction[box], target[box], None if valid is None else valid[box]))
        pieces = metric.compute()
        if not _alike(pieces, score):
            seen = f"{self.scene} it is {self._primary(pieces):.6g} in pieces and {self._primary(score):.6g} as a whole"
            self.found.broke("pieces", seen)

    def _absent(self, target: Array) -> None:
        present = np.minimum(target, 1)
        with self.found.trying("absent-class", f"{self.scene}"), np.errstate(all="raise"):
            value = self._primary(self._score(self.scene.image(present, present)))
            if math.isnan(value):
                self.found.broke("absent-class", f"{self.scene} it is NaN")

    def _nothing(self) -> None:
        with self.found.trying("nothing", "without an update"):
            value = self._primary(self.build().compute())
            if not math.isnan(value):
                self.found.broke("nothing", f"without an update it gives {value:g}")
        target = np.full(self.scene.shape, -1)
        with self.found.trying("nothing", "of an image without labels"):
            value = self._primary(self._score(self.scene.image(np.zeros_like(target), target)))
            if not math.isnan(value):
                self.found.broke("nothing", f"of an image without labels it gives {value:g}")

    def _ignored(self, prediction: Array, target: Array, score: dict[str, float]) -> None:
        ignored = np.zeros(target.shape, bool)
        ignored[..., :2, 3:5] = True
        junk = np.where(ignored, (prediction + 1) % len(NAMES), prediction)
        marked = np.where(ignored, -1, target)
        for what, valid in (("a target of -1", None), ("valid False", ~ignored)):
            truth = marked if valid is None else target
            one, two = (self._score(self.scene.image(each, truth, valid)) for each in (prediction, junk))
            if not _alike(one, two):
                self.found.broke("ignored", f"{self.scene} the prediction at {what} changes the score")
                return
        if _alike(self._score(self.scene.image(junk, target)), score):
            return
        if not _alike(
            self._score(self.scene.image(prediction, marked)),
            self._score(self.scene.image(prediction, target, ~ignored)),
        ):
            self.found.broke("ignored", f"{self.scene} -1 in the target is not the same as valid False")

    def _untouched(self, image: Image) -> None:
        before = [None if array is None else array.copy() for array in image]
        self.build().update(*image)
        for was, now in zip(before, image, strict=True):
            if was is not None and now is not None and not np.array_equal(was, now):
                self.found.broke("untouched", f"{self.scene} it changed one")


def _update(metric: Any, image: Image) -> None:
    """Give a metric copies of an image's arrays."""
    metric.update(*(None if array is None else array.copy() for array in image))


def _alike(one: dict[str, float], other: dict[str, float]) -> bool:
    return set(one) == set(other) and all(
        math.isclose(one[name], other[name], rel_tol=1e-9, abs_tol=1e-12)
        or (one[name] != one[name] and other[name] != other[name])
        for name in one
    )

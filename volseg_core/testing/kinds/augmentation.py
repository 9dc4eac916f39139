"""Rules of augmentations."""

from __future__ import annotations

import pickle
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.testing.findings import rules
from volseg_core.testing.kinds.boxes import RULES as BOX_RULES
from volseg_core.testing.kinds.boxes import examine_boxes

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

    Array = np.ndarray[Any, Any]

RULES = (
    rules(
        "augmentation",
        works=(
            "An augmentation takes windows of one and of several channels, square and oblong",
            "Mend it; a window is (H, W, C) and its labels are (H, W).",
        ),
        shape=("Image and labels keep their shapes", "Pad or crop back; turn square windows only."),
        types=("The image stays float32 and the labels int32", "Convert with astype before returning."),
        range=("The image stays finite and in [0, 1]", "Clip it after the last step."),
        labels=(
            "Labels are those of the window, or -1 where there is none",
            "Take the nearest label, never interpolate, and fill what comes from outside with -1.",
        ),
        aligned=(
            "Image and labels move together",
            "Apply one geometric draw to both, and change grey values of the image alone.",
        ),
        same_seed=(
            "The same seed gives the same draw, whatever was drawn before",
            "Draw from numpy.random.default_rng(seed) and from nothing else.",
        ),
        other_seeds=("Different seeds give different draws", "Use the seed that is given."),
        global_state=(
            "An augmentation leaves the global random generators alone",
            "Draw from numpy.random.default_rng(seed) and from nothing else.",
        ),
        untouched=("An augmentation leaves its inputs as they are", "Work on copies."),
        pickle=("An augmentation travels to worker processes by pickle", "Keep no lambdas and open files in it."),
    )
    | BOX_RULES
)

_SIZES = ((32, 32, 1), (32, 32, 3), (24, 40, 1))
_SEEDS = 12
_ALIGNED = 0.7


def examine(trial: Trial, found: Findings) -> None:
    """Augment small windows with many seeds, and boxes where it takes them."""
    for size in _SIZES:
        with found.trying("works", f"with a window of {size}"):
            Examination(found, trial.build(), *make_window(*size)).run()
    with found.trying("pickle", "packed and unpacked"):
        augment, size = trial.build(), _SIZES[0]
        copy = pickle.loads(pickle.dumps(augment))  # noqa: S301  (our own bytes)
        if not _equal(copy(*make_window(*size), 3), augment(*make_window(*size), 3)):
            found.broke("pickle", "its copy draws something else")
    with found.trying("box-works", "when it was built"):
        augment = trial.build()
        if hasattr(augment, "box"):
            examine_boxes(augment, found)


def make_window(height: int, width: int, channels: int) -> tuple[Array, Array]:
    """Return an image with a bright disc off the centre, labelled 1, and a corner without labels."""
    y, x = np.mgrid[:height, :width]
    disc = (y - height * 0.3) ** 2 + (x - width * 0.3) ** 2 < (min(height, width) * 0.2) ** 2
    noise = np.random.default_rng(0).normal(0, 0.02, (height, width, channels))
    image = np.clip(np.where(disc, 0.75, 0.25)[..., None] + noise, 0, 1).astype(np.float32)
    labels = disc.astype(np.int32)
    labels[-4:, -4:] = -1
    return image, labels


@dataclass(frozen=True)
class Examination:
    """One augmentation on one window."""

    found: Findings
    augment: Any
    image: Array
    labels: Array

    def run(self) -> None:
        """Apply every rule."""
        image, labels = self.image.copy(), self.labels.copy()
        before = _states()
        drawn = [self.augment(image, labels, seed) for seed in range(_SEEDS)]
        if before != _states():
            self.found.broke("global-state", "it moved one on")
        if not _equal((image, labels), (self.image, self.labels)):
            self.found.broke("untouched", "it changed them")
            return
        for seed, (augmented, marks) in enumerate(drawn):
            if not self._keeps(np.asarray(augmented), np.asarray(marks), seed):
                return
        self._seeds(drawn)
        self._aligned(drawn)

    def _keeps(self, image: Array, labels: Array, seed: int) -> bool:
        for what, array, given in (("image", image, self.image), ("labels", labels, self.labels)):
            if array.shape != given.shape:
                self.found.broke("shape", f"seed {seed} turns the {what} from {given.shape} to {array.shape}")
                return False
            if array.dtype != given.dtype:
                self.found.broke("types", f"seed {seed} makes the {what} {array.dtype}")
        if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
            self.found.broke("range", f"seed {seed} gives values from {image.min():.4g} to {image.max():.4g}")
        foreign = sorted(set(np.unique(labels).tolist()) - {*np.unique(self.labels).tolist(), -1})
        if foreign:
            self.found.broke("labels", f"seed {seed} makes {foreign[0]} of them")
        return True

    def _seeds(self, drawn: list[tuple[Array, Array]]) -> None:
        for number in (5, 2):
            random.seed(number)
            np.random.seed(number)  # noqa: NPY002  (the generator that must have no say)
            if not _equal(self.augment(self.image, self.labels, number), drawn[number]):
                self.found.broke("same-seed", f"seed {number} does not")
        different = {np.asarray(image).tobytes() + np.asarray(labels).tobytes() for image, labels in drawn}
        if len(different) == 1 and not _equal(drawn[0], (self.image, self.labels)):
            self.found.broke("other-seeds", f"{_SEEDS} seeds give one and the same")

    def _aligned(self, drawn: list[tuple[Array, Array]]) -> None:
        contrasts = [contrast for pair in drawn if (contrast := _contrast(*pair)) is not None]
        aligned = sum(contrast > _contrast_least(self.image, self.labels) for contrast in contrasts)
        if contrasts and aligned < _ALIGNED * len(contrasts):
            seen = f"the disc of the image is where its label is in {aligned} of {len(contrasts)} draws"
            self.found.broke("aligned", seen)


def _contrast(image: Array, labels: Array) -> float | None:
    """Return how well grey values and labels go together, None where a class is out of the window."""
    grey = np.asarray(image).mean(-1)
    inside, outside = grey[labels == 1], grey[labels == 0]
    if min(inside.size, outside.size) < _SEEDS:
        return None
    spread = float(grey.std())
    return abs(float(inside.mean() - outside.mean())) / spread if spread else 0.0


def _contrast_least(image: Array, labels: Array) -> float:
    return 0.5 * (_contrast(image, labels) or 0.0)


def _states() -> tuple[Any, ...]:
    return random.getstate(), *(str(part) for part in np.random.get_state(legacy=True))  # noqa: NPY002  (must not move)


def _equal(one: Any, other: Any) -> bool:
    return all(np.array_equal(first, second) for first, second in zip(one, other, strict=True))

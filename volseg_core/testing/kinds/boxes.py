"""Rules of augmentations that take boxes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.testing.findings import rules

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings

    Array = np.ndarray[Any, Any]
    Spacing = tuple[float, float, float] | None

RULES = rules(
    "augmentation",
    box_works=(
        "A method box takes boxes of one and of several channels, cubes and thin ones",
        "Mend it, or leave it out; a box is (C, D, H, W) and its truth (K, D, H, W).",
    ),
    box_keeps=("Boxes and their truth keep shape and type, integers or floats", "Pad, crop or convert back."),
    box_range=("The image of a box stays finite and near [0, 1]", "Weaken what leads away from it."),
    box_truth=(
        "Truth of integers is that of the box or -1, of floats within its range or NaN",
        "Take the nearest integer, interpolate floats only, and fill what comes from outside with -1 or NaN.",
    ),
    box_aligned=("Image and truth of a box move together", "Apply one geometric draw to both."),
    box_same_seed=(
        "The same seed gives the same box, whatever its truth is and whatever was drawn before",
        "Draw from numpy.random.default_rng(seed) and from nothing else, as often for any truth.",
    ),
    box_untouched=("A method box leaves its inputs as they are", "Work on copies."),
)

_BOXES: tuple[tuple[tuple[int, int, int, int], Spacing, int | None], ...] = (
    ((1, 24, 24, 24), None, None),
    ((2, 8, 24, 32), (40.0, 8.0, 8.0), 0),
)
_SEEDS = 12
_NEAR = (-1.0, 2.0)
_ALIGNED = 0.7


def examine_boxes(augment: Any, found: Findings) -> None:
    """Augment small boxes with many seeds, with truth of integers and of floats."""
    for shape, spacing, thick in _BOXES:
        with found.trying("box-works", f"with a box of {shape}"):
            BoxExamination(found, augment, *make_box(shape), spacing, thick).run()


def make_box(shape: tuple[int, int, int, int]) -> tuple[Array, Array]:
    """Return an image with a bright ball off the centre, and truth (1, D, H, W): 1 there, -1 in a corner."""
    places = np.meshgrid(*((np.arange(size) + 0.5) / size - 0.4 for size in shape[1:]), indexing="ij")
    ball = np.square(places).sum(axis=0) < 0.3**2
    noise = np.random.default_rng(0).normal(0, 0.02, shape)
    image = np.clip(np.where(ball, 0.75, 0.25) + noise, 0, 1).astype(np.float32)
    truth = ball.astype(np.int32)
    truth[-2:, -4:, -4:] = -1
    return image, truth[np.newaxis]


@dataclass(frozen=True)
class BoxExamination:
    """One augmentation on one box."""

    found: Findings
    augment: Any
    image: Array
    truth: Array
    spacing: Spacing
    thick: int | None

    def run(self) -> None:
        """Apply every rule."""
        shares = np.where(self.truth < 0, np.nan, self.truth).astype(np.float32).repeat(2, axis=0)
        given = [array.copy() for array in (self.image, self.truth, shares)]
        drawn = [self._draw(given[0], given[1], seed) for seed in range(_SEEDS)]
        floats = [self._draw(given[0], given[2], seed) for seed in range(_SEEDS)]
        if not all(_same(*pair) for pair in zip(given, (self.image, self.truth, shares), strict=True)):
            self.found.broke("box-untouched", "it changed them")
            return
        for seed, (one, other) in enumerate(zip(drawn, floats, strict=True)):
            if not (self._keeps(*one, self.truth, seed) and self._keeps(*other, shares, seed)):
                return
            self._values(one, other[1], seed)
        self._seeds(drawn, floats)
        self._aligned(drawn)

    def _draw(self, image: Array, truth: Array, seed: int) -> tuple[Array, Array]:
        image, truth = self.augment.box(image, truth, seed=seed, spacing=self.spacing, thick=self.thick)
        return np.asarray(image), np.asarray(truth)

    def _keeps(self, image: Array, truth: Array, given: Array, seed: int) -> bool:
        for what, array, wanted in (("image", image, self.image), ("truth", truth, given)):
            if (array.shape, array.dtype) != (wanted.shape, wanted.dtype):
                seen = f"from {wanted.shape} {wanted.dtype} to {array.shape} {array.dtype}"
                self.found.broke("box-keeps", f"seed {seed} turns the {what} {seen}")
                return False
        return True

    def _values(self, drawn: tuple[Array, Array], shares: Array, seed: int) -> None:
        image, truth = drawn
        low, high = _NEAR
        if not (np.isfinite(image).all() and image.min() >= low and image.max() <= high):
            self.found.broke("box-range", f"seed {seed} gives values from {image.min():.4g} to {image.max():.4g}")
        known = shares[np.isfinite(shares)]
        foreign = set(np.unique(truth).tolist()) - {-1, 0, 1} or set(known[(known < 0) | (known > 1)].tolist())
        if foreign:
            self.found.broke("box-truth", f"seed {seed} makes {min(foreign):.4g} of it")

    def _seeds(self, drawn: list[tuple[Array, Array]], floats: list[tuple[Array, Array]]) -> None:
        for number in (5, 2):
            random.seed(number)
            np.random.seed(number)  # noqa: NPY002  (the generator that must have no say)
            again = self._draw(self.image, self.truth, number)
            if not all(_same(*pair) for pair in zip(again, drawn[number], strict=True)):
                self.found.broke("box-same-seed", f"seed {number} does not")
            if not _same(drawn[number][0], floats[number][0]):
                self.found.broke("box-same-seed", f"seed {number} gives another image with truth of floats")

    def _aligned(self, drawn: list[tuple[Array, Array]]) -> None:
        least = 0.5 * (_contrast(self.image, self.truth) or 0.0)
        contrasts = [contrast for pair in drawn if (contrast := _contrast(*pair)) is not None]
        aligned = sum(contrast > least for contrast in contrasts)
        if contrasts and aligned < _ALIGNED * len(contrasts):
            seen = f"the ball of the image is where its truth is in {aligned} of {len(contrasts)} draws"
            self.found.broke("box-aligned", seen)


def _contrast(image: Array, truth: Array) -> float | None:
    """Return how well grey values and truth go together, None where a class is out of the box."""
    grey = image.mean(0)
    inside, outside = grey[truth[0] == 1], grey[truth[0] == 0]
    if min(inside.size, outside.size) < _SEEDS:
        return None
    spread = float(grey.std())
    return abs(float(inside.mean() - outside.mean())) / spread if spread else 0.0


def _same(one: Array, other: Array) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")

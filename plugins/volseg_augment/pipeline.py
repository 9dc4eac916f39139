"""Running steps of albumentations on a window and its labels, reproducibly."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_augment.library import albumentations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Pipeline:
    """Apply steps in their order to windows; ``oblong`` ones must keep their shape and have steps of their own.

    ``turns`` tells the core that the steps of square windows turn them, and so asks it to draw oblong windows in both
    orientations.
    """

    def __init__(self, square: Sequence[Any], oblong: Sequence[Any]) -> None:
        self.turns = len(square) > len(oblong)
        self._square = albumentations.Compose(list(square))
        self._oblong = albumentations.Compose(list(oblong))

    def __call__(
        self, image: NDArray[np.float32], labels: NDArray[np.int32], seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return new arrays ``(H, W, C)`` in [0, 1] and ``(H, W)``; equal seeds give equal results, in any process.

        Labels are class indices below 2**24, -1 where there is none.
        """
        height, width = labels.shape
        drawn, marks = draw(self._square if height == width else self._oblong, image, labels, seed)
        return np.clip(drawn, 0, 1), marks


def draw(
    pipeline: Any, image: NDArray[np.float32], labels: NDArray[np.int32], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return what a composition of albumentations makes of a window with a seed, values as they come."""
    # One stream for all steps. `set_random_seed` would give each step the same stream, so that both flips,
    # and every other pair of steps with equal probabilities, always came together.
    pipeline.set_random_state(np.random.default_rng(seed), random.Random(int(seed)))  # noqa: S311 - no secret
    # OpenCV warps no int32; float32 holds class indices exactly
    drawn = pipeline(image=image, mask=labels.astype(np.float32))
    return drawn["image"], drawn["mask"].astype(np.int32)


def posed(steps: Sequence[Any], *, flip: bool, rotate90: bool) -> tuple[list[Any], list[Any]]:
    """Return ``steps`` after flips and turns: for square windows, and without the turns for oblong ones."""
    mirrors = [albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)] if flip else []
    turns = [albumentations.RandomRotate90(p=1)] if rotate90 else []
    return [*mirrors, *turns, *steps], [*mirrors, *steps]

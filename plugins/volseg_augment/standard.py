"""The default augmentation of slices."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_augment.library import albumentations, cv2
from volseg_augment.transforms import Affine, Contrast, Elastic

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPACING = 32.0
"""Distance in pixels over which an elastic deformation varies."""
DISPLACEMENT = 2.0
"""Standard deviation in pixels of the movement of its nodes, too small for folds."""
BLUR = (0.5, 1.2)
"""Standard deviations in pixels."""


class Standard:
    """Augment windows mildly: flips, turns, a small affine, elastic warps, contrast, gamma, noise and blur.

    A warp mirrors the image at its border and gives the label -1 to what lay outside the window. Strengths are
    relative to an image in [0, 1]; a strength or probability of 0 leaves the step out. ``turns`` asks the core to draw
    oblong windows, which must keep their shape here, in both orientations.

    Reference: Buslaev et al. 2020, Albumentations: Fast and Flexible Image Augmentations, 10.3390/info11020125.
    """

    def __init__(
        self,
        *,
        flip: bool = True,
        rotate90: bool = True,
        scale: float = 0.1,
        rotate: float = 15.0,
        elastic: float = 0.1,
        brightness: float = 0.2,
        contrast: float = 0.2,
        gamma: float = 0.2,
        noise: float = 0.04,
        blur: float = 0.1,
        p: float = 0.5,
    ) -> None:
        mirrors = [albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)] if flip else []
        turns = [albumentations.RandomRotate90(p=1)] if rotate90 else []
        tones = _tones(brightness=brightness, contrast=contrast, gamma=gamma, noise=noise, blur=blur, p=p)
        rest = [*_warps(scale, rotate, elastic, p), *tones]
        self.turns = rotate90
        self._square = albumentations.Compose([*mirrors, *turns, *rest])
        self._oblong = albumentations.Compose([*mirrors, *rest])

    def __call__(
        self, image: NDArray[np.float32], labels: NDArray[np.int32], seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return new arrays ``(H, W, C)`` in [0, 1] and ``(H, W)``; equal seeds give equal results, in any process.

        Labels are class indices below 2**24, -1 where there is none.
        """
        height, width = labels.shape
        pipeline = self._square if height == width else self._oblong
        # One stream for all steps. `set_random_seed` would give each step the same stream, so that both flips,
        # and every other pair of steps with equal probabilities, always came together.
        pipeline.set_random_state(np.random.default_rng(seed), random.Random(int(seed)))  # noqa: S311 - no secret
        # OpenCV warps no int32; float32 holds class indices exactly
        drawn = pipeline(image=image, mask=labels.astype(np.float32))
        return np.clip(drawn["image"], 0, 1), drawn["mask"].astype(np.int32)


def _warps(scale: float, rotate: float, elastic: float, p: float) -> list[Any]:
    """Return the steps that interpolate."""
    steps: list[Any] = []
    if p and (scale or rotate):
        sizes = (1 - scale, 1 + scale)
        turn = (-rotate, rotate)
        steps.append(Affine(scale=sizes, rotate=turn, keep_ratio=True, border_mode=cv2.BORDER_REFLECT_101, p=p))
    if elastic:
        border = cv2.BORDER_REFLECT_101
        steps.append(Elastic(alpha=DISPLACEMENT, sigma=SPACING, border_mode=border, p=elastic))
    return steps


def _tones(*, brightness: float, contrast: float, gamma: float, noise: float, blur: float, p: float) -> list[Any]:
    """Return the steps that change grey values only."""
    steps: list[Any] = []
    if blur:
        steps.append(albumentations.GaussianBlur(sigma_limit=BLUR, blur_limit=0, p=blur))
    if p and (brightness or contrast):
        steps.append(Contrast(brightness_limit=brightness, contrast_limit=contrast, p=p))
    if p and gamma:
        steps.append(albumentations.RandomGamma(gamma_limit=(100 / (1 + gamma), 100 * (1 + gamma)), p=p))
    if p and noise:
        steps.append(albumentations.GaussNoise(std_range=(0, noise), p=p))
    return steps

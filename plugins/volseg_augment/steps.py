"""The steps that the presets share, by their strengths; a strength or probability of 0 leaves its step out."""

from __future__ import annotations

from typing import Any

from volseg_augment.library import albumentations, cv2
from volseg_augment.transforms import Affine, Contrast, Elastic, Shot

SPACING = 32.0
"""Distance in pixels over which an elastic deformation varies."""
DISPLACEMENT = 2.0
"""Standard deviation in pixels of the movement of its nodes, too small for folds."""
BLUR = (0.5, 1.2)
"""Standard deviations in pixels."""


def warps(*, scale: float, rotate: float, elastic: float, p: float) -> list[Any]:
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


def tones(
    *, brightness: float, contrast: float, gamma: float, noise: float, shot: float, blur: float, p: float
) -> list[Any]:
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
    if p and shot:
        steps.append(Shot(shot, p=p))
    return steps

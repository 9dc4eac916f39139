"""Augmentations of slices from any instrument: ``standard``, and the same with other strengths."""

from __future__ import annotations

from functools import partial
from typing import Any

from volseg_augment.pipeline import Pipeline, posed
from volseg_augment.presets import LIGHT, STRONG
from volseg_augment.steps import tones, warps


class Standard(Pipeline):
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
        changes = tones(brightness=brightness, contrast=contrast, gamma=gamma, noise=noise, blur=blur, p=p)
        steps = [*warps(scale=scale, rotate=rotate, elastic=elastic, p=p), *changes]
        super().__init__(*posed(steps, flip=flip, rotate90=rotate90))


_light: dict[str, Any] = dict(LIGHT)
_strong: dict[str, Any] = dict(STRONG)
light = partial(Standard, **_light)
strong = partial(Standard, **_strong)

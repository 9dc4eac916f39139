"""Augmentations of slices and boxes from any instrument: ``standard``, and the same with other strengths."""

from __future__ import annotations

from functools import partial
from typing import Any

from volseg_augment import steps
from volseg_augment.preset import Preset
from volseg_augment.presets import LIGHT, STRONG
from volseg_augment.volumes import tones, warp


class Standard(Preset):
    """Augment windows mildly: flips, turns, a small affine, elastic warps, contrast, gamma, noise and blur.

    A warp mirrors the image at its border and gives the label -1 to what lay outside the window. Strengths are
    relative to an image in [0, 1]; a strength or probability of 0 leaves the step out. ``turns`` asks the core to draw
    oblong windows, which must keep their shape here, in both orientations. Boxes are rotated about any axis and
    deformed in three dimensions, in one interpolation.

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
        shot: float = 0.0,
        blur: float = 0.1,
        p: float = 0.5,
    ) -> None:
        geometry = {"scale": scale, "rotate": rotate, "elastic": elastic, "p": p}
        greys = {"brightness": brightness, "contrast": contrast, "gamma": gamma, "noise": noise, "shot": shot}
        super().__init__(
            [*steps.warps(**geometry), *steps.tones(**greys, blur=blur, p=p)],
            [warp.Warp(**geometry), *tones.tones(**greys, blur=blur, p=p)],
            flip=flip,
            rotate90=rotate90,
        )


_light: dict[str, Any] = dict(LIGHT)
_strong: dict[str, Any] = dict(STRONG)
light = partial(Standard, **_light)
strong = partial(Standard, **_strong)

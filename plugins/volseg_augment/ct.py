"""The augmentation of slices from computed tomography."""

from __future__ import annotations

from volseg_augment.pipeline import Pipeline, posed
from volseg_augment.steps import tones, warps
from volseg_augment.tomography import Cupping, Rings, Streaks


class Tomography(Pipeline):
    """Augment windows as `Standard` does, and with the artefacts of reconstructed tomograms.

    A window does not say where the axis of rotation was, so centres are drawn: one inside gives rings, one far
    outside gives the nearly straight lines of slices along the axis. All channels are changed alike.

    Reference: Barrett and Keat 2004, Artifacts in CT: Recognition and Avoidance, 10.1148/rg.246045065.
    """

    def __init__(
        self,
        *,
        flip: bool = True,
        rotate90: bool = True,
        scale: float = 0.1,
        rotate: float = 15.0,
        elastic: float = 0.1,
        cupping: float = 0.3,
        rings: float = 0.12,
        streaks: float = 0.12,
        artefacts: float = 0.2,
        brightness: float = 0.2,
        contrast: float = 0.2,
        gamma: float = 0.2,
        noise: float = 0.06,
        blur: float = 0.1,
        p: float = 0.5,
    ) -> None:
        flaws = [(cupping, Cupping), (rings, Rings), (streaks, Streaks)]
        steps = [
            *warps(scale=scale, rotate=rotate, elastic=elastic, p=p),
            *[flaw(strength, p=artefacts) for strength, flaw in flaws if strength and artefacts],
            *tones(brightness=brightness, contrast=contrast, gamma=gamma, noise=noise, blur=blur, p=p),
        ]
        super().__init__(*posed(steps, flip=flip, rotate90=rotate90))

"""The augmentation of slices from electron microscopes."""

from __future__ import annotations

from typing import Any

from volseg_augment.pipeline import Pipeline, posed
from volseg_augment.sections import Charging, Defocus, Jump, Missing, Shift
from volseg_augment.steps import tones, warps


class ElectronMicroscopy(Pipeline):
    """Augment windows as `Standard` does, and with what goes wrong between sections and under the beam.

    A window does not say along which axis it was cut. So each defect of a section takes one of two shapes, drawn
    evenly: a band of rows or columns through all channels, as slices across the sections show it, or, in windows of
    an odd number of three or more channels (neighbouring slices), one channel or the channels beyond a cut.
    Labels stay those of the middle channel. They move with the image where rows are shifted, and stay where a band is
    blank: a few pixels that the network shall learn to bridge.

    Reference: Lee et al. 2017, Superhuman Accuracy on the SNEMI3D Connectomics Challenge, arXiv:1706.00120.
    """

    def __init__(
        self,
        *,
        flip: bool = True,
        rotate90: bool = True,
        scale: float = 0.1,
        rotate: float = 15.0,
        elastic: float = 0.1,
        shift: int = 8,
        jump: float = 0.15,
        charging: float = 0.15,
        defocus: float = 2.0,
        missing: int = 4,
        defects: float = 0.15,
        brightness: float = 0.15,
        contrast: float = 0.2,
        gamma: float = 0.2,
        noise: float = 0.06,
        blur: float = 0.1,
        p: float = 0.5,
    ) -> None:
        flaws: list[tuple[Any, Any]] = [(shift, Shift), (jump, Jump), (charging, Charging), (defocus, Defocus)]
        lost = [Missing(missing, p=defects)] if missing and defects else []
        steps = [
            *warps(scale=scale, rotate=rotate, elastic=elastic, p=p),
            *[flaw(strength, p=defects) for strength, flaw in flaws if strength and defects],
            *tones(brightness=brightness, contrast=contrast, gamma=gamma, noise=noise, blur=blur, p=p),
            *lost,
        ]
        super().__init__(*posed(steps, flip=flip, rotate90=rotate90))

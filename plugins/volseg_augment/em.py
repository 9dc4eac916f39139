"""The augmentation of slices and boxes from electron microscopes."""

from __future__ import annotations

from typing import Any

from volseg_augment import sections, steps
from volseg_augment.preset import Preset
from volseg_augment.volumes import sections as planes
from volseg_augment.volumes import tones, warp
from volseg_augment.volumes.box import Chance


class ElectronMicroscopy(Preset):
    """Augment windows as `Standard` does, and with what goes wrong between sections and under the beam.

    A window does not say along which axis it was cut. So each defect of a section takes one of two shapes, drawn
    evenly: a band of rows or columns through all channels, as slices across the sections show it, or, in windows of
    an odd number of three or more channels (neighbouring slices), one channel or the channels beyond a cut.
    Labels stay those of the middle channel. They move with the image where rows are shifted, and stay where a band is
    blank: a few pixels that the network shall learn to bridge.

    In boxes the sections are those along z, or along the thick axis; there also ``coarse`` ones, cut too thick.

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
        coarse: int = 3,
        defects: float = 0.15,
        brightness: float = 0.15,
        contrast: float = 0.2,
        gamma: float = 0.2,
        noise: float = 0.06,
        shot: float = 0.04,
        blur: float = 0.1,
        p: float = 0.5,
    ) -> None:
        geometry = {"scale": scale, "rotate": rotate, "elastic": elastic, "p": p}
        greys = {"brightness": brightness, "contrast": contrast, "gamma": gamma, "noise": noise, "shot": shot}
        flaws: list[tuple[float, Any, Any]] = [
            (shift, sections.Shift, planes.Shift),
            (coarse, None, planes.Coarse),
            (jump, sections.Jump, planes.Jump),
            (charging, sections.Charging, planes.Charging),
            (defocus, sections.Defocus, planes.Defocus),
        ]
        kept = [flaw for flaw in flaws if flaw[0] and defects]
        lost = missing and defects
        super().__init__(
            [
                *steps.warps(**geometry),
                *(flat(strength, p=defects) for strength, flat, _ in kept if flat is not None),
                *steps.tones(**greys, blur=blur, p=p),
                *([sections.Missing(missing, p=defects)] if lost else []),
            ],
            [
                warp.Warp(**geometry),
                *(Chance(defects, deep(strength)) for strength, _, deep in kept),
                *tones.tones(**greys, blur=blur, p=p),
                *([Chance(defects, planes.Missing(missing))] if lost else []),
            ],
            flip=flip,
            rotate90=rotate90,
        )

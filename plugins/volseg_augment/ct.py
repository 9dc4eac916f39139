"""The augmentation of slices and boxes from computed tomography."""

from __future__ import annotations

from volseg_augment import steps
from volseg_augment.preset import Preset
from volseg_augment.tomography import Artefact, Cupping, Rings, Streaks
from volseg_augment.volumes import tones, warp
from volseg_augment.volumes.box import Chance
from volseg_augment.volumes.tomography import InSlices


class Tomography(Preset):
    """Augment windows as `Standard` does, and with the artefacts of reconstructed tomograms.

    A window does not say where the axis of rotation was, so centres are drawn: one inside gives rings, one far
    outside gives the nearly straight lines of slices along the axis. All channels are changed alike. In boxes the
    axis runs along z; cupping is that of all slices, rings and streaks are those of all or of a few.

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
        shot: float = 0.0,
        blur: float = 0.1,
        p: float = 0.5,
    ) -> None:
        geometry = {"scale": scale, "rotate": rotate, "elastic": elastic, "p": p}
        greys = {"brightness": brightness, "contrast": contrast, "gamma": gamma, "noise": noise, "shot": shot}
        flaws: list[tuple[type[Artefact], float]] = [(Cupping, cupping), (Rings, rings), (Streaks, streaks)]
        kept = [(kind, strength) for kind, strength in flaws if strength and artefacts]
        super().__init__(
            [
                *steps.warps(**geometry),
                *(kind(strength, p=artefacts) for kind, strength in kept),
                *steps.tones(**greys, blur=blur, p=p),
            ],
            [
                warp.Warp(**geometry),
                *(Chance(artefacts, InSlices(kind, strength)) for kind, strength in kept),
                *tones.tones(**greys, blur=blur, p=p),
            ],
            flip=flip,
            rotate90=rotate90,
        )

"""Hooks of this plugin."""

from __future__ import annotations

from volseg_core.api import Augmentation, Param, hookimpl

STANDARD = {
    "flip": Param("bool", True, "Mirror along both axes, each with probability 1/2."),
    "rotate90": Param("bool", True, "Turn by a random multiple of 90 degrees; square windows only."),
    "scale": Param("float", 0.1, "Largest relative change of size.", min=0, max=0.9),
    "rotate": Param("float", 15.0, "Largest rotation in degrees.", min=0, max=180),
    "elastic": Param("float", 0.1, "Probability of a smooth deformation by about 2 pixels.", min=0, max=1),
    "brightness": Param("float", 0.2, "Largest change of brightness, of the range [0, 1].", min=0, max=1),
    "contrast": Param("float", 0.2, "Largest relative change of contrast around the mean.", min=0, max=1),
    "gamma": Param("float", 0.2, "Gamma lies between 1 / (1 + gamma) and 1 + gamma.", min=0, max=9),
    "noise": Param("float", 0.04, "Largest standard deviation of Gaussian noise.", min=0, max=1),
    "blur": Param("float", 0.1, "Probability of a Gaussian blur by 0.5 to 1.2 pixels.", min=0, max=1),
    "p": Param("float", 0.5, "Probability of the affine, of contrast, of gamma and of noise, each.", min=0, max=1),
}


@hookimpl
def volseg_augmentations() -> list[Augmentation]:
    """Return the augmentations ``none`` and ``standard``."""
    return [
        Augmentation(
            name="none",
            target="volseg_augment.identity:Identity",
            summary="No augmentation.",
            licence="Apache-2.0",
        ),
        Augmentation(
            name="standard",
            target="volseg_augment.standard:Standard",
            summary="Mild flips, turns, warps, contrast, noise and blur for electron microscopy and tomography.",
            params=STANDARD,
            needs=("albumentations>=2.0.8,<2.1",),
            extra="train",
            licence="MIT",
            citation="10.3390/info11020125",
        ),
    ]

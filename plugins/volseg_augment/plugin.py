"""Hooks of this plugin."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from volseg_augment.presets import LIGHT, STRONG
from volseg_core.api import Augmentation, Param, hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

POSES = {
    "flip": Param("bool", True, "Mirror along each axis, with probability 1/2."),
    "rotate90": Param("bool", True, "Turn by a random multiple of 90 degrees; where the window keeps its shape."),
    "scale": Param("float", 0.1, "Largest relative change of size.", min=0, max=0.9),
    "rotate": Param("float", 15.0, "Largest rotation in degrees; of boxes about any axis.", min=0, max=180),
    "elastic": Param("float", 0.1, "Probability of a smooth deformation by about 2 pixels.", min=0, max=1),
}
TONES = {
    "brightness": Param("float", 0.2, "Largest change of brightness, of the range [0, 1].", min=0, max=1),
    "contrast": Param("float", 0.2, "Largest relative change of contrast around the mean.", min=0, max=1),
    "gamma": Param("float", 0.2, "Gamma lies between 1 / (1 + gamma) and 1 + gamma.", min=0, max=9),
    "noise": Param("float", 0.04, "Largest standard deviation of Gaussian noise.", min=0, max=1),
    "shot": Param("float", 0.0, "Largest deviation, where the image is 1, of noise of counts.", min=0, max=1),
    "blur": Param("float", 0.1, "Probability of a Gaussian blur by 0.5 to 1.2 pixels.", min=0, max=1),
    "p": Param("float", 0.5, "Probability of the affine, of contrast, of gamma and of each noise.", min=0, max=1),
}
SECTIONS = {
    "shift": Param("int", 8, "Largest shift in pixels of what lies beyond a cut, labels too; 0: none.", min=0),
    "jump": Param("float", 0.15, "Largest change of contrast between bands; half of it of brightness.", min=0, max=1),
    "charging": Param("float", 0.15, "Largest smooth brightening or darkening around a point.", min=0, max=1),
    "defocus": Param("float", 2.0, "Largest blur in pixels of a band or section; 0: none.", min=0, max=20),
    "missing": Param("int", 4, "Most rows or sections of a blank band; 0: none, no blank channel.", min=0),
    "coarse": Param("int", 3, "Most planes that a section cut too thick shows as one; boxes only; 0: none.", min=0),
    "defects": Param("float", 0.15, "Probability of each of these defects.", min=0, max=1),
}
ARTEFACTS = {
    "cupping": Param("float", 0.3, "Largest relative darkening towards a centre.", min=0, max=1),
    "rings": Param("float", 0.12, "Largest height of rings around a centre.", min=0, max=1),
    "streaks": Param("float", 0.12, "Largest height of straight streaks through a point.", min=0, max=1),
    "artefacts": Param("float", 0.2, "Probability of each of these artefacts.", min=0, max=1),
}
CHOSEN = {
    "transforms": Param("list[dict]", help="Transforms in their order: {use: NAME, argument: value, ...}, each."),
}


@hookimpl
def volseg_augmentations() -> list[Augmentation]:
    """Return the augmentations of windows and boxes."""
    standard = POSES | TONES
    none = Augmentation(
        name="none",
        target="volseg_augment.identity:Identity",
        summary="No augmentation.",
        licence="Apache-2.0",
    )
    return [
        none,
        _augmentation(
            "standard",
            "standard:Standard",
            "Mild flips, turns, warps, contrast, noise and blur for electron microscopy and tomography.",
            standard,
        ),
        _augmentation(
            "light",
            "standard:light",
            "Flips, turns and slight changes of contrast; nothing is interpolated.",
            _with(standard, LIGHT),
        ),
        _augmentation(
            "strong",
            "standard:strong",
            "The steps of standard, stronger and more often: for little or varied data.",
            _with(standard, STRONG),
        ),
        _augmentation(
            "em",
            "em:ElectronMicroscopy",
            "standard with missing, shifted, blurred and uneven sections and charging.",
            POSES | SECTIONS | _with(TONES, {"brightness": 0.15, "noise": 0.06, "shot": 0.04}),
            "arXiv:1706.00120",
        ),
        _augmentation(
            "ct",
            "ct:Tomography",
            "standard with rings, streaks and cupping of computed tomography.",
            POSES | ARTEFACTS | _with(TONES, {"noise": 0.06}),
            "10.1148/rg.246045065",
        ),
        _augmentation("albumentations", "chosen:Chosen", "Transforms of albumentations by their names.", CHOSEN),
    ]


def _augmentation(
    name: str, target: str, summary: str, params: Mapping[str, Param], citation: str = "10.3390/info11020125"
) -> Augmentation:
    return Augmentation(
        name=name,
        target=f"volseg_augment.{target}",
        summary=summary,
        params=params,
        needs=("albumentations>=2.0.8,<2.1",),
        extra="train",
        licence="MIT",
        citation=citation,
    )


def _with(params: Mapping[str, Param], defaults: Mapping[str, float]) -> dict[str, Param]:
    return {name: replace(param, default=defaults.get(name, param.default)) for name, param in params.items()}

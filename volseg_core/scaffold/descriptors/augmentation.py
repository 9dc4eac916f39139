"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Augmentation, Param, hookimpl


@hookimpl
def volseg_augmentations() -> list[Augmentation]:
    """Return the augmentations of this plugin."""
    return [
        Augmentation(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="Mirrors windows and blanks a box of the image (Cutout).",
            params={
                "size": Param("float", 0.25, "Edge of the box, as a share of the window's.", min=0, max=1),
                "p": Param("float", 0.5, "Probability of each of the steps.", min=0, max=1),
            },
            dims=(2,),
            licence="Apache-2.0",
            citation="arXiv:1708.04552",
        )
    ]

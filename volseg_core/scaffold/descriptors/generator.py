"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Generator, Param, hookimpl


@hookimpl
def volseg_generators() -> list[Generator]:
    """Return the generators of this plugin."""
    return [
        Generator(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="Bright balls in a noisy volume.",
            params={
                "shape": Param("list[int]", (48, 64, 64), "Voxels along z, y, x.", min=8, length=3),
                "balls": Param("int", 12, "How many; they may overlap.", min=1),
                "noise": Param("float", 12.0, "Standard deviation of the noise, in grey levels.", min=0),
                "seed": Param("int", 0, "The same seed gives the same volume.", min=0),
            },
            licence="Apache-2.0",
        )
    ]

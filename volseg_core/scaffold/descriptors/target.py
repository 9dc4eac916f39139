"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Param, Target, hookimpl


@hookimpl
def volseg_targets() -> list[Target]:
    """Return the targets of this plugin."""
    return [
        Target(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="Voxels deep in an object.",
            params={"depth": Param("int", 2, "Steps from a core's voxels to the border, at least.", min=1)},
            dims=(2, 3),
            tasks=("multilabel",),  # values in [0, 1]; "regression" for others
            wants=(),  # of spacing, dims: what the target is called with
            needs=("scipy>=1.11",),
            licence="Apache-2.0",
        )
    ]

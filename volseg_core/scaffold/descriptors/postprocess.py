"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Param, Postprocess, hookimpl


@hookimpl
def volseg_postprocessors() -> list[Postprocess]:
    """Return the steps after the merge of this plugin."""
    return [
        Postprocess(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="Removes small objects.",
            params={"voxels": Param("int", 64, "Objects of fewer voxels are removed.", min=1)},
            dims=(2, 3),
            tasks=("multiclass", "binary"),
            gives="labels",  # class indices, for the next step; or "instances": numbers of objects, a separate array
            wants=(),  # of classes, spacing: what the target is called with
            needs=("scipy>=1.11",),
            licence="Apache-2.0",
        )
    ]

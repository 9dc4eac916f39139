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
            takes=("labels",),  # of labels, instances, probabilities, values: what it can be given, the best first
            gives="labels",  # class indices; or "instances": numbers of objects; or "same": what it was given
            wants=(),  # of classes, spacing, taken: what the target is called with
            needs=("scipy>=1.11",),
            licence="Apache-2.0",
        )
    ]

"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Merge, hookimpl


@hookimpl
def volseg_merges() -> list[Merge]:
    """Return the merges of this plugin."""
    return [
        Merge(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="The label that no view doubts: classes score their smallest probability over the views.",
            wants=(),  # of views (names), classes (names), wanted (the arrays that result will be asked for)
            tasks=("multiclass", "binary"),
            needs=("array-api-compat>=1.11",),
            any_order=True,  # the result does not depend on the order in which views and windows are added
            state_bytes="4 * classes",  # memory per voxel
            gives=("labels", "confidence", "probabilities"),  # what result can return; also entropy and variance
            licence="Apache-2.0",
            citation="doi:10.1109/34.667881",
        )
    ]

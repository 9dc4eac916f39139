"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Metric, Param, hookimpl


@hookimpl
def volseg_metrics() -> list[Metric]:
    """Return the metrics of this plugin."""
    return [
        Metric(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="Error of each class's share of the volume, and the mean.",
            params={"background": Param("bool", False, "Whether class 0 counts in the mean.")},
            wants=("classes",),  # of classes (names), spacing (z, y, x or None), task
            dims=(2, 3),
            tasks=("multiclass", "binary"),
            better="lower",  # or "higher"
            outputs=("component-name",),  # the keys of compute() that are always there
            inputs="classes",  # what update gets: "classes" (indices, *S), "probabilities" (C, *S) or "values" (K, *S)
            truth="target",  # or "instances": ids of objects, whatever the network learns
            streaming=True,  # False: it needs the whole slice or volume in one update, as surfaces and objects do
            licence="Apache-2.0",
        )
    ]

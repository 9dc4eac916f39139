"""What this plugin provides. Every volseg command reads it: import only the standard library and volseg_core.api."""

from __future__ import annotations

from volseg_core.api import Loss, Param, hookimpl


@hookimpl
def volseg_losses() -> list[Loss]:
    """Return the losses of this plugin."""
    return [
        Loss(
            name="component-name",
            target="plugin_package.component_module:ComponentClass",
            summary="Tversky loss: voxels that are wrong and voxels that are missed weigh differently.",
            params={
                "alpha": Param("float", 0.3, "Weight of voxels that wrongly get a class.", min=0),
                "beta": Param("float", 0.7, "Weight of voxels of a class that are missed.", min=0),
                "smooth": Param("float", 1.0, "Added to both sides of the ratio, in voxels.", min=0),
            },
            wants=("task",),  # what the target is called with: num_classes, ignore_index, class_counts, ... too
            dims=(2, 3),
            tasks=("multiclass", "binary"),
            inputs="logits",  # or "probabilities": after softmax, or sigmoid for a binary task
            ignore="mask",  # voxels without a label: "mask" gets valid, "index" -1 in the target, "none" refuses them
            licence="Apache-2.0",
            citation="doi:10.1007/978-3-319-67389-9_44",
        )
    ]

"""Hooks of this plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.api import Loss, Param, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

CROSS_ENTROPY = Loss(
    name="cross-entropy",
    target="volseg_losses.cross_entropy:CrossEntropyLoss",
    summary="Cross-entropy of each voxel, averaged over the labelled voxels.",
    params={
        "label_smoothing": Param("float", 0.0, "Share of the target spread evenly over the classes.", min=0, max=1),
        "class_weights": Param(
            "list[float]?", None, "One weight per class in class order (binary: background, foreground).", min=0
        ),
    },
    aliases=("ce",),
    wants=("task", "num_classes"),
    tasks=("multiclass", "binary"),
    licence="Apache-2.0",
    citation="label smoothing: doi:10.1109/CVPR.2016.308",
    ignore="mask",
)

DICE = Loss(
    name="dice",
    target="volseg_losses.dice:DiceLoss",
    summary="Soft Dice of the predicted probabilities, averaged over the classes.",
    params={
        "smooth": Param("float", 1e-5, "Added to numerator and denominator, in voxels.", min=0),
        "squared": Param("bool", False, "Square the terms of the denominator, as V-Net does."),
        "classes": Param(
            "choice",
            "all",
            "Which classes count: all, or foreground for all but the first (binary: always foreground).",
            choices=("all", "foreground"),
        ),
        "average": Param(
            "choice",
            "batch",
            "Sum over the batch as one volume, or score each sample and take the mean.",
            choices=("batch", "sample"),
        ),
    },
    wants=("task",),
    tasks=("multiclass", "binary"),
    licence="Apache-2.0",
    citation="doi:10.1109/3DV.2016.79",
    ignore="mask",
)


@hookimpl
def volseg_losses() -> Iterable[Loss]:
    """Return the losses of this plugin."""
    return [CROSS_ENTROPY, DICE]

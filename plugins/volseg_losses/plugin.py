"""Hooks of this plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.api import Loss, Param, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

_SMOOTH = Param("float", 1e-5, "Added to numerator and denominator, in voxels.", min=0)
_AVERAGE = Param(
    "choice",
    "batch",
    "Sum over the batch as one volume, or score each sample and take the mean.",
    choices=("batch", "sample"),
)
_WEIGHTS = Param("any?", None, "Of the classes: 'auto' from their voxels, or a list (binary: background, foreground).")
_ABSENT = Param(
    "choice",
    "skip",
    "A class without a voxel leaves the mean (binary, multilabel: costs its mean probability), or counts as others do.",
    choices=("skip", "count"),
)
_SIDES = ("below", "above")
_CLASSES_AND_CHANNELS = ("multiclass", "binary", "multilabel")


def _classes(default: str) -> Param:
    text = "Which classes count: all, or foreground for all but the first (binary, multilabel: all channels)."
    return Param("choice", default, text, choices=("all", "foreground"))


_OVERLAP = {"smooth": _SMOOTH, "classes": _classes("all"), "average": _AVERAGE}
_TVERSKY = {
    "alpha": Param("float", 0.3, "Weight of voxels that wrongly get the class.", min=0),
    "beta": Param("float", 0.7, "Weight of voxels of the class that are missed.", min=0),
    **_OVERLAP,
}


def _loss(name: str, target: str, summary: str, params: dict[str, Param], citation: str, **more: Any) -> Loss:
    return Loss(
        name=name,
        target=f"volseg_losses.{target}",
        summary=summary,
        params=params,
        citation=citation,
        **{"wants": ("task",), "tasks": _CLASSES_AND_CHANNELS, **more},
        licence="Apache-2.0",
        ignore="mask",
    )


def _error(name: str, attribute: str, summary: str, params: dict[str, Param], citation: str = "", **more: Any) -> Loss:
    fields: dict[str, Any] = {"wants": (), "tasks": ("regression",), **more}
    return _loss(name, f"regression:{attribute}", summary, params, citation, **fields)


VOXELS = [
    _loss(
        "cross-entropy",
        "cross_entropy:CrossEntropyLoss",
        "Cross-entropy of each voxel, averaged over the labelled voxels.",
        {
            "label_smoothing": Param("float", 0.0, "Share of the target spread evenly over the classes.", min=0, max=1),
            "weights": _WEIGHTS,
        },
        "label smoothing: doi:10.1109/CVPR.2016.308",
        aliases=("ce",),
        wants=("task", "num_classes", "class_counts"),
        tasks=("multiclass", "binary"),
    ),
    _loss(
        "weighted-cross-entropy",
        "cross_entropy:PredictionWeightedCrossEntropyLoss",
        "Cross-entropy in which classes that are little predicted weigh more.",
        {},
        "doi:10.1007/978-3-319-67558-9_28",
        aliases=("wce",),
        tasks=("multiclass", "binary"),
    ),
    _loss(
        "border-weighted-cross-entropy",
        "borders:BorderWeightedCrossEntropyLoss",
        "Cross-entropy in which voxels near the borders of the classes weigh more.",
        {
            "border_weight": Param("float", 10.0, "Added to the weight at the border.", min=0),
            "sigma": Param("float", 5.0, "How far from the border it reaches, in voxels.", min=0.1),
            "weights": _WEIGHTS,
        },
        "doi:10.1007/978-3-319-24574-4_28",
        aliases=("border-weighted-ce",),
        wants=("task", "num_classes", "class_counts"),
    ),
    _loss(
        "binary-cross-entropy",
        "binary_cross_entropy:BinaryCrossEntropyLoss",
        "Cross-entropy of each output, with a weight of the foreground.",
        {
            "pos_weight": Param(
                "any?",
                None,
                "Weight of the foreground: a number, one per channel, or 'auto' or 'ratio' from its voxels.",
            )
        },
        "",
        aliases=("bce",),
        wants=("task", "num_classes", "class_counts"),
        tasks=("binary", "multilabel"),
    ),
    _loss(
        "balanced-binary-cross-entropy",
        "binary_cross_entropy:BalancedBinaryCrossEntropyLoss",
        "Cross-entropy of each output, to which foreground and background of a window add the same.",
        {
            "average": Param(
                "choice", "sample", "Balance each window, or the batch as one.", choices=("sample", "batch")
            )
        },
        "doi:10.1109/ICCV.2015.164",
        aliases=("balanced-bce",),
        tasks=("binary", "multilabel"),
    ),
    _loss(
        "focal",
        "focal:FocalLoss",
        "Cross-entropy that dwells on hard voxels.",
        {"gamma": Param("float", 2.0, "How far easy voxels fade; 0 is cross-entropy.", min=0), "weights": _WEIGHTS},
        "doi:10.1109/ICCV.2017.324",
        wants=("task", "num_classes", "class_counts"),
    ),
]
"""Losses that are a mean over voxels."""

OVERLAP = [
    _loss(
        "dice",
        "dice:DiceLoss",
        "Soft Dice of the predicted probabilities, averaged over the classes.",
        {
            "smooth": _SMOOTH,
            "squared": Param("bool", False, "Square the terms of the denominator, as V-Net does."),
            "classes": _classes("all"),
            "average": _AVERAGE,
            "absent": _ABSENT,
            "weights": Param("list[float]?", None, "Of the classes (channels) that count, in the mean.", min=0),
            "scale_weights": Param("bool", True, "Divide by the weights; if not, the loss can be negative."),
        },
        "doi:10.1109/3DV.2016.79",
        wants=("task", "num_classes"),
    ),
    _loss(
        "boundary-weighted-dice",
        "borders:BoundaryWeightedDiceLoss",
        "Dice in which the voxels just outside the labels weigh more.",
        {
            "border_weight": Param("float", 10.0, "Weight of these voxels; that of the others is 1.", min=0),
            "thickness": Param("int", 1, "Of the shell around the labels, in voxels.", min=1),
            "smooth": _SMOOTH,
            "classes": _classes("all"),
            "average": _AVERAGE,
            "absent": _ABSENT,
        },
        "doi:10.1109/3DV.2016.79",
    ),
    _loss(
        "generalised-dice",
        "dice:GeneralisedDiceLoss",
        "One Dice over all classes, in which small ones weigh more.",
        {
            "power": Param("float", 2.0, "Classes weigh 1 / voxels ** power; 2 as in the paper.", min=0, max=3),
            "average": _AVERAGE,
            "absent": _ABSENT,
        },
        "doi:10.1007/978-3-319-67558-9_28",
        aliases=("generalized-dice", "gdl"),
    ),
    _loss(
        "jaccard",
        "jaccard:JaccardLoss",
        "Soft intersection over union, averaged over the classes.",
        _OVERLAP,
        "doi:10.1007/978-3-319-50835-1_22",
        aliases=("iou",),
    ),
    _loss(
        "tversky",
        "tversky:TverskyLoss",
        "Dice in which missed and wrong voxels weigh differently.",
        _TVERSKY,
        "doi:10.1007/978-3-319-67389-9_44",
    ),
    _loss(
        "focal-tversky",
        "tversky:FocalTverskyLoss",
        "Tversky that dwells on hard classes.",
        {"gamma": Param("float", 4 / 3, "The loss is raised to 1 / gamma; 1 is Tversky.", min=0.1), **_TVERSKY},
        "doi:10.1109/ISBI.2019.8759329",
    ),
    _loss(
        "lovasz",
        "lovasz:LovaszLoss",
        "Lovász extension of the Jaccard loss, averaged over the classes.",
        {"classes": _classes("all"), "average": _AVERAGE},
        "doi:10.1109/CVPR.2018.00464",
        aliases=("lovasz-softmax",),
    ),
    _loss(
        "matthews-correlation",
        "matthews:MatthewsLoss",
        "One minus the correlation of prediction and target, background included.",
        {"average": _AVERAGE},
        "doi:10.1109/ISBI48211.2021.9433782; multiclass: doi:10.1016/j.compbiolchem.2004.09.006",
        aliases=("mcc",),
        tasks=("multiclass", "binary"),
    ),
]
"""Losses of counts of voxels."""

SHAPE = [
    _loss(
        "cldice",
        "cldice:ClDiceLoss",
        "Dice of soft skeletons, for the connections of thin structures.",
        {
            "iterations": Param("int", 5, "At least half the width of the thickest structure, in voxels.", min=1),
            "smooth": _SMOOTH,
            "classes": _classes("foreground"),
        },
        "doi:10.1109/CVPR46437.2021.01629",
        aliases=("centreline-dice",),
    ),
    _loss(
        "skeleton-recall",
        "skeletons:SkeletonRecallLoss",
        "The part of the true skeletons that is missed; needs a partner such as Dice.",
        {
            "radius": Param("int", 2, "Of the tube around the skeleton, in voxels.", min=0),
            "classes": _classes("foreground"),
        },
        "doi:10.1007/978-3-031-72980-5_13",
        needs=("scikit-image>=0.22",),
        extra="train",
    ),
    _loss(
        "boundary",
        "boundary:BoundaryLoss",
        "Distance of wrong voxels to the true boundary; needs a partner and a small weight.",
        {"classes": _classes("foreground")},
        "doi:10.1016/j.media.2020.101851",
    ),
    _loss(
        "hausdorff-dt",
        "boundary:HausdorffLoss",
        "Squared distances to the true and predicted boundaries; needs a partner and a small weight.",
        {
            "alpha": Param("float", 2.0, "Exponent of the distances, in voxels.", min=0),
            "classes": _classes("foreground"),
        },
        "doi:10.1109/TMI.2019.2930068",
    ),
]
"""Losses of shapes, computed on whole windows."""


_BETA = Param("float", 1.0, "Below it errors are squared, in units of the labels; 0 is the absolute error.", min=0)

REGRESSION = [
    _error("mean-squared-error", "SquaredErrorLoss", "Squared error of each value.", {}, aliases=("mse", "l2")),
    _error("mean-absolute-error", "AbsoluteErrorLoss", "Absolute error of each value.", {}, aliases=("mae", "l1")),
    _error(
        "smooth-l1",
        "SmoothL1Loss",
        "Squared error where it is small, absolute error where it is large.",
        {"beta": _BETA},
        "doi:10.1109/ICCV.2015.169",
        wants=("scale",),
    ),
    _error(
        "weighted-smooth-l1",
        "WeightedSmoothL1Loss",
        "Smooth L1 in which targets on one side of a threshold weigh more or less.",
        {
            "threshold": Param("float", 0.0, "Of the target, in units of the labels."),
            "factor": Param("float", 0.1, "What errors on that side are multiplied by.", min=0),
            "side": Param("choice", "below", "Targets below the threshold, or those from it on.", choices=_SIDES),
            "beta": _BETA,
        },
        "doi:10.1109/ICCV.2015.169",
        wants=("offset", "scale"),
    ),
]
"""Losses of values."""


@hookimpl
def volseg_losses() -> Iterable[Loss]:
    """Return the losses of this plugin."""
    return [*VOXELS, *OVERLAP, *SHAPE, *REGRESSION]

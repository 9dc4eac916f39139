"""Hooks of this plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.api import Metric, Param, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

_LICENCE = "Apache-2.0"
_TASKS = ("multiclass", "binary")
_BACKGROUND = Param("bool", True, "Whether class 0 counts in the mean.")
_SCORE_BACKGROUND = Param("bool", False, "Whether class 0 is scored too.")
_FOREGROUND = Param(
    "str?", None, "Name of the only class that forms objects (the inside of cells); null is every class but class 0."
)
_TOLERANCE = Param(
    "float?", None, "Largest distance that counts as the same, in the unit of the spacing; null is one voxel.", min=0
)

OVERLAP = [
    Metric(
        name=name,
        target=f"volseg_metrics.overlap:{target}",
        summary=summary,
        params={"background": _BACKGROUND},
        wants=("classes",),
        tasks=_TASKS,
        licence=_LICENCE,
        citation=citation,
        better="higher",
        outputs=(name,),
    )
    for name, target, summary, citation in (
        (
            "dice",
            "Dice",
            "Dice coefficient of each class and their mean; absent classes are left out.",
            "doi:10.2307/1932409",
        ),
        (
            "iou",
            "Iou",
            "Intersection over union of each class and their mean; absent classes are left out.",
            "doi:10.1111/j.1469-8137.1912.tb05611.x",
        ),
        (
            "precision",
            "Precision",
            "Share of the predicted voxels that are right, of each class and their mean; absent classes are left out.",
            "van Rijsbergen, Information Retrieval, 1979",
        ),
        (
            "recall",
            "Recall",
            "Share of the true voxels that are found, of each class and their mean; absent classes are left out.",
            "van Rijsbergen, Information Retrieval, 1979",
        ),
    )
]

ACCURACY = Metric(
    name="accuracy",
    target="volseg_metrics.voxels:Accuracy",
    summary="Share of voxels whose class is right.",
    wants=("classes",),
    tasks=_TASKS,
    licence=_LICENCE,
    better="higher",
    outputs=("accuracy",),
)

VOLUME_DIFFERENCE = Metric(
    name="volume-difference",
    target="volseg_metrics.voxels:VolumeDifference",
    summary="Relative difference of each class's volume, signed, and the mean of absolute values.",
    params={"background": _BACKGROUND},
    aliases=("rvd",),
    wants=("classes",),
    tasks=_TASKS,
    licence=_LICENCE,
    citation="doi:10.1109/TMI.2009.2013851",
    better="lower",
    outputs=("volume-difference",),
)

HAUSDORFF95 = Metric(
    name="hausdorff95",
    target="volseg_metrics.surface:Hausdorff95",
    summary="95th percentile of surface distances, in the unit of the spacing; a missed class is a diagonal away.",
    params={"background": _SCORE_BACKGROUND},
    aliases=("hd95",),
    wants=("classes", "spacing"),
    tasks=_TASKS,
    licence=_LICENCE,
    citation="doi:10.1038/s41592-023-02151-z",
    better="lower",
    outputs=("hausdorff95",),
    streaming=False,
)

SURFACE_DICE = Metric(
    name="surface-dice",
    target="volseg_metrics.surface:SurfaceDice",
    summary="Share of both surfaces that lies within a tolerance of the other.",
    params={"tolerance": _TOLERANCE, "background": _SCORE_BACKGROUND},
    aliases=("nsd",),
    wants=("classes", "spacing"),
    tasks=_TASKS,
    licence=_LICENCE,
    citation="doi:10.2196/26151",
    better="higher",
    outputs=("surface-dice",),
    streaming=False,
)

CLDICE = Metric(
    name="cldice",
    target="volseg_metrics.cldice:ClDice",
    summary="Centreline Dice: whether thin structures are connected as in the target.",
    params={"background": _SCORE_BACKGROUND},
    wants=("classes",),
    tasks=_TASKS,
    needs=("scikit-image>=0.22",),
    extra="metrics",
    licence=_LICENCE,
    citation="doi:10.1109/CVPR46437.2021.01629",
    better="higher",
    outputs=("cldice",),
    streaming=False,
)

ADAPTED_RAND = Metric(
    name="adapted-rand",
    target="volseg_metrics.partition:AdaptedRand",
    summary="Adapted Rand error of objects (connected parts of a class, or instance ids), with precision and recall.",
    params={"foreground": _FOREGROUND},
    aliases=("arand",),
    wants=("classes", "task"),
    tasks=(*_TASKS, "instance"),
    licence=_LICENCE,
    citation="doi:10.3389/fnana.2015.00142",
    better="lower",
    outputs=("adapted-rand", "adapted-rand/precision", "adapted-rand/recall"),
    streaming=False,
)

VARIATION_OF_INFORMATION = Metric(
    name="variation-of-information",
    target="volseg_metrics.partition:VariationOfInformation",
    summary="Variation of information of objects in bits, with its parts split and merge.",
    params={"foreground": _FOREGROUND},
    aliases=("voi",),
    wants=("classes", "task"),
    tasks=(*_TASKS, "instance"),
    licence=_LICENCE,
    citation="doi:10.1016/j.jmva.2006.11.013",
    better="lower",
    outputs=("variation-of-information", "variation-of-information/split", "variation-of-information/merge"),
    streaming=False,
)

EXPECTED_CALIBRATION_ERROR = Metric(
    name="expected-calibration-error",
    target="volseg_metrics.calibration:ExpectedCalibrationError",
    summary="Mean difference of confidence and accuracy over bins of confidence.",
    params={"bins": Param("int", 15, "Number of bins of equal width.", min=1)},
    aliases=("ece",),
    wants=("classes",),
    tasks=_TASKS,
    licence=_LICENCE,
    citation="arXiv:1706.04599",
    better="lower",
    outputs=("expected-calibration-error",),
    inputs="probabilities",
)


@hookimpl
def volseg_metrics() -> Iterable[Metric]:
    """Return the metrics of this plugin."""
    return [
        *OVERLAP,
        ACCURACY,
        VOLUME_DIFFERENCE,
        HAUSDORFF95,
        SURFACE_DICE,
        CLDICE,
        ADAPTED_RAND,
        VARIATION_OF_INFORMATION,
        EXPECTED_CALIBRATION_ERROR,
    ]

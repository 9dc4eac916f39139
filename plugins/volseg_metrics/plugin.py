"""Hooks of this plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.api import Metric, Param, hookimpl
from volseg_metrics.object_metrics import OBJECTS
from volseg_metrics.value_metrics import VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable

_LICENCE = "Apache-2.0"
_TASKS = ("multiclass", "binary")
_BACKGROUND = Param("bool", True, "Whether class 0 counts in the mean.")
_SCORE_BACKGROUND = Param("bool", False, "Whether class 0 is scored too.")
_THRESHOLD = Param("float", 0.5, "Probability that a predicted voxel exceeds; of a multilabel task only.", min=0, max=1)
_TOLERANCE = Param(
    "float?", None, "Largest distance that counts as the same, in the unit of the spacing; null is one voxel.", min=0
)

OVERLAP = [
    Metric(
        name=name,
        target=f"volseg_metrics.overlap:{target}",
        summary=summary,
        params={"background": _BACKGROUND, "threshold": _THRESHOLD},
        wants=("classes", "task"),
        tasks=(*_TASKS, "multilabel"),
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

SOFT_DICE = Metric(
    name="soft-dice",
    target="volseg_metrics.soft_dice:SoftDice",
    summary="Dice coefficient of probabilities, without a threshold; classes that the target lacks are left out.",
    params={"background": _BACKGROUND},
    wants=("classes", "task"),
    tasks=(*_TASKS, "multilabel"),
    licence=_LICENCE,
    citation="doi:10.1109/3DV.2016.79",
    better="higher",
    outputs=("soft-dice",),
    inputs="probabilities",
)

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
        SOFT_DICE,
        ACCURACY,
        VOLUME_DIFFERENCE,
        HAUSDORFF95,
        SURFACE_DICE,
        CLDICE,
        EXPECTED_CALIBRATION_ERROR,
        *OBJECTS,
        *VALUES,
    ]

"""Descriptors of the metrics of objects."""

from __future__ import annotations

from functools import partial

from volseg_core.api import Metric, Param

_FOREGROUND = Param(
    "str?", None, "Name of the only class that forms objects (the inside of cells); null is every class but class 0."
)
_MIN_SIZE = Param("int", 0, "What has fewer voxels is no object, true or predicted.", min=0)
_OVERLAPS = Param(
    "list[float]",
    (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    "Intersections over union that a match must exceed; the mean over them is the score.",
    min=0,
    max=1,
)
_MAPS = {
    "threshold": Param("float", 0.5, "What a map (1 - p of a boundary) exceeds in objects.", min=-1, max=1),
    "channels": Param("list[str]?", None, "Channels that make objects, each its own; null is all but foreground."),
    "inside": Param("list[str]", (), "Channels that are high inside of objects, not on boundaries (affinities)."),
    "foreground": Param("str?", None, "Channel that says where objects are; boundaries are taken off it."),
}

_of_objects = partial(
    Metric,
    wants=("classes", "task"),
    tasks=("multiclass", "binary", "instance"),
    licence="Apache-2.0",
    streaming=False,
)
_of_maps = partial(
    Metric,
    wants=("classes",),
    tasks=("multilabel",),
    licence="Apache-2.0",
    inputs="probabilities",
    truth="instances",
    streaming=False,
)

ADAPTED_RAND = _of_objects(
    name="adapted-rand",
    target="volseg_metrics.partition:AdaptedRand",
    summary="Adapted Rand error of objects (connected parts of a class, or instance ids), with precision and recall.",
    params={"foreground": _FOREGROUND},
    aliases=("arand",),
    citation="doi:10.3389/fnana.2015.00142",
    better="lower",
    outputs=("adapted-rand", "adapted-rand/precision", "adapted-rand/recall"),
)

VARIATION_OF_INFORMATION = _of_objects(
    name="variation-of-information",
    target="volseg_metrics.partition:VariationOfInformation",
    summary="Variation of information of objects in bits, with its parts split and merge.",
    params={"foreground": _FOREGROUND},
    aliases=("voi",),
    citation="doi:10.1016/j.jmva.2006.11.013",
    better="lower",
    outputs=("variation-of-information", "variation-of-information/split", "variation-of-information/merge"),
)

AVERAGE_PRECISION = _of_objects(
    name="average-precision",
    target="volseg_metrics.detection:AveragePrecision",
    summary="Objects found at overlaps of 0.5 to 0.95: TP / (TP + FP + FN), with precision, recall and F1.",
    params={"overlaps": _OVERLAPS, "min_size": _MIN_SIZE, "foreground": _FOREGROUND},
    aliases=("ap",),
    citation="doi:10.1038/s41592-019-0612-7",
    better="higher",
    outputs=("average-precision", "average-precision/precision", "average-precision/recall", "average-precision/f1"),
)

PANOPTIC_QUALITY = _of_objects(
    name="panoptic-quality",
    target="volseg_metrics.detection:PanopticQuality",
    summary="Panoptic quality of objects, with its factors segmentation (SQ) and recognition (RQ).",
    params={"min_size": _MIN_SIZE, "foreground": _FOREGROUND},
    aliases=("pq",),
    citation="doi:10.1109/CVPR.2019.00963",
    better="higher",
    outputs=("panoptic-quality", "panoptic-quality/segmentation", "panoptic-quality/recognition"),
)

BOUNDARY_ADAPTED_RAND = _of_maps(
    name="boundary-adapted-rand",
    target="volseg_metrics.maps:BoundaryAdaptedRand",
    summary="Adapted Rand error of the objects that each channel's boundary map makes at a fixed threshold.",
    params=_MAPS,
    citation="doi:10.3389/fnana.2015.00142",
    better="lower",
    outputs=("boundary-adapted-rand", "boundary-adapted-rand/precision", "boundary-adapted-rand/recall"),
)

BOUNDARY_AVERAGE_PRECISION = _of_maps(
    name="boundary-average-precision",
    target="volseg_metrics.maps:BoundaryAveragePrecision",
    summary="Average precision of the objects that each channel's boundary map makes at a fixed threshold.",
    params={**_MAPS, "overlaps": _OVERLAPS, "min_size": _MIN_SIZE},
    citation="doi:10.1038/s41592-019-0612-7",
    better="higher",
    outputs=(
        "boundary-average-precision",
        "boundary-average-precision/precision",
        "boundary-average-precision/recall",
        "boundary-average-precision/f1",
    ),
)

OBJECTS = [
    ADAPTED_RAND,
    VARIATION_OF_INFORMATION,
    AVERAGE_PRECISION,
    PANOPTIC_QUALITY,
    BOUNDARY_ADAPTED_RAND,
    BOUNDARY_AVERAGE_PRECISION,
]
"""The metrics of objects."""

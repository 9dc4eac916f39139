"""Hooks of this plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.api import Metric, Param, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

_TASKS = ("multiclass", "binary")
_BACKGROUND = Param("bool", True, "Whether class 0 counts in the mean.")

DICE = Metric(
    name="dice",
    target="volseg_metrics.overlap:Dice",
    summary="Dice coefficient of each class and their mean; absent classes are left out.",
    params={"background": _BACKGROUND},
    wants=("classes",),
    tasks=_TASKS,
    licence="Apache-2.0",
    citation="doi:10.2307/1932409",
    better="higher",
    outputs=("dice",),
)

IOU = Metric(
    name="iou",
    target="volseg_metrics.overlap:Iou",
    summary="Intersection over union of each class and their mean; absent classes are left out.",
    params={"background": _BACKGROUND},
    wants=("classes",),
    tasks=_TASKS,
    licence="Apache-2.0",
    citation="doi:10.1111/j.1469-8137.1912.tb05611.x",
    better="higher",
    outputs=("iou",),
)


@hookimpl
def volseg_metrics() -> Iterable[Metric]:
    """Return the metrics of this plugin."""
    return [DICE, IOU]

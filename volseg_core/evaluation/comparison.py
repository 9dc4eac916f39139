"""What a metric compares: classes, channels, instances, boundary maps or values, and whether it does."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from volseg_core.errors import UsageError
from volseg_core.tasks import CLASS_TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.api import Metric


class Comparison(Enum):
    """What two volumes hold; the value names it in messages."""

    CLASSES = "classes"
    CHANNELS = "channels of probabilities"
    INSTANCES = "instances"
    MAPS = "boundary maps"
    VALUES = "values"

    @property
    def task(self) -> str:
        """The task that a metric is built with."""
        return _TASKS[self]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that are computed unless some are named."""
        return _METRICS.get(self, ("dice", "iou"))


_TASKS = {
    Comparison.CLASSES: "multiclass",
    Comparison.CHANNELS: "multilabel",
    Comparison.INSTANCES: "instance",
    Comparison.MAPS: "multilabel",
    Comparison.VALUES: "regression",
}
_METRICS = {
    Comparison.INSTANCES: ("adapted-rand", "variation-of-information", "average-precision", "panoptic-quality"),
    Comparison.VALUES: ("psnr", "ssim", "mse"),
}
_HINTS = {
    Comparison.CHANNELS: "The prediction holds floats, which are taken as probabilities; class ids are integers.",
    Comparison.INSTANCES: "Leave --instances out.",
    Comparison.MAPS: "Score what is not made of maps in another call.",
    Comparison.VALUES: "Score what is not of values in another call.",
}


def asked(*, instances: bool, values: bool) -> Comparison | None:
    """Return the comparison that is asked for, None where it depends on metrics and volumes.

    Raises:
        UsageError: two are.
    """
    if instances and values:
        raise UsageError("--instances", "does not go with --values", "Ids are compared, or numbers.")
    return Comparison.INSTANCES if instances else Comparison.VALUES if values else None


def comparison_of(metrics: Sequence[Metric], *, floats: bool) -> Comparison:
    """Return what metrics compare; ``floats``: the prediction holds them, which no class ids do."""
    for metric in metrics:
        if metric.inputs == "values":
            return Comparison.VALUES
        if metric.truth == "instances":
            return Comparison.MAPS
    return Comparison.CHANNELS if floats else Comparison.CLASSES


def check_serves(metric: Metric, comparison: Comparison) -> None:
    """Raise a UsageError unless a metric can compare what is to be compared."""
    tasks = CLASS_TASKS if comparison is Comparison.CLASSES else (comparison.task,)
    fits = (
        (not metric.tasks or bool({*tasks} & {*metric.tasks}))
        and (metric.truth == "instances") == (comparison is Comparison.MAPS)
        and (metric.inputs == "values") == (comparison is Comparison.VALUES)
        and not (metric.inputs == "probabilities" and comparison is Comparison.INSTANCES)
    )
    if not fits:
        instances = comparison is Comparison.CLASSES and "instance" in metric.tasks
        hint = "Use --instances." if instances else _HINTS.get(comparison, "")
        raise UsageError(f"metric {metric.name!r}", f"scores {_scored(metric)}, not {comparison.value}", hint)


def _scored(metric: Metric) -> str:
    """Return what a metric scores, in words."""
    if metric.inputs == "values":
        return Comparison.VALUES.value
    if metric.truth == "instances":
        return Comparison.MAPS.value
    if not metric.tasks or {*CLASS_TASKS} & {*metric.tasks}:
        return Comparison.CLASSES.value
    return "instances" if "instance" in metric.tasks else f"the task {', '.join(metric.tasks)}"

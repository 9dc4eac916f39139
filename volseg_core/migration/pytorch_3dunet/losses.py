"""The sections ``loss`` and ``eval_metric`` as a recipe's losses and metrics."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from volseg_core.errors import did_you_mean
from volseg_core.migration.pytorch_3dunet.maps import MAPS, PAIR, lacks, maps
from volseg_core.migration.pytorch_3dunet.vocabulary import LOSSES, METRICS, NORMALISED, UNSCALED

if TYPE_CHECKING:
    from volseg_core.migration.pytorch_3dunet.task import Task
    from volseg_core.migration.pytorch_3dunet.vocabulary import Term
    from volseg_core.migration.settings import Settings, Transfer

_UNKNOWN = "without effect on {}"
_REASONS = {
    "skip_last_target": "labels that a metric needs are not channels of the target here",
    "squeeze_channel": "labels have the shape that the loss takes",
    "epsilon": "the smooth of a loss has another place in its formula",
}
_INPUTS, _OF_CLASSES = ("input_channel", "input_channels"), "each class is scored, all but the first where it counts"
_PRECISIONS = ("BlobsAveragePrecision", PAIR)
"""Metrics that can count the matches of one overlap alone."""
_METRIC_REASONS = {
    "use_last_target": "metrics of objects are given the labels themselves",
    "use_first_input": "pytorch-3dunet ignores it",
    "ignore_index": "voxels without a label count in no metric (data.ignore)",
    "skip_channels": "all channels are scored",
    "epsilon": "a ratio of nothing is left out",
    "skip_background": "the parameter background of the metric says whether class 0 counts",
    "save_plots": "nothing is drawn while scores are computed",
    "plots_dir": "nothing is drawn while scores are computed",
    "thresholds": "there is one threshold, a parameter of the metric",
}


def has_softmax(settings: Settings) -> bool:
    """Whether a loss takes its probabilities by a softmax over the channels."""
    if settings.word("name") not in NORMALISED:
        return False
    value = settings.word("normalization") or "sigmoid"
    if value not in ("sigmoid", "softmax"):
        settings.leave("normalization", f"{value!r}; here outputs pass the sigmoid of their task")
    return value == "softmax"


def carry_loss(settings: Settings, transfer: Transfer) -> None:
    """Carry the loss with its parameters."""
    name = settings.word("name")
    found = LOSSES.get(name)
    if found is None:
        hint = did_you_mean(name, LOSSES)
        settings.leave("name", f"{name} has no equivalent here. {hint}".rstrip(" ."))
        settings.leave_the_rest({}, "it belongs to a loss that has no equivalent here")
        transfer.carry("loss", None, "those of the task: the one there has no equivalent here")
        return
    items = [_item(term, settings) for term in found.terms]
    why = [f"{name}: {found.why}", *([found.fault] if found.fault else [])]
    if name == "DiceLoss" and isinstance(items[0], dict) and "weights" in items[0]:
        items[0]["scale_weights"] = False
        why.append(UNSCALED)
    if name == "WeightedSmoothL1Loss" and isinstance(items[0], dict):
        items[0]["side"] = "below" if settings.take("apply_below_threshold", default=True) else "above"
    transfer.carry("loss", items, ". ".join(why))
    settings.leave_the_rest(_REASONS, _UNKNOWN.format(name))


def carry_metric(settings: Settings, transfer: Transfer, task: Task) -> None:
    """Carry the metric, which chooses the best epoch, where it serves the task."""
    name = settings.word("name")
    known = METRICS.get(name)
    found = next((each for each in known or () if task.name in each.tasks), None)
    unfit = "" if found is None or found.terms[0].use not in MAPS else lacks(name, task)
    if found is None or unfit:
        hint = did_you_mean(name, METRICS)
        gone = f"{name} has no equivalent here. {hint}"
        why = gone if known is None else f"no metric here scores {task.name} as {name} does{unfit}"
        settings.leave("name", why.rstrip(" ."))
        settings.leave_the_rest({}, "it belongs to a metric that has no equivalent here")
        transfer.carry("metrics", None, "those of the task: the one there has no equivalent here")
        return
    (term,) = found.terms
    params = {**term.params, **(maps(name, settings, task.names) if term.use in MAPS else {})}
    if name in _PRECISIONS and (counted := settings.word("metric")) == "acc":
        params["overlaps"] = [0.5]
    elif name in _PRECISIONS and counted not in ("", "ap"):
        settings.leave("metric", f"{counted!r} is neither ap nor acc")
    if name == "BoundaryAdaptedRandError" and (threshold := settings.number("threshold", _is_share)) is not None:
        params["threshold"] = threshold if "inside" in params else round(1 - threshold, 6)
    item = _item(replace(term, params=params), settings)
    transfer.carry("metrics", [item], f"{name}, which chooses the best epoch: {found.why}")
    of_classes = dict.fromkeys(_INPUTS, _OF_CLASSES) if term.use not in MAPS else {}
    settings.leave_the_rest(_METRIC_REASONS | of_classes, _UNKNOWN.format(name))


def _is_share(value: float) -> bool:
    return 0 < value < 1


def _item(term: Term, settings: Settings) -> Any:
    """Return a component as it stands in a list: its name where it has no parameters."""
    item: dict[str, Any] = {"use": term.use, **term.params}
    for theirs, ours in term.keys.items():
        value = settings.take(theirs)
        if value is not None:
            item[ours] = list(value) if isinstance(value, (list, tuple)) else value
    if term.weight and (weight := settings.number(term.weight, lambda value: value >= 0)) is not None:
        item["weight"] = weight
    return item if len(item) > 1 else term.use

"""The heads of a recipe: one without a name, whose keys stand at the top, or several with names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from volseg_core.api import Metric
from volseg_core.errors import UsageError, VolsegError
from volseg_core.recipe.assembled import Head
from volseg_core.recipe.blocks import HeadBlock, NamedHeadBlock
from volseg_core.recipe.layers import HEAD_SLOTS, HEADS, Path, dotted
from volseg_core.recipe.messages import translate
from volseg_core.tasks import VALUE_TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from volseg_core.recipe.assembled import ComponentUse
    from volseg_core.recipe.components import Components
    from volseg_core.recipe.layers import Layers

HEAD_KEYS = (*HeadBlock.model_fields, *HEAD_SLOTS)
"""Keys of a recipe that belong to its head."""
_OF_CLASSES = {"loss": ["cross-entropy", "dice"], "metrics": ["dice", "iou"]}
_DEFAULTS: dict[Any, dict[str, Any]] = {
    "multiclass": _OF_CLASSES,
    "binary": _OF_CLASSES,
    "multilabel": {"loss": ["binary-cross-entropy", "dice"], "metrics": ["dice"]},
    "regression": {"loss": ["mean-absolute-error"], "metrics": ["mae", "psnr"]},
}
"""Losses and metrics of a head that names none."""
_COMPARED = {
    "multiclass": ("classes", "probabilities"),
    "binary": ("classes", "probabilities"),
    "multilabel": ("probabilities", "classes"),
    "regression": ("values",),
}
"""What metrics of each task may compare; the probabilities of a multilabel task stand for classes."""
_INPUT = "image"
_NAME = re.compile(r"[a-z][a-z0-9-]*")


def fill_heads(layers: Layers, errors: list[VolsegError]) -> None:
    """Give every head the losses and metrics of its task where it names none.

    A recipe with ``heads`` gives up what it inherited for its only head, but must not set it itself. One that chooses a
    task without classes gives up the losses and metrics that it inherited.
    """
    named = layers.tree.get(HEADS)
    if not isinstance(named, dict):
        if layers.tree.get("task") in VALUE_TASKS:
            for key in ("loss", "metrics"):
                if layers.rank((key,)) < layers.rank(("task",)):
                    layers.drop(key)
        layers.fill(_defaults(layers.tree))
        return
    rank = layers.rank((HEADS,))
    for key in [key for key in HEAD_KEYS if key in layers.tree]:
        if layers.rank((key,)) >= rank:
            what = "does not go with heads, each of which has its own"
            errors.append(UsageError(layers.where((key,)), what, f"Set heads.NAME.{key}."))
        layers.drop(key)
    layers.fill({HEADS: {name: _defaults(head) for name, head in named.items() if isinstance(head, dict)}})


def _defaults(head: Mapping[str, Any]) -> Mapping[str, Any]:
    return _DEFAULTS.get(str(head.get("task", "multiclass")), _OF_CLASSES)


def head_rules(layers: Layers, errors: list[VolsegError]) -> dict[str, HeadBlock]:
    """Return task and classes of every head by its name."""
    named = layers.tree.get(HEADS)
    if named is None:
        rule = _rule(
            layers, (), {key: layers.tree[key] for key in HeadBlock.model_fields if key in layers.tree}, errors
        )
        return {} if rule is None else {"": rule}
    if not isinstance(named, dict) or not named:
        hint = "For example: heads: {cells: {task: multiclass}, rims: {task: multilabel, target: boundaries}}"
        errors.append(UsageError(layers.where((HEADS,)), f"{named!r} is not a mapping of heads by name", hint))
        return {}
    rules = {}
    for name, content in named.items():
        here = (HEADS, name)
        if not _NAME.fullmatch(name):
            what = f"head {name!r} must be named in lower-case letters, digits and hyphens"
            errors.append(UsageError(layers.where(here), what))
        if name == _INPUT:
            errors.append(UsageError(layers.where(here), f"{name!r} is what an exported network calls its input"))
        if not isinstance(content, dict):
            errors.append(UsageError(layers.where(here), f"{content!r} is not a mapping"))
            continue
        own = {key: value for key, value in content.items() if key not in HEAD_SLOTS}
        rule = _rule(layers, here, own, errors)
        if rule is not None:
            rules[name] = rule
    return rules


def _rule(layers: Layers, path: Path, content: Mapping[str, Any], errors: list[VolsegError]) -> HeadBlock | None:
    block = NamedHeadBlock if path else HeadBlock
    try:
        return block.model_validate(content)
    except ValidationError as error:
        errors += translate(error, block, path, layers.where, HEAD_SLOTS)
        return None


def read_heads(components: Components, rules: Mapping[str, HeadBlock]) -> tuple[Head, ...]:
    """Return the heads with their components; what is wrong with them is added to the errors."""
    heads = tuple(_read(components, name, rule) for name, rule in rules.items())
    made = any(components.layers.value((*_path(name), "target")) for name in rules)
    components.errors += [error for head in heads for error in _misfit_metrics(head, objects=made)]
    return heads


def _path(name: str) -> Path:
    return (HEADS, name) if name else ()


def _misfit_metrics(head: Head, *, objects: bool) -> Iterator[UsageError]:
    """Yield an error for each metric that compares what the head does not give, or ``objects`` that labels are not."""
    for use in head.metrics:
        component = use.provided.component
        name, task = f"metric {component.name!r}", head.rule.task
        if not use.used or not isinstance(component, Metric) or (component.tasks and task not in component.tasks):
            continue  # one that does not serve the task was told already
        if component.inputs not in _COMPARED[task]:
            given = " or ".join(_COMPARED[task])
            yield UsageError(use.where, f"{name} compares {component.inputs}; task {task} gives {given}")
        elif component.truth == "instances" and not objects:
            what = f"{name} compares with ids of objects, and no head makes a target of such ids"
            yield UsageError(use.where, what, "Give a head a target, such as boundaries.")


def _read(components: Components, name: str, rule: HeadBlock) -> Head:
    path = _path(name)
    losses, metrics = (
        components.uses((*path, key), kind, rule.task) for key, kind in (("loss", "loss"), ("metrics", "metric"))
    )
    target = components.use((*path, "target"), "target", rule.task)
    _check_losses(components, (*path, "loss"), losses)
    return Head(name, rule, losses, metrics, target)


def _check_losses(components: Components, path: Path, losses: tuple[ComponentUse, ...]) -> None:
    """Add an error where there is no loss, or none from the start."""
    written = components.layers.value(path)
    if not written:
        what = f"{dotted(path[:-1]) or 'a recipe'} needs at least one loss"
        components.errors.append(UsageError(components.layers.where(path), what, "For example: loss: [cross-entropy]"))
    elif len(losses) == len(written) and all(use.start_epoch for use in losses):
        what = "every loss starts later; one must start at epoch 0"
        components.errors.append(UsageError(components.layers.where(path), what))

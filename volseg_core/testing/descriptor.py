"""Rules of every descriptor: what it says is well-formed and is what the code takes."""

from __future__ import annotations

import inspect
import re
from importlib import metadata
from typing import TYPE_CHECKING, Any

from volseg_core.catalog import check_needs
from volseg_core.errors import PluginError
from volseg_core.testing.findings import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from volseg_core.params import Param
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

RULES = rules(
    "descriptor",
    name=("A name and its aliases are lower-case words joined by hyphens", "Write it like 'cross-entropy'."),
    summary=(
        "A summary is one line of at most 120 characters",
        "Say in one line what the component is; detail goes to the docstring of the target.",
    ),
    licence=("A component states the licence of its code", "Set licence to an SPDX identifier such as 'MIT'."),
    tasks=("The tasks are among those that a recipe can have", "Leave tasks empty for a component that serves any."),
    dims=("The dims are 2, 3 or both", "Set dims=(2,), (3,) or (2, 3)."),
    wants=(
        "A component wants only context that the core gives to its kind",
        "Make it a parameter instead, or correct the name.",
    ),
    needs=("The needs are requirements in the form of PEP 508", "Write them like 'scipy>=1.11'."),
    installed=("What a component needs is installed where it is checked", "Install it, then check again."),
    extra=(
        "The extra is one that the plugin's distribution declares",
        "Add it to optional-dependencies in pyproject.toml.",
    ),
    target=("The target can be imported and called", "Write it as 'package.module:name' of a class or function."),
    keywords=(
        "The target takes every parameter and context value by its keyword",
        "Name each in the signature, after a bare *.",
    ),
    parameters=(
        "The parameters and wants of the descriptor are arguments of the target, and its required ones are described",
        "Make the descriptor and the signature name the same.",
    ),
    defaults=("A parameter has the same default in the descriptor and in the code", "Correct the one that is wrong."),
    values=(
        "A parameter's default is a value of its own type, range and choices",
        "Widen the Param or change its default.",
    ),
    help=("Every parameter says in a line what it does", "Give the Param a help text."),
    fields=("The fields of a kind have values that the core knows", "Choose one of those that are named."),
)

TASKS = ("binary", "multiclass", "multilabel", "regression")
WANTS = {
    "postprocess": ("classes", "spacing", "taken"),
    "architecture": ("in_channels", "num_classes", "dims", "encoder"),
    "encoder": ("name", "in_channels", "depth", "output_stride"),
    "loss": ("task", "num_classes", "ignore_index", "class_counts", "offset", "scale"),
    "metric": ("classes", "spacing", "task"),
    "merge": ("task", "views", "classes", "wanted"),
    "target": ("spacing", "dims"),
    "runtime": ("network", "model", "device", "threads"),
}
"""Context values that the core gives to each kind."""
GIVES = ("labels", "confidence", "probabilities", "entropy", "variance", "values")
FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "architecture": {"encoder": ("required", "optional", "none")},
    "loss": {"inputs": ("logits", "probabilities"), "ignore": ("mask", "index", "none")},
    "metric": {
        "better": ("higher", "lower"),
        "inputs": ("classes", "probabilities", "values"),
        "truth": ("target", "instances"),
    },
    "merge": {"gives": GIVES},
    "postprocess": {
        "takes": ("labels", "instances", "probabilities", "values"),
        "gives": ("labels", "instances", "same"),
    },
    "target": {"tasks": ("multilabel", "regression")},
}
"""Values of fields that have few."""
_VALUED = ("regression",)
_WORDS = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SUFFIX = re.compile(r"(\.[a-z0-9]+)+")
_LINE = 120


def examine(trial: Trial, found: Findings) -> bool:
    """Note what is wrong with a descriptor; return whether its target is there to be tried."""
    _texts(trial, found)
    _choices(trial, found)
    for name, param in trial.component.params.items():
        _parameter(name, param, found)
    target = _target(trial, found)
    if target is None:
        return False
    _signature(trial, target, found)
    return True


def _texts(trial: Trial, found: Findings) -> None:
    component = trial.component
    for name in (component.name, *component.aliases):
        if component.kind != "encoder" and not _WORDS.fullmatch(name):
            found.broke("name", f"there is {name!r}")
    summary = component.summary
    if not summary.strip() or "\n" in summary or len(summary) > _LINE:
        found.broke("summary", f"it is {summary!r}" if len(summary) <= _LINE else f"it has {len(summary)}")
    if not component.licence.strip():
        found.broke("licence", "licence is empty")
    extras = _extras(trial.provided.plugin.id)
    if component.extra and extras is not None and component.extra not in extras:
        found.broke("extra", f"{component.extra!r} is not among {', '.join(extras) or 'none'}")


def _extras(plugin: str) -> list[str] | None:
    """Return the extras of a plugin's distribution, None where there is no distribution."""
    try:
        return metadata.metadata(plugin).get_all("Provides-Extra") or []
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _choices(trial: Trial, found: Findings) -> None:
    component = trial.component
    also = ("instance",) if component.kind == "metric" else ()
    _among("tasks", component.tasks, (*TASKS, *also), found)
    if not component.dims or set(component.dims) - {2, 3}:
        found.broke("dims", f"they are {component.dims!r}")
    _among("wants", component.wants, WANTS.get(component.kind, ()), found)
    for name, known in FIELDS.get(component.kind, {}).items():
        value = getattr(component, name)
        for item in (value,) if isinstance(value, str) else value:
            if item not in known:
                found.broke("fields", f"{name} is {item!r}, which is not one of {', '.join(known)}")
    for problem in _kind_fields(component):
        found.broke("fields", problem)


def _among(rule: str, given: tuple[str, ...], known: tuple[str, ...], found: Findings) -> None:
    for item in given:
        if item not in known:
            found.broke(rule, f"{item!r} is not one of {', '.join(known) or 'none'}")


def _kind_fields(component: Any) -> Iterator[str]:
    """Yield what is wrong with fields that have more than a few values."""
    for suffix in getattr(component, "suffixes", ()):
        if not _SUFFIX.fullmatch(suffix):
            yield f"suffix {suffix!r} is not lower-case with a leading dot"
    if component.kind in ("reader", "writer") and not (component.suffixes or component.directories):
        yield f"the {component.kind} has neither suffixes nor directories=True, so that nothing leads to it"
    if component.kind == "architecture" and min(component.divisor, component.min_size) < 1:
        yield f"divisor is {component.divisor} and min_size {component.min_size}; both are at least 1"
    if component.kind == "metric":
        yield from _metric_fields(component)
    if component.kind == "target" and not component.tasks:
        yield "the target states no tasks, and what it makes is learnt as one of them"
    if component.kind == "encoder":
        for name, weights in component.weights.items():
            if not weights.source:
                yield f"the weights {name!r} lack a source"


def _metric_fields(component: Any) -> Iterator[str]:
    if component.outputs[:1] != (component.name,):
        yield f"outputs is {component.outputs!r}, and its first is the metric's name"
    if (component.inputs == "values") != (tuple(component.tasks) == _VALUED):
        yield f"inputs is {component.inputs!r} of tasks {component.tasks!r}; values are those of {_VALUED!r}, alone"


def _parameter(name: str, param: Param, found: Findings) -> None:
    if not param.help.strip():
        found.broke("help", f"{name!r} has none")
    if "choice" in (param.base, param.item) and not param.choices:
        found.broke("values", f"{name!r} is a choice of nothing")
    if param.required:
        return
    try:
        value = param.coerce(param.default)
    except ValueError as error:
        found.broke("values", f"{name!r} does not take its own: {error}")
        return
    if not _same(value, param.default):
        found.broke("values", f"{name!r} turns its own, {param.default!r}, into {value!r}")


def _target(trial: Trial, found: Findings) -> Callable[..., Any] | None:
    """Return the target, or None with the reason noted."""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in trial.component.needs:
        try:
            Requirement(line)
        except InvalidRequirement:
            found.broke("needs", f"there is {line!r}")
            return None
    try:
        check_needs(trial.provided)
    except PluginError as error:
        found.broke("installed", error.what)
        return None
    try:
        target = trial.catalog.load(trial.provided)
    except Exception as error:  # noqa: BLE001  (third-party code raises what it likes)
        found.broke("target", f"{trial.component.target!r} cannot: {error}")
        return None
    if not callable(target):
        found.broke("target", f"{trial.component.target!r} is {type(target).__name__}")
        return None
    return target  # type: ignore[no-any-return]


def _signature(trial: Trial, target: Callable[..., Any], found: Findings) -> None:
    component = trial.component
    try:
        taken = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return  # of compiled code nothing is known
    described = {*component.params, *component.wants}
    by_position = [name for name, each in taken.items() if each.kind is each.POSITIONAL_ONLY]
    if by_position:
        found.broke("keywords", f"it takes {', '.join(by_position)} by position only")
    named = {name: each for name, each in taken.items() if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)}
    anything = any(each.kind is each.VAR_KEYWORD for each in taken.values())
    for name in sorted(described - {*named, *by_position}):
        if anything:
            found.broke("keywords", f"{name!r} disappears in its **kwargs")
        else:
            found.broke("parameters", f"it describes {name!r}, and {component.target} takes no such argument")
    for name, each in named.items():
        if name not in described and each.default is each.empty:
            found.broke("parameters", f"{component.target} requires {name!r}, which is not described")
    _defaults(component.params, named, found)


def _defaults(params: Mapping[str, Param], named: Mapping[str, inspect.Parameter], found: Findings) -> None:
    for name in (name for name in params if name in named):
        said, code = params[name], named[name]
        if said.required != (code.default is code.empty) or not (said.required or _same(said.default, code.default)):
            here = "that it is required" if said.required else repr(said.default)
            there = "that it is required" if code.default is code.empty else repr(code.default)
            found.broke("defaults", f"of {name!r} the descriptor says {here} and the code {there}")


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are the same in a recipe, where sequences are lists and true is not 1."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)

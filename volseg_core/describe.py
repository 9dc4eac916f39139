"""A descriptor of a class or function, from its signature: a start for an author, never used when volseg runs."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.api import KINDS
from volseg_core.collecting import RESERVED
from volseg_core.describe_params import ParamSource, docstring, source
from volseg_core.errors import PluginError, UsageError, did_you_mean
from volseg_core.plugins import describe as one_line

if TYPE_CHECKING:
    from collections.abc import Callable

_WHERE = "plugins describe"
_CONTEXT = {
    "architecture": ("in_channels", "num_classes", "dims", "encoder"),
    "encoder": ("name", "in_channels", "depth", "output_stride"),
    "loss": ("task", "num_classes", "ignore_index", "class_counts", "offset", "scale"),
    "metric": ("classes", "spacing", "task"),
    "merge": ("views", "classes", "wanted"),
    "target": ("spacing", "dims"),
    "runtime": ("network", "model", "device", "threads"),
}
"""Context values of each kind: parameters of these names are what a target ``wants``."""
_METHODS = {
    "merge": ("start", "add", "result"),
    "metric": ("update", "compute", "reset"),
    "runtime": ("run", "free_bytes"),
    "reader": ("open",),
    "writer": ("create",),
    "generator": ("generate",),
}
"""Methods by which the object of a kind is known, the surest first."""
_UNSEEN = {
    "architecture": "dims, divisor, min_size and encoder",
    "encoder": "dims, strides and weights",
    "loss": "dims, tasks, inputs and ignore",
    "metric": "dims, tasks, better, outputs, inputs, truth and streaming",
    "reader": "suffixes, directories and lazy",
    "writer": "suffixes and directories",
    "merge": "any_order, state_bytes and gives",
    "augmentation": "dims",
    "target": "dims and tasks",
}
"""Fields that no signature shows."""


@dataclass(frozen=True)
class Described:
    """A descriptor as source code, and what its author still has to say."""

    kind: str
    text: str
    open_points: tuple[str, ...]


def describe(target: str, kind: str = "") -> Described:
    """Return the descriptor of ``module:attribute``, whose module is imported; without ``kind`` it is guessed.

    Raises:
        UsageError: no such kind or attribute, or a kind that cannot be guessed.
        PluginError: the module does not import.
    """
    if kind and kind not in KINDS:
        listed = [f"kinds: {', '.join(KINDS)}"]
        raise UsageError("--kind", f"{kind!r} is not a kind of component", did_you_mean(kind, KINDS), listed)
    found = _load(target)
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        hint = "Wrap it in a function of your own."
        raise UsageError(_WHERE, f"{target!r} has no signature that Python can read", hint) from None
    return _written(target, kind or _guess(target, found, signature), found, signature)


def _load(target: str) -> Callable[..., Any]:
    module_name, _, attribute = target.partition(":")
    if not (module_name and attribute.isidentifier()):
        raise UsageError(_WHERE, f"{target!r} is not MODULE:NAME", "For example: torch.nn:CrossEntropyLoss")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a file that is no package yet is imported from where the author stands
    try:
        module = import_module(module_name)
    except Exception as error:
        raise PluginError(_WHERE, f"{module_name!r} does not import ({one_line(error)})") from error
    found = getattr(module, attribute, None)
    if found is None:
        raise UsageError(_WHERE, f"{module_name!r} has no {attribute!r}", did_you_mean(attribute, dir(module)))
    if not callable(found):
        raise UsageError(_WHERE, f"{target!r} is neither a class nor a function")
    return found  # type: ignore[no-any-return]


def _guess(target: str, found: Any, signature: inspect.Signature) -> str:
    """Return the kind that methods, parameters or the name speak for."""
    if inspect.isclass(found):
        for kind, methods in _METHODS.items():
            if all(callable(getattr(found, method, None)) for method in methods):
                return kind
        if {"image", "labels", "seed"} <= _called_with(found):
            return "augmentation"
        if "ids" in _called_with(found):
            return "target"
    names = set(signature.parameters)
    if {"in_channels", "num_classes"} <= names:
        return "architecture"
    if {"in_channels", "depth"} <= names:
        return "encoder"
    if "loss" in target.lower():
        return "loss"
    raise UsageError(_WHERE, f"{target!r} looks like no kind of component", f"Give --kind: {', '.join(KINDS)}.")


def _called_with(found: Any) -> set[str]:
    """Return the parameters of a call of the object that a class makes."""
    method = getattr(found, "forward", None) or vars(found).get("__call__")
    return set(inspect.signature(method).parameters) if method is not None else set()


def _written(target: str, kind: str, found: Any, signature: inspect.Signature) -> Described:
    writer = ParamSource(found)
    given = [item for item in signature.parameters.values() if _can_be_given(item, writer.open_points)]
    wants = tuple(item.name for item in given if item.name in _CONTEXT.get(kind, ()))
    params = {item.name: writer.write(item) for item in given if item.name not in wants}
    rows = "".join(f"        {source(name)}: {text},\n" for name, text in params.items())
    ignore = _ignore(kind, found, wants)
    fields = {
        "name": source(_name(target, kind)),
        "target": source(target),
        "summary": source(_summary(found, writer.open_points)),
        "params": f"{{\n{rows}    }}" if rows else "",
        "wants": source(wants) if wants else "",
        "ignore": source(ignore) if ignore else "",
        "licence": source(""),
    }
    lines = "".join(f"    {name}={text},\n" for name, text in fields.items() if text)
    points = [*writer.open_points, "the licence of the code (SPDX), and a citation where there is one"]
    if kind in _UNSEEN:
        points.append(f"{_UNSEEN[kind]}, which a signature does not show")
    return Described(kind, f"{KINDS[kind].__name__}(\n{lines})", tuple(points))


def _can_be_given(item: inspect.Parameter, open_points: list[str]) -> bool:
    """Whether a recipe can set a parameter: by keyword, under a name that it does not use itself."""
    cure = "wrap the target in a function of your own"
    if item.kind in (item.VAR_KEYWORD, item.VAR_POSITIONAL):
        open_points.append(
            f"{str(item).partition(':')[0]!r} stands for parameters without a name: {cure} that names them"
        )
    elif item.kind is item.POSITIONAL_ONLY:
        open_points.append(f"{item.name!r} is taken by position only: {cure}")
    elif item.name in RESERVED:
        open_points.append(f"{item.name!r} is a word of recipes and left out: {cure} that calls it something else")
    else:
        return True
    return False


def _name(target: str, kind: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", target.partition(":")[2])
    name = re.sub(r"[-_]+", "-", words).strip("-").lower()
    return name.removesuffix(f"-{kind}")


def _summary(found: Any, open_points: list[str]) -> str:
    paragraph = docstring(found).partition("\n\n")[0]
    line = re.split(r"(?<=\.) (?=[A-Z])", " ".join(paragraph.split()))[0]
    if not line:
        open_points.append("the summary: there is no docstring")
    return line


def _ignore(kind: str, found: Any, wants: tuple[str, ...]) -> str:
    """Return how a loss shows that it takes voxels without a label, or an empty string."""
    if kind != "loss":
        return ""
    if inspect.isclass(found) and "valid" in _called_with(found):
        return "mask"
    return "index" if "ignore_index" in wants else ""

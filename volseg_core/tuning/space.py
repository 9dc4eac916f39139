"""The search space: which keys of a recipe are varied, and over what."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from volseg_core.discovery import BUILTIN
from volseg_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optuna

DEFAULT = (
    "train.lr=3e-4..1e-2:log",
    "train.weight_decay=1e-4..1e-1:log",
    "data.augment=none|light|standard|strong",
)
"""What is searched when nothing is named: it matters in every training, and costs nothing per step."""
_WHERE = "--search"
_HINT = "Give KEY=LOW..HIGH, KEY=LOW..HIGH:log, or KEY=A|B|C."
_WHOLE = re.compile(r"[+-]?\d+")


@dataclass(frozen=True)
class Choice:
    """One of several values, as written on the command line."""

    key: str
    values: tuple[str, ...]

    def draw(self, trial: optuna.Trial) -> str:
        """Return the value that a trial takes."""
        return str(trial.suggest_categorical(self.key, self.values))

    def ends(self) -> Sequence[str]:
        """Return values that a check must try."""
        return self.values

    def place(self, value: Any) -> str | None:
        """Return a recipe's value as one of these, or None."""
        return next((item for item in self.values if _same(item, value)), None)


@dataclass(frozen=True)
class Range:
    """A number between two bounds, both included; ``log`` draws its logarithm evenly."""

    key: str
    low: float
    high: float
    log: bool
    whole: bool

    def draw(self, trial: optuna.Trial) -> str:
        """Return the value that a trial takes."""
        if self.whole:
            return str(trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log))
        return repr(float(trial.suggest_float(self.key, self.low, self.high, log=self.log)))

    def ends(self) -> Sequence[str]:
        """Return values that a check must try."""
        return [str(int(end)) if self.whole else repr(end) for end in (self.low, self.high)]

    def place(self, value: Any) -> float | None:
        """Return a recipe's value if it lies within the bounds, or None."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            return None
        return int(value) if self.whole else float(value)


Dimension = Choice | Range


def parse_space(texts: Sequence[str]) -> list[Dimension]:
    """Return the dimensions that ``KEY=LOW..HIGH``, ``KEY=LOW..HIGH:log`` and ``KEY=A|B|C`` describe.

    Raises:
        UsageError: one of them is none of these, or a key is named twice.
    """
    space = [_parse(text) for text in texts]
    keys = [item.key for item in space]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(_WHERE, f"{key} is named twice")
    return space


def _parse(text: str) -> Dimension:
    key, equals, rule = (part.strip() for part in text.partition("="))
    if not (key and equals and rule):
        raise UsageError(_WHERE, f"{text!r} is not KEY=RANGE", _HINT)
    if "|" in rule:
        values = tuple(part.strip() for part in rule.split("|"))
        if len(set(values)) != len(values) or not all(values):
            raise UsageError(f"{_WHERE} {key}", f"{rule!r} has an empty or repeated value", _HINT)
        return Choice(key, values)
    bounds, _, scale = rule.partition(":")
    low, dots, high = (part.strip() for part in bounds.partition(".."))
    if not dots or scale.strip() not in ("", "log"):
        raise UsageError(f"{_WHERE} {key}", f"{rule!r} is no range and no choice", _HINT)
    return _range(key, low, high, log=bool(scale))


def _range(key: str, low: str, high: str, *, log: bool) -> Range:
    where = f"{_WHERE} {key}"
    try:
        first, last = float(low), float(high)
    except ValueError:
        raise UsageError(where, f"{low!r} and {high!r} are not both numbers", _HINT) from None
    if not (math.isfinite(first) and math.isfinite(last) and first < last):
        raise UsageError(where, f"{low} is not below {high}", _HINT)
    if log and first <= 0:
        raise UsageError(where, f"a logarithmic range starts above 0, not at {low}", _HINT)
    return Range(key, first, last, log, all(_WHOLE.fullmatch(part) for part in (low, high)))


def typed_like(space: Sequence[Dimension], resolved: Mapping[str, Any]) -> list[Dimension]:
    """Return the space with ranges such as 0..1 taken as those of real numbers where the recipe holds one."""
    return [
        replace(item, whole=False)
        if isinstance(item, Range) and isinstance(_value(resolved, item.key), float)
        else item
        for item in space
    ]


def assignments(space: Sequence[Dimension], trial: optuna.Trial) -> list[str]:
    """Return what a trial sets, as ``KEY=VALUE``."""
    return [f"{item.key}={item.draw(trial)}" for item in space]


def start_point(space: Sequence[Dimension], resolved: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the resolved recipe's own place in the space, or None when it lies outside."""
    point = {item.key: item.place(_value(resolved, item.key)) for item in space}
    return None if any(value is None for value in point.values()) else point


def _value(resolved: Any, key: str) -> Any:
    """Return what stands at a dotted key, for a component its name; None if nothing does."""
    node = resolved
    for part in key.split("."):
        if isinstance(node, list):
            node = next((item for item in node if isinstance(item, Mapping) and _same(part, item.get("use"))), None)
        else:
            node = node.get(part) if isinstance(node, Mapping) else None
    return node.get("use") if isinstance(node, Mapping) else node


def _same(text: str, value: Any) -> bool:
    import yaml

    if isinstance(value, str):
        return value.removeprefix(f"{BUILTIN}/") == text.removeprefix(f"{BUILTIN}/")
    try:
        return bool(value is not None and yaml.safe_load(text) == value)
    except yaml.YAMLError:
        return False

"""Typed parameters of components: coercion, range checks and JSON schema, in the standard library only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class _Required:
    """The type of `REQUIRED`; copies and pickles give the same object."""

    def __repr__(self) -> str:
        return "REQUIRED"

    def __reduce__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()
"""Default of a parameter that has none."""

_JSON = {"bool": "boolean", "int": "integer", "float": "number", "str": "string", "path": "string", "dict": "object"}


@dataclass(frozen=True)
class Param:
    """Describe one keyword of a component's target.

    ``type`` is one of ``bool int float str path choice dict any list[T] component:KIND``; a trailing ``?``
    also admits null. ``min`` and ``max`` bound numbers (of lists: each item), ``length`` fixes a list's length.
    """

    type: str
    default: Any = REQUIRED
    help: str = ""
    min: float | None = None
    max: float | None = None
    choices: Sequence[Any] = field(default=())
    length: int | None = None

    def __post_init__(self) -> None:
        inner = self.item or self.base
        if inner not in ("choice", "any", *_CONVERTERS) and not inner.startswith("component:"):
            message = f"unknown parameter type {self.type!r}"
            raise ValueError(message)

    @property
    def base(self) -> str:
        """The type without the ``?`` of an optional one."""
        return self.type.removesuffix("?")

    @property
    def item(self) -> str:
        """The type of a list's items, or an empty string."""
        return self.base[5:-1] if self.base.startswith("list[") and self.base.endswith("]") else ""

    @property
    def optional(self) -> bool:
        """Whether null is a value."""
        return self.type.endswith("?")

    @property
    def required(self) -> bool:
        """Whether the parameter has no default."""
        return self.default is REQUIRED

    def coerce(self, value: Any) -> Any:
        """Return ``value`` as the declared type.

        Raises:
            ValueError: with a sentence that quotes the value and states the rule.
        """
        if value is None:
            if self.optional:
                return None
            message = f"null is not {_article(self.base)}"
            raise ValueError(message)
        if self.item:
            return [self._coerce_one(self.item, item) for item in self._items(value)]
        return self._coerce_one(self.base, value)

    def _items(self, value: Any) -> Sequence[Any]:
        items = value if isinstance(value, Sequence) and not isinstance(value, str) else None
        if items is None:
            message = f"{value!r} is not a list"
            raise ValueError(message)
        if self.length is not None and len(items) != self.length:
            message = f"{list(items)!r} has {len(items)} items; it must have {self.length}"
            raise ValueError(message)
        return items

    def _coerce_one(self, kind: str, value: Any) -> Any:
        if kind == "choice":
            return _coerce_choice(value, self.choices)
        converted = _CONVERTERS[kind](value) if kind in _CONVERTERS else value
        if converted is None:
            message = f"{value!r} is not {_article(kind)}"
            raise ValueError(message)
        if kind in ("int", "float"):
            self._check_bounds(converted, value)
        return converted

    def _check_bounds(self, number: float, value: Any) -> None:
        if self.min is not None and number < self.min:
            message = f"{value!r} is below the minimum {self.min:g}"
            raise ValueError(message)
        if self.max is not None and number > self.max:
            message = f"{value!r} is above the maximum {self.max:g}"
            raise ValueError(message)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the parameter (``volseg show --json``)."""
        if self.item:
            inner = Param(self.item, min=self.min, max=self.max, choices=self.choices)
            schema: dict[str, Any] = {"type": "array", "items": inner.json_schema()}
            if self.length is not None:
                schema |= {"minItems": self.length, "maxItems": self.length}
        elif self.base == "choice":
            schema = {"enum": list(self.choices)}
        else:
            schema = {"type": _JSON[self.base]} if self.base in _JSON else {}
        bounds = {"minimum": self.min, "maximum": self.max}
        if schema.get("type") in ("integer", "number"):
            schema |= {key: bound for key, bound in bounds.items() if bound is not None}
        if self.optional:
            schema = {"anyOf": [schema, {"type": "null"}]}
        if self.help:
            schema["description"] = self.help
        if not self.required:
            schema["default"] = self.default
        return schema


def _article(kind: str) -> str:
    if kind.startswith("list["):
        return "a list"
    return {"int": "an int", "dict": "a mapping", "choice": "a choice"}.get(kind, f"a {kind}")


def _coerce_choice(value: Any, choices: Sequence[Any]) -> Any:
    from volseg_core.errors import did_you_mean

    for choice in choices:
        if choice == value and isinstance(choice, bool) == isinstance(value, bool):
            return choice
    listed = ", ".join(str(choice) for choice in choices)
    message = f"{value!r} is not one of {listed}. {did_you_mean(str(value), map(str, choices))}".rstrip()
    raise ValueError(message)


def _to_bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _to_float(value: Any) -> float | None:
    """Return a finite number, also from the strings that YAML 1.1 makes of ``1e-3``."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _to_int(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _to_float(value)
    return int(number) if number is not None and number.is_integer() else None


def _to_str(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None


def _to_dict(value: Any) -> dict[Any, Any] | None:
    return dict(value) if isinstance(value, Mapping) else None


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "bool": _to_bool,
    "int": _to_int,
    "float": _to_float,
    "str": _to_str,
    "path": _to_str,
    "dict": _to_dict,
}
"""Functions that return the value as the type, or None when it is none of that type."""

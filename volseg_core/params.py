"""Typed parameters of components: coercion, range checks and JSON schema, in the standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "REQUIRED"})()
"""Default of a parameter that has none."""

_SCALARS = ("bool", "int", "float", "str", "path", "choice", "dict", "any")
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
        base = self.base
        inner = base[5:-1] if base.startswith("list[") and base.endswith("]") else base
        if inner not in _SCALARS and not inner.startswith("component:"):
            message = f"unknown parameter type {self.type!r}"
            raise ValueError(message)

    @property
    def base(self) -> str:
        """The type without the ``?`` of an optional one."""
        return self.type.removesuffix("?")

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
        if self.base.startswith("list["):
            return self._coerce_list(value)
        return self._check(_coerce_scalar(self.base, value, self.choices))

    def _coerce_list(self, value: Any) -> list[Any]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            message = f"{value!r} is not a list"
            raise ValueError(message)
        if self.length is not None and len(value) != self.length:
            message = f"{list(value)!r} has {len(value)} items; it must have {self.length}"
            raise ValueError(message)
        return [self._check(_coerce_scalar(self.base[5:-1], item, self.choices)) for item in value]

    def _check(self, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if self.min is not None and value < self.min:
                message = f"{value!r} is below the minimum {self.min:g}"
                raise ValueError(message)
            if self.max is not None and value > self.max:
                message = f"{value!r} is above the maximum {self.max:g}"
                raise ValueError(message)
        return value

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the parameter (``volseg show --json``)."""
        if self.base.startswith("list["):
            inner = Param(self.base[5:-1], min=self.min, max=self.max, choices=self.choices)
            schema: dict[str, Any] = {"type": "array", "items": inner.json_schema()}
            if self.length is not None:
                schema |= {"minItems": self.length, "maxItems": self.length}
        elif self.base == "choice":
            schema = {"enum": list(self.choices)}
        elif self.base in _JSON:
            schema = {"type": _JSON[self.base]}
        else:
            schema = {}
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
    return {"int": "an int"}.get(kind, f"a {kind}")


def _coerce_scalar(kind: str, value: Any, choices: Sequence[Any]) -> Any:
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "int" and not isinstance(value, bool):
        if isinstance(value, int):
            return value
        number = _number(value)
        if number is not None and number == int(number):
            return int(number)
    if kind == "float" and not isinstance(value, bool):
        number = _number(value)
        if number is not None:
            return number
    if kind in ("str", "path") and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    if kind == "choice":
        return _coerce_choice(value, choices)
    if kind == "dict" and isinstance(value, Mapping):
        return dict(value)
    if kind == "any" or kind.startswith("component:"):
        return value
    message = f"{value!r} is not {_article(kind)}"
    raise ValueError(message)


def _coerce_choice(value: Any, choices: Sequence[Any]) -> Any:
    from volseg_core.errors import did_you_mean

    if value in choices:
        return value
    listed = ", ".join(str(choice) for choice in choices)
    message = f"{value!r} is not one of {listed}. {did_you_mean(str(value), map(str, choices))}".rstrip()
    raise ValueError(message)


def _number(value: Any) -> float | None:
    """Return a finite number, also from the strings that YAML 1.1 makes of ``1e-3``."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None

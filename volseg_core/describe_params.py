"""Parameters of a signature as the source code of `Param`, as far as annotations, defaults and docstrings tell."""

from __future__ import annotations

import collections.abc
import inspect
import json
import os
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal, Union, get_args, get_origin

_SIMPLE: dict[Any, str] = {bool: "bool", int: "int", float: "float", str: "str"}
_LISTS = (list, tuple, Sequence, collections.abc.Iterable)
_ANY = "any"


@dataclass(frozen=True)
class Found:
    """What annotation and default say of a parameter: the type, choices and length."""

    type: str = _ANY
    choices: tuple[Any, ...] = ()
    length: int | None = None
    optional: bool = False


@dataclass
class ParamSource:
    """Writes parameters of ``target``; what cannot be known is added to ``open_points``."""

    target: Any
    open_points: list[str] = field(default_factory=list)

    def write(self, item: inspect.Parameter) -> str:
        """Return ``Param(...)`` for a parameter."""
        required = item.default is item.empty
        found = _of_annotation(self._annotation(item)) or _of_default(item.default)
        optional = found.optional or item.default is None
        arguments = [source(f"{found.type}?" if optional else found.type)]
        if not required:
            arguments.append(self._default(item))
        text = self._help(item.name)
        if text:
            arguments.append(f"help={source(text)}" if required else source(text))
        if found.choices:
            arguments.append(f"choices={source(found.choices)}")
        if found.length:
            arguments.append(f"length={found.length}")
        if found.type == _ANY:
            self.open_points.append(f"the type of {item.name!r}: 'any' is not checked")
        return f"Param({', '.join(arguments)})"

    def _annotation(self, item: inspect.Parameter) -> Any:
        """Return the annotation, evaluated where it is text; names that only type checkers import may be missing."""
        if not isinstance(item.annotation, str):
            return item.annotation
        function = inspect.unwrap(self.target.__init__ if inspect.isclass(self.target) else self.target)
        names = {**vars(collections.abc), **vars(typing), "Path": Path, **getattr(function, "__globals__", {})}
        try:
            return eval(item.annotation, names)  # noqa: S307  (the author's own code, already imported)
        except Exception:  # noqa: BLE001  (whatever an annotation of a library holds)
            return item.empty

    def _default(self, item: inspect.Parameter) -> str:
        if _plain(item.default):
            return source(item.default)
        self.open_points.append(f"the default of {item.name!r}: {item.default!r} is nothing that a recipe can hold")
        return "None"

    def _help(self, name: str) -> str:
        """Return what the docstring says behind ``name:`` or ``name (type):``, its first sentence."""
        typed = r"(?: \([^\n]*\))?:"
        entry = rf"^\s+`*{re.escape(name)}`*{typed}\s+(.+(?:\n(?!\s*`*\w+`*{typed})\s+.+)*)"
        match = re.search(entry, docstring(self.target), re.MULTILINE)
        if match is None:
            self.open_points.append(f"the help of {name!r}")
            return ""
        line = " ".join(match[1].split()).partition(". ")[0].rstrip(".")
        return f"{line[:1].upper()}{line[1:]}."


def docstring(target: Any) -> str:
    """Return the target's own docstring and, of a class, that of its constructor; none that are inherited."""
    own = [target, vars(target).get("__init__")] if inspect.isclass(target) else [target]
    texts = [getattr(item, "__doc__", None) or "" for item in own]
    return "\n\n".join(inspect.cleandoc(text) for text in texts if text)


def source(value: Any) -> str:
    """Return plain data as source code; lists become tuples."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        inner = ", ".join(source(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{source(key)}: {source(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_plain(item) for item in value)
    if isinstance(value, dict):
        return all(_plain(item) for pair in value.items() for item in pair)
    return value is None or type(value) in _SIMPLE


def _of_default(default: Any) -> Found:
    if type(default) in _SIMPLE:
        return Found(_SIMPLE[type(default)])
    if isinstance(default, (list, tuple)):
        kinds = {_SIMPLE.get(type(item), _ANY) for item in default}
        return Found(f"list[{kinds.pop() if len(kinds) == 1 else _ANY}]")
    return Found("dict" if isinstance(default, dict) else _ANY)


def _of_annotation(annotation: Any) -> Found | None:
    """Return what an annotation says, None when it says nothing."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _of_annotation(inner[0])
    if origin in (Union, types.UnionType):
        return _of_union([item for item in inner if item is not type(None)], optional=type(None) in inner)
    if origin is Literal:
        return Found("choice", choices=tuple(item for item in inner if item is not None), optional=None in inner)
    kind = origin or annotation
    return _of_class(kind, inner) if inspect.isclass(kind) else None


def _of_class(kind: type, inner: tuple[Any, ...]) -> Found | None:
    if kind in _SIMPLE:
        return Found(_SIMPLE[kind])
    if kind in _LISTS:
        return _of_list(inner)
    if issubclass(kind, (PurePath, os.PathLike)):
        return Found("path")
    return Found("dict") if issubclass(kind, Mapping) else None


def _of_union(members: list[Any], *, optional: bool) -> Found | None:
    found = [_of_annotation(item) for item in members]
    kinds = {item.type for item in found if item is not None}
    if None in found:
        return Found(optional=optional) if optional else None
    for wide, narrow in (("float", "int"), ("path", "str")):
        if kinds == {wide, narrow}:
            return Found(wide, optional=optional)
    first = found[0] if len(found) == 1 else None
    return Found(first.type, first.choices, first.length, optional) if first else Found(optional=optional)


def _of_list(inner: tuple[Any, ...]) -> Found:
    """Return a list of one type; a tuple of so many items has a length."""
    items = [item for item in inner if item is not Ellipsis]
    kinds = {found.type if (found := _of_annotation(item)) else _ANY for item in items}
    kind = kinds.pop() if len(kinds) == 1 else _ANY
    kind = kind if kind in (*_SIMPLE.values(), "path", "dict") else _ANY
    fixed = len(items) > 1 and Ellipsis not in inner
    return Found(f"list[{kind}]", length=len(items) if fixed else None)

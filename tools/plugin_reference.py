"""Write docs/plugins/hooks.md and api.md from the code: ``python tools/plugin_reference.py``.

With ``--signatures`` it prints the names and signatures of volseg_core.api as docs/plugins/stability.md lists them;
that list is a promise, and edited by hand.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import types
from pathlib import Path
from typing import Any

from volseg_core import api, hookspecs

PAGES_FOLDER = Path(__file__).resolve().parents[1] / "docs" / "plugins"
NOTE = "<!-- written by tools/plugin_reference.py; do not edit -->\n"
_RUN_HOOKS = ("volseg_run_started", "volseg_run_finished", "volseg_export_metadata")
TYPES = {
    "bool": "true or false",
    "int": "a whole number; `2.0` and `'2'` are taken",
    "float": "a finite number; `'1e-3'`, which YAML 1.1 reads as text, is taken",
    "str": "text; a number is taken as its text",
    "path": "a file or folder, as text",
    "choice": "one of `choices`",
    "dict": "a mapping",
    "any": "anything that YAML can write",
    "list[T]": "a list whose items are of type T; `length` fixes how many",
    "component:KIND": "the name of a component or a mapping, handed on as it is written",
    "T?": "T or null",
}


def hooks() -> str:
    """Return the page of hooks."""
    lines = [
        "# Hooks",
        NOTE,
        "Mark a function with `volseg_core.api.hookimpl` and give it one of these names. An argument that is not",
        "needed may be left out. A hook that raises is reported with its plugin: at discovery the plugin is `broken`,",
        "in a run it is a warning.",
        "",
    ]
    groups = {
        "Collecting, at discovery": [*hookspecs.COLLECTING.values(), "volseg_recipes"],
        "In a run": _RUN_HOOKS,
    }
    for title, names in groups.items():
        lines += [f"## {title}", "", "| hook | |", "|---|---|"]
        for name in names:
            hook = getattr(hookspecs, name)
            lines.append(f"| `{name}{_signature(hook)}` | {_text(hook.__doc__)} |")
        lines.append("")
    return "\n".join(lines)


def reference() -> str:
    """Return the page of everything that `volseg_core.api` offers."""
    lines = [
        "# volseg_core.api",
        NOTE,
        "Everything that a plugin imports. The standard library and pluggy are all that it needs. `Slices` is",
        "`tuple[slice, ...]` with one slice for each dimension, `Spacing` is `tuple[float, float, float]`: z, y, x.",
        "",
        "## Descriptors",
        "",
        "Frozen dataclasses, called with keywords only. Each kind adds its fields to those of `Component`.",
        "",
        *_described(api.Component),
    ]
    for descriptor in api.KINDS.values():
        lines += _described(descriptor)
    lines += ["## Parameters", "", *_described(api.Param), "| type | takes |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in TYPES.items()]
    lines += ["", "## What components get and give", ""]
    for name in api.__all__:
        item = getattr(api, name)
        if _is_class(item) and not issubclass(item, (api.Component, api.Param, Exception)):
            lines += _described(item)
    lines += ["## Errors", "", _text(api.VolsegError.__doc__), "", "| error | exit code | |", "|---|---|---|"]
    for name in api.__all__:
        item = getattr(api, name)
        if _is_class(item) and issubclass(item, Exception):
            lines.append(f"| `{name}` | {int(item.code)} | {_text(item.__doc__.splitlines()[0])} |")
    return "\n".join([*lines, ""])


PAGES = {"hooks": hooks, "api": reference}
"""What writes each page."""


def signatures() -> str:
    """Return every public name with its signature, a line each and what it holds below."""
    lines: list[str] = []
    for name in sorted(api.__all__):
        item = getattr(api, name)
        if not _is_class(item):
            lines.append(f"{name}: {_told(item)}")
            continue
        bases = [base.__name__ for base in item.__bases__ if base.__name__ in (*api.__all__, "Exception")]
        lines.append(f"{name}({', '.join(bases)})" if bases else name)
        if issubclass(item, Exception) and "__init__" in vars(item):
            lines.append(f"    {name}{_signature(item.__init__, skip='self')}")
        lines += [f"    {line}" for line in (*_fields(item), *_methods(item))]
    for name in [*hookspecs.COLLECTING.values(), "volseg_recipes", *_RUN_HOOKS]:
        lines.append(f"{name}{_signature(getattr(hookspecs, name))}")
    return "\n".join(lines) + "\n"


def _is_class(item: Any) -> bool:
    return isinstance(item, type) and not isinstance(item, types.GenericAlias)


def _told(item: Any) -> str:
    """Return what a public name stands for that is no class."""
    if isinstance(item, types.GenericAlias):
        return str(item)
    return ", ".join(item) if isinstance(item, dict) else type(item).__name__


def _described(item: type) -> list[str]:
    """Return a class as Markdown: its text, a table of its own fields, its methods."""
    lines = [f"### {item.__name__}", "", _text(item.__doc__), ""]
    rows = _fields(item)
    if rows:
        lines += ["```python", *rows, "```", ""]
    methods = _methods(item)
    if methods:
        lines += ["| method | |", "|---|---|"]
        lines += [f"| `{line}` | {_text(getattr(item, line.partition('(')[0]).__doc__)} |" for line in methods]
        lines.append("")
    return lines


def _fields(item: type) -> list[str]:
    """Return ``name: type = default`` of the fields that a dataclass adds, or the attributes of a protocol."""
    annotations = vars(item).get("__annotations__", {})
    defaults = {}
    if dataclasses.is_dataclass(item):
        for field in dataclasses.fields(item):
            if field.default is not dataclasses.MISSING:
                defaults[field.name] = repr(field.default).replace("'", '"')
            elif field.default_factory is not dataclasses.MISSING:
                defaults[field.name] = repr(field.default_factory()).replace("'", '"')
    hidden = ("kind", "code")
    return [
        f"{name}: {kind}" + (f" = {defaults[name]}" if name in defaults else "")
        for name, kind in annotations.items()
        if not name.startswith("_") and name not in hidden
    ]


def _methods(item: type) -> list[str]:
    if issubclass(item, Exception):
        return []
    return [
        f"{name}{_signature(value, skip='self')}"
        for name, value in vars(item).items()
        if inspect.isfunction(value) and not name.startswith("_")
    ]


def _signature(function: Any, skip: str = "") -> str:
    """Return a signature with its annotations as they are written."""
    signature = inspect.signature(function)
    kept = [parameter for parameter in signature.parameters.values() if parameter.name != skip]
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(signature.replace(parameters=kept)))


def _text(doc: str | None) -> str:
    """Return a docstring as Markdown: its text as one paragraph, and a list of the attributes that it describes."""
    text, _, attributes = inspect.cleandoc(doc or "").partition("\n\nAttributes:\n")
    items = re.sub(r"\n +(?=[a-z]+: )", "\n- ", f"\n{attributes}") if attributes else ""
    items = re.sub(r"\n +", " ", items)
    joined = " ".join(text.split()) + (f"\n{items}" if items else "")
    return re.sub(r"``(.*?)``", r"`\1`", joined).replace("|", "\\|")


if __name__ == "__main__":
    if "--signatures" in sys.argv[1:]:
        print(signatures(), end="")
    else:
        for page, write in PAGES.items():
            (PAGES_FOLDER / f"{page}.md").write_text(write(), encoding="utf-8")

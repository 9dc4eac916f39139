"""Recipes that a program writes: choices with their reasons, as YAML in which every key says why it is so."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from volseg_core.errors import VolsegError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from volseg_core.catalog import Catalog

_WIDTH = 110
_INDENT = "  "
_BREAKS = frozenset("\x85\u2028\u2029")


@dataclass(frozen=True)
class Choice:
    """A dotted key of a recipe (``data.val.fraction``), its value and the reason for it."""

    key: str
    value: Any
    why: str


def offers(catalog: Catalog, kind: str, name: str) -> bool:
    """Whether a recipe can use the component ``name`` here."""
    try:
        catalog.find(kind, name)
    except VolsegError:
        return False
    return True


def write_recipe(title: str, choices: Iterable[Choice]) -> str:
    """Return the YAML text of a recipe: ``title`` as its first comment, then each choice below its reason.

    Keys of one block stand together, in the order in which they were first named; of a key named twice the last
    choice counts.
    """
    tree: dict[str, Any] = {}
    for choice in choices:
        *blocks, last = choice.key.split(".")
        node = tree
        for block in blocks:
            node = node.setdefault(block, {})
        node[last] = choice
    lines = [f"# {line}" for line in textwrap.wrap(title, _WIDTH)]
    return "\n".join([*lines, *_lines(tree, "")]) + "\n"


def _lines(tree: dict[str, Any], indent: str) -> Iterator[str]:
    for key, item in tree.items():
        if isinstance(item, Choice):
            yield from textwrap.wrap(
                item.why, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_long_words=False
            )
            yield f"{indent}{key}: {_flow(item.value)}"
        else:
            yield f"{indent}{key}:"
            yield from _lines(item, indent + _INDENT)


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    import yaml

    layout: dict[str, Any] = {"default_flow_style": True, "sort_keys": False, "width": float("inf")}
    text = str(yaml.safe_dump(value, **layout, allow_unicode=True))
    if not _BREAKS.isdisjoint(text):  # line breaks of Unicode are lost unless they are escaped
        text = str(yaml.safe_dump(value, **layout))
    return text.removesuffix("...\n").rstrip()

"""Layers of a recipe as nested plain data, laid over one another with a record of where each leaf came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from volseg_core.errors import UsageError, did_you_mean

Path = tuple[str | int, ...]

SLOTS: dict[Path, str] = {
    ("target",): "target",
    ("data", "reader"): "reader",
    ("data", "augment"): "augmentation",
    ("data", "generate"): "generator",
    ("model",): "architecture",
    ("model", "encoder"): "encoder",
    ("predict", "merge"): "merge",
    ("predict", "runtime"): "runtime",
}
"""Places of a recipe that hold one component: a name, or a mapping with ``use``."""

LIST_SLOTS: dict[Path, str] = {("loss",): "loss", ("metrics",): "metric", ("postprocess",): "postprocess"}
"""Places that hold a list of components."""

HEADS = "heads"
"""Key under which a recipe of several heads has, by name, what else stands at its top."""
HEAD_SLOTS = ("target", "loss", "metrics")
"""Slots of which every head has its own."""


def in_head(path: Path) -> Path:
    """Return a place as it is called in its head: ``heads.cells.loss.0`` is ``loss.0``; others as they are."""
    own = path[2:]
    return own if own and path[0] == HEADS and own[0] in HEAD_SLOTS else path


def slot_of(path: Path) -> str:
    """Return the kind of the one component that ``path`` holds, or an empty string."""
    return SLOTS.get(in_head(path), "")


def list_of(path: Path) -> str:
    """Return the kind of the components in the list that ``path`` holds, or an empty string."""
    return LIST_SLOTS.get(in_head(path), "")


def slot_kind(path: Path) -> str:
    """Return the kind of component at ``path`` (also inside a list of components), or an empty string."""
    return slot_of(path) or (list_of(path[:-1]) if path and isinstance(path[-1], int) else "")


_SET = "--set "
_TOP = 1_000_000
"""Rank of what the command line sets: all of it lies on top, in one layer."""


@dataclass
class Layers:
    """A tree that grows layer by layer. ``same`` tells whether two names mean the same component of a kind.

    ``origins`` names the layer of each leaf, ``ranks`` counts it: 0 for defaults, more for what lies above.
    """

    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    ranks: dict[Path, int] = field(default_factory=dict)
    same: Callable[[str, str, str], bool] = lambda kind, one, other: one == other  # noqa: ARG005
    _rank: int = 0

    def add(self, layer: Mapping[str, Any], origin: str) -> None:
        """Lay ``layer`` over the tree: maps merge, lists replace, null deletes, a new ``use`` drops old parameters."""
        self._merge(self.tree, layer, (), origin)
        self._rank += 1

    def fill(self, defaults: Mapping[str, Any]) -> None:
        """Add the keys of ``defaults`` that the tree lacks."""
        self._rank = 0
        self._fill(self.tree, defaults, ())

    def _fill(self, node: dict[str, Any], defaults: Mapping[str, Any], path: Path) -> None:
        for key, value in defaults.items():
            if key not in node:
                self._merge(node, {key: value}, path, "default")
            elif isinstance(node[key], dict) and isinstance(value, Mapping):
                self._fill(node[key], value, (*path, key))

    def set(self, assignment: str) -> None:
        """Apply one ``key.path=value`` of the command line; the value is YAML.

        Raises:
            UsageError: no ``=``, a value that is not YAML, or a list item that does not exist.
        """
        key, value = parse_assignment(assignment)
        self._rank = _TOP
        parts = key.split(".")
        depth = next((size for size in range(1, len(parts)) if list_of(tuple(parts[:size]))), 0)
        if depth:
            self._set_in_list(tuple(parts[:depth]), parts[depth:], value, f"{_SET}{assignment}")
        else:
            self._merge(self.tree, _nested(parts, value), (), f"{_SET}{assignment}")

    def _set_in_list(self, holder: Path, parts: list[str], value: Any, origin: str) -> None:
        wanted, *rest = parts
        items = self.value(holder) or []
        index = self._item(holder, items, wanted, origin)
        if rest:
            self._merge_component(items[index], _nested(rest, value), (*holder, index), origin)
        elif value is None:
            self._remove_item(items, holder, index)
        else:
            items[index] = {}
            self.forget((*holder, index))
            self._merge_component(items[index], _component(value), (*holder, index), origin)

    def _remove_item(self, items: list[Any], holder: Path, index: int) -> None:
        del items[index]
        place = len(holder)
        for marks in (self.origins, self.ranks):
            below: dict[Path, Any] = {path: marks.pop(path) for path in list(marks) if path[:place] == holder}
            for path, mark in below.items():
                position = path[place] if len(path) > place else index
                if position != index:
                    moved = position - 1 if isinstance(position, int) and position > index else position
                    marks[(*holder, moved, *path[place + 1 :])] = mark

    def _item(self, holder: Path, items: list[Any], wanted: str, origin: str) -> int:
        """Return the index of the item that ``wanted`` means: a position, or a name that one item uses."""
        kind, name = list_of(holder), dotted(holder)
        if wanted.isdigit():
            matches = [int(wanted)] if int(wanted) < len(items) else []
        else:
            matches = [index for index, item in enumerate(items) if self.same(kind, _use(item), wanted)]
        if len(matches) == 1:
            return matches[0]
        listed = ", ".join(f"{position} ({_use(item)})" for position, item in enumerate(items)) or "none"
        what = f"{name!r} has {len(matches) or 'no'} item{'s' if matches else ''} {wanted!r}"
        hint = "Say which by its position." if matches else did_you_mean(wanted, [_use(item) for item in items])
        raise UsageError(origin, what, hint, [f"items: {listed}"])

    def _merge(self, node: dict[str, Any], layer: Mapping[Any, Any], path: Path, origin: str) -> None:
        for name, value in layer.items():
            key = str(name)
            here = (*path, key)
            if slot_of(here) and value is not None:
                self._merge_component(node.setdefault(key, {}), _component(value), here, origin)
            elif list_of(here) and value is not None:
                self._replace_list(node, key, value, here, origin)
            elif isinstance(value, Mapping):
                self._merge_mapping(node, key, value, here, origin)
            else:
                node.pop(key, None)
                self.forget(here)
                if value is not None or _is_parameter(here):
                    node[key] = plain(value)
                    self._record(here, node[key], origin)

    def _merge_mapping(self, node: dict[str, Any], key: str, value: Mapping[Any, Any], path: Path, origin: str) -> None:
        if not isinstance(node.get(key), dict):
            self.forget(path)
            node[key] = {}
        self._merge(node[key], value, path, origin)
        self.origins.pop(path, None)
        self.ranks.pop(path, None)
        if not node[key]:
            self._record(path, {}, origin)

    def _merge_component(self, node: dict[str, Any], layer: Mapping[str, Any], path: Path, origin: str) -> None:
        new, old = layer.get("use"), node.get("use")
        if new is not None and old is not None and not self.same(slot_kind(path), str(old), str(new)):
            for key in [key for key in node if not slot_of((*path, key))]:
                del node[key]
                self.forget((*path, key))
        self._merge(node, layer, path, origin)

    def _replace_list(self, node: dict[str, Any], key: str, value: Any, path: Path, origin: str) -> None:
        self.forget(path)
        items = value if isinstance(value, (list, tuple)) else [value]
        node[key] = []
        for index, item in enumerate(items):
            node[key].append({})
            self._merge_component(node[key][index], _component(item), (*path, index), origin)

    def _record(self, path: Path, value: Any, origin: str) -> None:
        if isinstance(value, dict) and value:
            for key, child in value.items():
                self._record((*path, key), child, origin)
        else:
            self.origins[path] = origin
            self.ranks[path] = self._rank

    def drop(self, key: str) -> None:
        """Take a key of the top away."""
        self.tree.pop(key, None)
        self.forget((key,))

    def forget(self, path: Path) -> None:
        """Forget where ``path`` and what is below it came from."""
        for known in [known for known in self.origins if known[: len(path)] == path]:
            del self.origins[known], self.ranks[known]

    def value(self, path: Path) -> Any:
        """Return what stands at ``path``, or None."""
        node: Any = self.tree
        for part in path:
            if isinstance(node, Mapping):
                node = node.get(str(part))
            else:
                node = node[part] if isinstance(node, list) and isinstance(part, int) else None
        return node

    def places(self) -> Iterator[tuple[Path, str]]:
        """Yield place and kind of every component that the tree may hold, the items of lists one by one."""
        named = self.tree.get(HEADS)
        heads: list[Path] = [(HEADS, name) for name in (named if isinstance(named, dict) else ())]
        for slot, kind in {**SLOTS, **LIST_SLOTS}.items():
            for path in (slot, *((*head, *slot) for head in heads if slot[0] in HEAD_SLOTS)):
                if slot in SLOTS:
                    yield path, kind
                else:
                    items = self.value(path)
                    yield from (((*path, index), kind) for index in range(len(items) if isinstance(items, list) else 0))

    def rank(self, path: Path) -> int:
        """Return the rank of the highest layer that gave something at or below ``path``, 0 when none did."""
        return max((rank for known, rank in self.ranks.items() if known[: len(path)] == path), default=0)

    def where(self, path: Path) -> str:
        """Return the place of ``path`` for messages: the assignment that gave it, else its dotted name."""
        origin = self.origin(path)
        return origin if origin.startswith(_SET) else dotted(path)

    def origin(self, path: Path) -> str:
        """Return where the leaf at ``path`` (or the nearest place above or below it) came from."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return next((origin for known, origin in self.origins.items() if known[: len(path)] == path), "")


def leaves(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of every leaf; lists of plain values are leaves."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, str(key)))
    elif isinstance(tree, (list, tuple)) and any(isinstance(item, Mapping) for item in tree):
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, index))
    else:
        yield path, tree


def dotted(path: Path) -> str:
    """Return ``loss.0.weight`` for a path."""
    return ".".join(map(str, path))


def parse_assignment(assignment: str) -> tuple[str, Any]:
    """Return key and value of ``key.path=value``, where the value is YAML.

    Raises:
        UsageError: no ``=``, or a value that is not YAML.
    """
    import yaml

    key, separator, text = assignment.partition("=")
    if not separator or not key.strip():
        what = "is not KEY=VALUE"
        raise UsageError(f"{_SET}{assignment}", what, "For example: -s train.lr=1e-4")
    try:
        return key.strip(), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        raise UsageError(f"{_SET}{assignment}", f"{text!r} is not a YAML value", "Quote it for the shell.") from None


def plain(value: Any) -> Any:
    """Copy a value as plain data, so that no two layers share a container; paths become strings."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _nested(parts: list[str], value: Any) -> Any:
    for part in reversed(parts):
        value = {part: value}
    return value


def _component(value: Any) -> Mapping[str, Any]:
    """Return a component's mapping; a bare name is short for its ``use``."""
    return value if isinstance(value, Mapping) else {"use": value}


def _is_parameter(path: Path) -> bool:
    """Whether ``path`` is a key of a component other than a nested slot: null may be a value there."""
    return bool(slot_kind(path[:-1])) and not slot_of(path) and path[-1] != "use"


def _use(item: Any) -> str:
    return str(item.get("use", ""))

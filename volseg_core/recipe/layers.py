"""Layers of a recipe as nested plain data, laid over one another with a record of where each leaf came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from volseg_core.errors import UsageError, did_you_mean

Path = tuple[str | int, ...]

SLOTS: dict[Path, str] = {
    ("data", "reader"): "reader",
    ("data", "augment"): "augmentation",
    ("data", "generate"): "generator",
    ("model",): "architecture",
    ("model", "encoder"): "encoder",
    ("predict", "merge"): "merge",
    ("predict", "runtime"): "runtime",
}
"""Places of a recipe that hold one component: a name, or a mapping with ``use``."""

LIST_SLOTS: dict[Path, str] = {("loss",): "loss", ("metrics",): "metric"}
"""Places that hold a list of components."""


def slot_kind(path: Path) -> str:
    """Return the kind of component at ``path`` (also inside a list of components), or an empty string."""
    if path in SLOTS:
        return SLOTS[path]
    return LIST_SLOTS.get(path[:-1], "") if path and isinstance(path[-1], int) else ""


@dataclass
class Layers:
    """A tree that grows layer by layer. ``same`` tells whether two names mean the same component of a kind."""

    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    same: Callable[[str, str, str], bool] = lambda kind, one, other: one == other  # noqa: ARG005

    def add(self, layer: Mapping[str, Any], origin: str) -> None:
        """Lay ``layer`` over the tree: maps merge, lists replace, null deletes, a new ``use`` drops old parameters."""
        self._merge(self.tree, layer, (), origin)

    def set(self, assignment: str) -> None:
        """Apply one ``key.path=value`` of the command line; the value is YAML.

        Raises:
            UsageError: no ``=``, a value that is not YAML, or a list item that does not exist.
        """
        import yaml

        key, separator, text = assignment.partition("=")
        origin = f"--set {assignment}"
        if not separator or not key.strip():
            raise UsageError(origin, "is not KEY=VALUE", "For example: -s train.lr=1e-4")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UsageError(origin, f"{text!r} is not a YAML value", "Quote it for the shell.") from None
        parts = key.strip().split(".")
        if (parts[0],) in LIST_SLOTS and len(parts) > 1:
            self._set_in_list(parts, value, origin)
            return
        layer: Any = value
        for part in reversed(parts):
            layer = {part: layer}
        self.add(layer, origin)

    def _set_in_list(self, parts: list[str], value: Any, origin: str) -> None:
        name, wanted, rest = parts[0], parts[1], parts[2:]
        items = self.tree.get(name) or []
        index = self._item(name, items, wanted)
        if index is None:
            listed = [f"{position} ({_use(item)})" for position, item in enumerate(items)]
            hint = did_you_mean(wanted, [_use(item) for item in items])
            raise UsageError(origin, f"{name!r} has no item {wanted!r}", hint, [f"items: {', '.join(listed) or 'none'}"])
        if not rest:
            items[index] = {}
            layer: Any = value if isinstance(value, Mapping) else {"use": value}
        else:
            layer = value
            for part in reversed(rest):
                layer = {part: layer}
        self._merge_component(items[index], layer, (name, index), origin)

    def _item(self, name: str, items: list[Any], wanted: str) -> int | None:
        if wanted.isdigit():
            return int(wanted) if int(wanted) < len(items) else None
        kind = LIST_SLOTS[(name,)]
        matches = [index for index, item in enumerate(items) if self.same(kind, _use(item), wanted)]
        return matches[0] if len(matches) == 1 else None

    def _merge(self, node: dict[str, Any], layer: Mapping[str, Any], path: Path, origin: str) -> None:
        for key, value in layer.items():
            here = (*path, str(key))
            if value is None:
                node.pop(str(key), None)
                self._forget(here)
            elif here in SLOTS:
                layered = value if isinstance(value, Mapping) else {"use": value}
                self._merge_component(node.setdefault(str(key), {}), layered, here, origin)
            elif here in LIST_SLOTS:
                self._replace_list(node, str(key), value, here, origin)
            elif isinstance(value, Mapping) and value:
                if not isinstance(node.get(str(key)), dict):
                    self._forget(here)
                    node[str(key)] = {}
                self._merge(node[str(key)], value, here, origin)
            else:
                self._forget(here)
                node[str(key)] = _plain(value)
                self._record(here, node[str(key)], origin)

    def _merge_component(self, node: dict[str, Any], layer: Mapping[str, Any], path: Path, origin: str) -> None:
        new, old = layer.get("use"), node.get("use")
        if new is not None and old is not None and not self.same(slot_kind(path), str(old), str(new)):
            for key in [key for key in node if (*path, key) not in SLOTS]:
                del node[key]
                self._forget((*path, key))
        self._merge(node, layer, path, origin)

    def _replace_list(self, node: dict[str, Any], key: str, value: Any, path: Path, origin: str) -> None:
        self._forget(path)
        items = value if isinstance(value, (list, tuple)) else [value]
        node[key] = []
        for index, item in enumerate(items):
            node[key].append({})
            layered = item if isinstance(item, Mapping) else {"use": item}
            self._merge_component(node[key][index], layered, (*path, index), origin)

    def _record(self, path: Path, value: Any, origin: str) -> None:
        if isinstance(value, dict) and value:
            for key, child in value.items():
                self._record((*path, key), child, origin)
        else:
            self.origins[path] = origin

    def _forget(self, path: Path) -> None:
        for known in [known for known in self.origins if known[: len(path)] == path]:
            del self.origins[known]

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


def _use(item: Any) -> str:
    return str(item.get("use", "")) if isinstance(item, Mapping) else str(item)


def _plain(value: Any) -> Any:
    """Copy a value, so that no two layers share a container."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value

"""Components of a recipe: from a name and some parameters to a descriptor with every parameter filled in."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from volseg_core.api import KINDS
from volseg_core.catalog import Provided
from volseg_core.errors import UsageError, VolsegError, did_you_mean
from volseg_core.params import Param
from volseg_core.plugins import PluginRecord
from volseg_core.recipe.assembled import ComponentUse
from volseg_core.recipe.layers import HEADS, Layers, Path, dotted, slot_of
from volseg_core.recipe.made_with import is_unused

if TYPE_CHECKING:
    from volseg_core.catalog import Catalog
    from volseg_core.recipe.blocks import Header
    from volseg_core.registry import Registry

log = logging.getLogger("volseg")

_WEIGHT = Param("float", 1.0, min=0)
_START = Param("int", 0, min=0)
_HEAD = Param("str", "")


def same_component(catalog: Catalog, kind: str, one: str, other: str) -> bool:
    """Whether two names mean the same component."""
    if one == other:
        return True
    try:
        return catalog.find(kind, one) is catalog.find(kind, other)
    except VolsegError:
        return False


class Components:
    """Resolves the components of one recipe. What is wrong is added to ``errors``; ``origins`` are completed.

    ``header`` holds the dimensions, ``tasks`` are those of the heads that components must serve; without them they are
    not checked. Components at ``unused`` places are not looked up: they stay as they are written, and cannot be built.
    """

    def __init__(
        self,
        registry: Registry,
        layers: Layers,
        errors: list[VolsegError],
        header: Header | None = None,
        tasks: Collection[str] = (),
        unused: Collection[Path] = (),
    ) -> None:
        self.catalog = registry.catalog
        self.layers = layers
        self.errors = errors
        self.header = header
        self.tasks = tasks
        self.unused = unused
        self.origins: dict[Path, str] = dict(layers.origins)
        self.defaults = self._read_defaults(registry)

    def use(self, path: Path, kind: str, task: str = "") -> ComponentUse | None:
        """Return the component at ``path``, or None when the recipe has none there or it is wrong.

        It must serve ``task``, or the tasks of all heads.
        """
        node = self._node(path)
        if node is None:
            return None
        given = {key: value for key, value in node.items() if not slot_of((*path, key))}
        name = given.pop("use", None)
        if not isinstance(name, str):
            what = f"names no {kind}" if name is None else f"{name!r} is not the name of a component"
            self._wrong(self.where(path), what, f"Set {dotted(path)}.use." if name is None else "")
            return None
        own = self._of_a_sum(given, path) if kind == "loss" else self._of_a_head(given, path, kind)
        if is_unused(path, self.unused):
            return self._as_written(kind, name, given, path, own)
        try:
            provided = self.catalog.find(kind, name, self.where(path))
        except UsageError as error:
            self.errors.append(error)
            return None
        self._check_fits(provided, path, (task,) if task else self.tasks)
        return ComponentUse(provided, self.params(provided, given, path), where=dotted(path), **own)

    def uses(self, path: Path, kind: str, task: str = "") -> tuple[ComponentUse, ...]:
        """Return the components of the list at ``path`` that are not wrong."""
        items = self.layers.value(path)
        found = (self.use((*path, index), kind, task) for index in range(len(items) if isinstance(items, list) else 0))
        return tuple(use for use in found if use is not None)

    def _as_written(
        self, kind: str, name: str, given: Mapping[str, Any], path: Path, own: Mapping[str, Any]
    ) -> ComponentUse | None:
        """Return a component that nothing will build, whether its plugin is here or not."""
        plugin, _, short = name.rpartition("/")
        try:
            component = KINDS[kind](name=short, target="volseg_core.recipe:unused", summary="Not used here.")
        except ValueError:
            self._wrong(self.where(path), f"{name!r} is not the name of a component")
            return None
        version = str(self.layers.value(("made_with", plugin)) or "")
        return ComponentUse(
            Provided(PluginRecord(plugin, version), component), given, where=dotted(path), used=False, **own
        )

    def _node(self, path: Path) -> dict[str, Any] | None:
        node = self.layers.value(path)
        return node if isinstance(node, dict) else None

    def where(self, path: Path) -> str:
        """Return the place of a component: the assignment that named it, else its path."""
        named = self.layers.where((*path, "use"))
        return named if named.startswith("--set ") else dotted(path)

    def _wrong(self, where: str, what: str, hint: str = "", notes: tuple[str, ...] = ()) -> None:
        self.errors.append(UsageError(where, what, hint, notes))

    def _of_a_sum(self, given: dict[str, Any], path: Path) -> dict[str, Any]:
        """Take out of ``given`` what places a loss in its sum, checked."""
        found: dict[str, Any] = {}
        for name, param in (("weight", _WEIGHT), ("start_epoch", _START)):
            here = (*path, name)
            value = given.pop(name, None)
            if value is None:
                self.origins[here] = "default"
            else:
                self._coerce(found, name, param, value, self.layers.where(here))
        return found

    def _of_a_head(self, given: dict[str, Any], path: Path, kind: str) -> dict[str, Any]:
        """Take out of ``given`` which head a step after the merge belongs to."""
        found: dict[str, Any] = {}
        value = given.pop("head", None) if kind == "postprocess" else None
        if value is not None:
            self._coerce(found, "head", _HEAD, value, self.layers.where((*path, "head")))
        return found

    def _check_fits(self, provided: Provided, path: Path, tasks: Collection[str]) -> None:
        component, name = provided.component, f"{provided.kind} {provided.component.name!r}"
        if component.deprecated:
            log.warning("%s: %s is deprecated: %s", dotted(path), provided.describe(), component.deprecated)
        if self.header is not None and self.header.dims not in component.dims:
            works = " and ".join(f"{dim}D" for dim in component.dims)
            self._wrong(self.where(path), f"{name} works in {works}; this recipe has dims: {self.header.dims}")
        missed = [task for task in tasks if component.tasks and task not in component.tasks]
        if missed:
            serves, whose = ", ".join(component.tasks), dotted(path[:2]) if path[0] == HEADS else "this recipe"
            self._wrong(self.where(path), f"{name} serves {serves}; {whose} has task: {missed[0]}")

    def params(self, provided: Provided, given: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """Return all parameters of a component: given ones over the registry's ``defaults`` over its own."""
        component = provided.component
        for key in given:
            if key not in component.params:
                self.errors.append(_unknown_param(provided, str(key), self._param_where(path, str(key))))
        defaults = self._defaults_of(provided)
        params: dict[str, Any] = {}
        for name, param in component.params.items():
            here = (*path, name)
            if name in given and (given[name] is not None or param.optional):
                self._coerce(params, name, param, given[name], self.layers.where(here))
            elif name in defaults:
                params[name], self.origins[here] = defaults[name], "defaults"
            elif param.required:
                self._wrong(self.where(path), f"{provided.kind} {component.name!r} needs {name!r}", param.help)
            else:
                params[name], self.origins[here] = _copied(param.default), "default"
        return params

    def _param_where(self, path: Path, name: str) -> str:
        """Return the place of an unknown parameter: the assignment that gave it, else its component's path."""
        given = self.layers.where((*path, name))
        return given if given.startswith("--set ") else dotted(path)

    def _coerce(self, params: dict[str, Any], name: str, param: Param, value: Any, where: str) -> None:
        try:
            params[name] = param.coerce(value)
        except ValueError as error:
            self._wrong(where, str(error))

    def _read_defaults(self, registry: Registry) -> list[tuple[Provided, dict[str, Any]]]:
        """Return the registry's ``defaults`` by component, checked and coerced.

        A name that nothing provides is an error, unless a plugin that did not load may provide it.
        """
        found = []
        for key, values in registry.file.defaults.items():
            kind, _, name = key.partition("/")
            try:
                provided = self.catalog.find(kind, name, f"defaults.{key}")
            except UsageError as error:
                if all(record.status == "ok" for record in registry.plugins.records):
                    self.errors.append(error)
                continue
            checked: dict[str, Any] = {}
            for item, value in values.items():
                param = provided.component.params.get(item)
                if param is None:
                    self.errors.append(_unknown_param(provided, str(item), f"defaults.{key}"))
                elif value is not None or param.optional:
                    self._coerce(checked, item, param, value, f"defaults.{key}.{item}")
            found.append((provided, checked))
        return found

    def _defaults_of(self, provided: Provided) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for component, values in self.defaults:
            if component is provided:
                merged |= values
        return merged


def _unknown_param(provided: Provided, name: str, where: str) -> UsageError:
    params = provided.component.params
    listed = ", ".join(
        f"{key} ({param.type}, {'required' if param.required else f'default {param.default!r}'})"
        for key, param in params.items()
    )
    what = f"{provided.kind} {provided.component.name!r} has no parameter {name!r}"
    return UsageError(where, what, did_you_mean(name, params), [f"parameters: {listed or 'none'}"])


def _copied(default: Any) -> Any:
    """Return a default as a recipe holds it: lists, never tuples, and none shared with the descriptor."""
    if isinstance(default, (list, tuple)):
        return [_copied(item) for item in default]
    return dict(default) if isinstance(default, Mapping) else default

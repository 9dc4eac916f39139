"""Registering a plugin's module and collecting what its hooks return. Whatever is wrong becomes the record's reason."""

from __future__ import annotations

import types
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core import hookspecs
from volseg_core.api import KINDS, Component
from volseg_core.errors import did_you_mean
from volseg_core.params import Param
from volseg_core.plugins import describe

if TYPE_CHECKING:
    import pluggy

    from volseg_core.plugins import PluginRecord

RESERVED = ("use", "weight", "start_epoch")
"""Keys of a component in a recipe that are not parameters."""
_TUPLES: dict[str, type] = {"aliases": str, "wants": str, "dims": int, "tasks": str, "needs": str}


class BrokenPluginError(Exception):
    """A plugin does not keep to the contract; the text is the reason."""


def register(manager: pluggy.PluginManager, record: PluginRecord, name: str, module: types.ModuleType) -> None:
    """Register a module's hooks and add what they return to the record, or fail the record."""
    components: list[Component] = []
    recipes: list[Path] = []
    try:
        manager.register(module, name)
        _check_hooks(manager, module)
        for kind, hook in hookspecs.COLLECTING.items():
            components += [_checked(item, kind, hook) for item in _call(manager, module, hook)]
        recipes = [_checked_recipe(item) for item in _call(manager, module, "volseg_recipes")]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  (third-party code may even raise SystemExit)
        if manager.get_name(module) is not None:
            manager.unregister(module)
        record.fail("broken", str(error) if isinstance(error, BrokenPluginError) else describe(error))
        return
    record.components += components
    record.recipes += recipes


def reject_duplicates(manager: pluggy.PluginManager, record: PluginRecord) -> None:
    """Fail a record that provides one name twice; nothing of it is used then."""
    names = Counter((item.kind, name) for item in record.components for name in (item.name, *item.aliases))
    names.update(("recipe", path.stem) for path in record.recipes)
    twice = next((item for item, count in names.items() if count > 1), None)
    if twice is None:
        return
    record.fail("broken", f"{twice[0]} {twice[1]!r} is provided twice")
    record.components, record.recipes = [], []
    for name, module in manager.list_name_plugin():
        if name.partition(":")[0] == record.id and module is not None:
            manager.unregister(module)


def _check_hooks(manager: pluggy.PluginManager, module: types.ModuleType) -> None:
    known = [name for name in vars(hookspecs) if name.startswith("volseg_")]
    for caller in manager.get_hookcallers(module) or ():
        if not caller.has_spec():
            message = f"unknown hook {caller.name!r}. {did_you_mean(caller.name, known)}".rstrip()
            raise BrokenPluginError(message)
        if any(item.hookwrapper or item.wrapper for item in caller.get_hookimpls() if item.plugin is module):
            message = f"hook {caller.name!r} is a wrapper; volseg's hooks are plain functions"
            raise BrokenPluginError(message)
    for name, value in vars(module).items():
        defined_here = isinstance(value, types.FunctionType) and value.__module__ == module.__name__
        if name in known and defined_here and not hasattr(value, "volseg_impl"):
            message = f"hook {name!r} is not marked with @hookimpl"
            raise BrokenPluginError(message)


def _call(manager: pluggy.PluginManager, module: types.ModuleType, hook: str) -> list[Any]:
    """Return the items that a module's implementation of a collecting hook gives."""
    results: list[Any] = []
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if implementation.plugin is not module:
            continue
        try:
            given = implementation.function()
            items = None if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__") else list(given)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            message = f"{hook} raised {describe(error)}"
            raise BrokenPluginError(message) from error
        if items is None:
            message = f"{hook} returned {_short(given)}, which is not a list"
            raise BrokenPluginError(message)
        results += items
    return results


def _checked(item: Any, kind: str, hook: str) -> Component:
    expected = KINDS[kind]
    if not isinstance(item, expected):
        message = f"{hook} returned {_short(item)}, which is not {expected.__name__}"
        raise BrokenPluginError(message)
    problem = _problem(item)
    if problem:
        message = f"{kind} {item.name!r}: {problem}"
        raise BrokenPluginError(message)
    return item


def _problem(component: Component) -> str:
    """Return what in a descriptor has a type that tables and recipes cannot work with, or an empty string."""
    if not isinstance(component.summary, str) or "\n" in component.summary.strip():
        return "its summary is not one line of text"
    for name, member in _TUPLES.items():
        value = getattr(component, name)
        if not isinstance(value, tuple) or not all(isinstance(item, member) for item in value):
            return f"its {name} are not a tuple of {member.__name__}: {_short(value)}"
    for name, param in dict(component.params).items():
        if not isinstance(param, Param):
            return f"its parameter {name!r} is not a Param: {_short(param)}"
        if name in RESERVED or (name == "encoder" and component.kind == "architecture"):
            return f"its parameter {name!r} has a name that recipes reserve"
    return ""


def _checked_recipe(item: Any) -> Path:
    path = Path(item)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        message = f"volseg_recipes returned {str(item)!r}, which is not a .yaml file that exists"
        raise BrokenPluginError(message)
    return path


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004  (the width of a table's note)

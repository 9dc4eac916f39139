"""Deliberately wrong components: modules of ``wrong/``, one a kind, each loaded from its file."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from volseg_core.catalog import Catalog, Provided
from volseg_core.plugins import PluginRecord, Plugins
from volseg_core.registry import load_registry
from volseg_core.testing import Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from volseg_core.api import Component

FOLDER = Path(__file__).parent / "wrong"


@cache
def wrong_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"volseg_wrong_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def builtin() -> Catalog:
    return load_registry(builtin_only=True).catalog


def make_subject(component: Component, *partners: Component, plugin: str = "wrong") -> Subject:
    """A component whose target is in a module of ``wrong/`` (or can be imported), beside the built-ins."""
    record = PluginRecord(plugin, components=[component, *partners])
    module = component.target.partition(":")[0]
    if (FOLDER / f"{module}.py").is_file():
        record.modules[module] = wrong_module(module)
    plugins = builtin().plugins
    catalog = Catalog(Plugins([*plugins.records, record], plugins.manager))
    return Subject(Provided(record, component), catalog)


@pytest.fixture(scope="session")
def subject() -> Callable[..., Subject]:
    return make_subject


@pytest.fixture(scope="session")
def wrong() -> Callable[[str], Any]:
    return wrong_module

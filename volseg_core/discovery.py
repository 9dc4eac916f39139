"""From entry points and local files to plugin records: ok, blocked, broken or incompatible.

A plugin that cannot be loaded is a record with a reason, never an exception. Nothing here imports a target.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import time
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pluggy

from volseg_core import hookspecs
from volseg_core.api import KINDS, Component
from volseg_core.errors import DataError, PluginError, did_you_mean

GROUP = "volseg"
BUILTIN = "volseg"
HEAVY_MODULES = ("torch", "numpy", "scipy", "lightning", "monai", "onnxruntime", "pandas", "cv2", "skimage")
"""Libraries that a plugin must not pull in at discovery."""


@dataclass(frozen=True)
class PluginPolicy:
    """Which plugins are admitted: the ``plugins`` block of registry.yaml and the command line's switches."""

    mode: str = "installed"
    require: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    local: tuple[Path, ...] = ()

    def admits(self, plugin: str) -> str:
        """Return why ``plugin`` is not loaded, or an empty string."""
        if plugin in self.block:
            return "blocked by plugins.block, --block or VOLSEG_BLOCK"
        if plugin == BUILTIN:
            return ""
        if self.mode == "builtin":
            return "only built-ins are loaded (plugins.mode or --no-plugins)"
        if self.mode == "listed" and plugin not in self._required_names():
            return "plugins.mode is 'listed' and plugins.require does not name it"
        return ""

    def _required_names(self) -> set[str]:
        from packaging.requirements import Requirement

        return {_normalise(Requirement(line).name) for line in self.require}


@dataclass
class PluginRecord:
    """One distribution (or local file) and what became of it."""

    id: str
    version: str = ""
    status: str = "ok"
    reason: str = ""
    entry_points: dict[str, str] = field(default_factory=dict)
    requires: str = ""
    location: str = ""
    sha256: str = ""
    direct_url: str = ""
    import_ms: float = 0.0
    heavy: tuple[str, ...] = ()
    components: list[Component] = field(default_factory=list)
    recipes: list[Path] = field(default_factory=list)
    modules: dict[str, types.ModuleType] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Id and version, for messages."""
        return f"{self.id} {self.version}".rstrip()

    def fail(self, status: str, reason: str) -> None:
        """Record a failure; the first one decides, later ones are added."""
        if self.status == "ok":
            self.status, self.reason = status, reason
        else:
            self.reason = f"{self.reason}; {reason}"


@dataclass
class Plugins:
    """Everything that discovery found, and the pluggy manager for hooks of a run."""

    records: list[PluginRecord]
    manager: pluggy.PluginManager

    def record(self, plugin: str) -> PluginRecord | None:
        """Return the record of a plugin id."""
        return next((record for record in self.records if record.id == plugin), None)

    def failed(self) -> list[PluginRecord]:
        """Return the records that did not load as their authors meant."""
        return [record for record in self.records if record.status in ("broken", "incompatible")]


def discover(policy: PluginPolicy | None = None) -> Plugins:
    """Return all plugins, built-ins first, then by id.

    Raises:
        PluginError: if ``policy.require`` is not met; a plugin that fails to load raises nothing.
    """
    policy = policy or PluginPolicy()
    manager = pluggy.PluginManager("volseg")
    manager.add_hookspecs(hookspecs)
    distributions = _distributions()
    _check_required(policy.require)
    records = [_load_distribution(manager, policy, *item) for item in distributions]
    records += [_load_file(manager, policy, path) for path in policy.local]
    return Plugins(records, manager)


def plugins_from_modules(modules: Sequence[types.ModuleType], plugin: str = "test") -> Plugins:
    """Return plugins made of modules, with no discovery: nothing depends on what is installed."""
    manager = pluggy.PluginManager("volseg")
    manager.add_hookspecs(hookspecs)
    record = PluginRecord(plugin, version="0")
    for module in modules:
        record.modules[module.__name__] = module
        _register(manager, record, f"{plugin}:{module.__name__}", module)
    _reject_duplicates(record)
    return Plugins([record], manager)


def _normalise(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


def _distributions() -> list[tuple[str, list[metadata.EntryPoint]]]:
    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in metadata.entry_points(group=GROUP):
        if point.dist is not None:
            found.setdefault(_normalise(point.dist.name), []).append(point)
    return sorted(
        ((plugin, sorted(points, key=lambda point: point.name)) for plugin, points in found.items()),
        key=lambda item: (item[0] != BUILTIN, item[0]),
    )


def _check_required(require: Iterable[str]) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in require:
        try:
            wanted = Requirement(line)
        except InvalidRequirement as error:
            raise PluginError("plugins.require", f"{line!r} is not a requirement (PEP 508): {error}") from None
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            raise PluginError("plugins.require", f"{line} is not installed", f'pip install "{line}"') from None
        if not wanted.specifier.contains(version, prereleases=True):
            raise PluginError("plugins.require", f"{line} is not met: {version} is installed", f'pip install "{line}"')


def _load_distribution(
    manager: pluggy.PluginManager, policy: PluginPolicy, plugin: str, points: list[metadata.EntryPoint]
) -> PluginRecord:
    dist = points[0].dist
    assert dist is not None  # noqa: S101  (points without a distribution were left out)
    record = PluginRecord(
        plugin,
        version=dist.version,
        entry_points={point.name: point.value for point in points},
        location=str(dist.locate_file("")),
        direct_url=dist.read_text("direct_url.json") or "",
    )
    refusal = policy.admits(plugin)
    if refusal:
        record.fail("blocked", refusal)
        return record
    if not _compatible(record, dist):
        return record
    for point in points:
        _load_part(manager, record, f"{plugin}:{point.name}", point.value)
    _reject_duplicates(record)
    return record


def _compatible(record: PluginRecord, dist: metadata.Distribution) -> bool:
    """Check the plugin's own requirement on volseg before anything of it is imported."""
    from packaging.requirements import Requirement

    if record.id == BUILTIN:
        return True
    own = metadata.version(BUILTIN)
    for line in dist.requires or ():
        wanted = Requirement(line)
        if _normalise(wanted.name) != BUILTIN or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        record.requires = f"volseg{wanted.specifier}"
        if not wanted.specifier.contains(own, prereleases=True):
            record.fail("incompatible", f"needs volseg{wanted.specifier} but this is {own}")
            return False
    return True


def _load_part(manager: pluggy.PluginManager, record: PluginRecord, name: str, target: str) -> None:
    before = set(sys.modules)
    start = time.perf_counter()
    try:
        module = import_module(target.partition(":")[0])
    except (Exception, SystemExit) as error:
        record.fail("broken", f"{target} does not import ({_describe(error)})")
        return
    finally:
        record.import_ms += (time.perf_counter() - start) * 1000
        pulled = {module.partition(".")[0] for module in set(sys.modules) - before}
        record.heavy = tuple(dict.fromkeys([*record.heavy, *(heavy for heavy in HEAVY_MODULES if heavy in pulled)]))
    _register(manager, record, name, module)


def _load_file(manager: pluggy.PluginManager, policy: PluginPolicy, path: Path) -> PluginRecord:
    record = PluginRecord(f"local/{path.stem}", location=str(path), entry_points={path.stem: str(path)})
    refusal = f"blocked: {record.id}" if record.id in policy.block else ""
    if refusal or policy.mode == "builtin":
        record.fail("blocked", refusal or "only built-ins are loaded (plugins.mode or --no-plugins)")
        return record
    if not path.is_file():
        raise DataError("plugins.local", f"{str(path)!r} does not exist", "Paths are relative to registry.yaml.")
    record.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    name = f"volseg_local.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # noqa: S101  (a .py file always has a spec)
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        record.fail("broken", f"{path.name} does not import ({_describe(error)})")
        return record
    record.modules[path.stem] = module
    _register(manager, record, record.id, module)
    _reject_duplicates(record)
    return record


def _register(manager: pluggy.PluginManager, record: PluginRecord, name: str, module: types.ModuleType) -> None:
    """Register a module's hooks and collect what they return."""
    try:
        manager.register(module, name)
    except Exception as error:  # noqa: BLE001  (pluggy validates signatures; whatever it says is the plugin's fault)
        record.fail("broken", _describe(error))
        return
    problem = _misspelt_hook(manager, module)
    if problem:
        manager.unregister(module)
        record.fail("broken", problem)
        return
    try:
        components, recipes = _collect(manager, module)
    except Exception as error:  # noqa: BLE001  (third-party code)
        manager.unregister(module)
        record.fail("broken", _describe(error))
        return
    record.components += components
    record.recipes += recipes


def _misspelt_hook(manager: pluggy.PluginManager, module: types.ModuleType) -> str:
    known = [name for name in vars(hookspecs) if name.startswith("volseg_")]
    for caller in manager.get_hookcallers(module) or ():
        if not caller.has_spec():
            return f"unknown hook {caller.name!r}. {did_you_mean(caller.name, known)}".rstrip()
    for name, value in vars(module).items():
        defined_here = isinstance(value, types.FunctionType) and value.__module__ == module.__name__
        if name in known and defined_here and not hasattr(value, "volseg_impl"):
            return f"hook {name!r} is not marked with @hookimpl"
    return ""


def _collect(manager: pluggy.PluginManager, module: types.ModuleType) -> tuple[list[Component], list[Path]]:
    components: list[Component] = []
    for kind, hook in hookspecs.COLLECTING.items():
        for component in _call(manager, module, hook):
            if not isinstance(component, KINDS[kind]):
                message = f"{hook} returned {component!r}, which is not {KINDS[kind].__name__}"
                raise TypeError(message)
            components.append(component)
    return components, [Path(path) for path in _call(manager, module, "volseg_recipes")]


def _call(manager: pluggy.PluginManager, module: types.ModuleType, hook: str) -> list[Any]:
    results: list[Any] = []
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if implementation.plugin is module:
            try:
                results += list(implementation.function())
            except Exception as error:
                message = f"{hook} raised {_describe(error)}"
                raise RuntimeError(message) from error
    return results


def _reject_duplicates(record: PluginRecord) -> None:
    seen: set[tuple[str, str]] = set()
    for component in record.components:
        key = (component.kind, component.name)
        if key in seen:
            record.fail("broken", f"{component.kind} {component.name!r} is provided twice")
            record.components = []
            return
        seen.add(key)


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, RuntimeError) and " raised " in text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

"""From entry points and local files to plugin records: ok, blocked, broken or incompatible.

A plugin that cannot be loaded is a record with a reason, never an exception. Nothing here imports a target.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
import time
import types
from importlib import import_module, metadata
from typing import TYPE_CHECKING

import pluggy

from volseg_core import hookspecs
from volseg_core.collecting import register, reject_duplicates
from volseg_core.plugins import PluginRecord, Plugins, describe
from volseg_core.policy import BUILTIN, PluginPolicy, normalise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["BUILTIN", "PluginPolicy", "PluginRecord", "Plugins", "discover", "normalise", "plugins_from_modules"]

GROUP = "volseg"
HEAVY_MODULES = (
    "torch", "numpy", "scipy", "lightning", "monai", "onnxruntime", "pandas", "cv2", "skimage", "tensorflow", "jax",
    "matplotlib",
)  # fmt: skip
"""Libraries that a plugin must not pull in at discovery."""
_LOCAL_PACKAGE = "volseg_local"
"""What holds the modules of local files."""


def discover(policy: PluginPolicy | None = None) -> Plugins:
    """Return all plugins, built-ins first, then by id, then local files in their order.

    A plugin that fails to load raises nothing; what ``policy.require`` demands is for the caller to check.
    """
    policy = policy or PluginPolicy()
    manager = _manager()
    distributions = _distributions()
    records = [_load_distribution(manager, policy, plugin, points) for plugin, points in distributions]
    for path in policy.local:
        records.append(_load_file(manager, policy, path, records))
    return Plugins(records, manager)


def plugins_from_modules(modules: Sequence[types.ModuleType], plugin: str = "test") -> Plugins:
    """Return plugins made of modules, with no discovery: nothing depends on what is installed."""
    manager = _manager()
    record = PluginRecord(plugin, version="0")
    for module in modules:
        record.modules[module.__name__] = module
        register(manager, record, f"{plugin}:{module.__name__}", module)
    reject_duplicates(manager, record)
    return Plugins([record], manager)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("volseg")
    manager.add_hookspecs(hookspecs)
    return manager


def _distributions() -> list[tuple[str, list[metadata.EntryPoint]]]:
    """Return plugin ids with their entry points, sorted: the order of installation and of the path has no say."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in metadata.entry_points(group=GROUP):
        name = point.dist.metadata["Name"] if point.dist is not None else None
        if name:
            found.setdefault(normalise(name), []).append(point)
    return sorted(
        ((plugin, sorted(points, key=lambda point: point.name)) for plugin, points in found.items()),
        key=lambda item: (item[0] != BUILTIN, item[0]),
    )


def _load_distribution(
    manager: pluggy.PluginManager, policy: PluginPolicy, plugin: str, points: list[metadata.EntryPoint]
) -> PluginRecord:
    dist = points[0].dist
    assert dist is not None  # noqa: S101  (points without a distribution were left out)
    record = PluginRecord(
        plugin,
        version=str(dist.metadata["Version"] or ""),
        entry_points={point.name: point.value for point in points},
        location=str(dist.locate_file("")),
        direct_url=dist.read_text("direct_url.json") or "",
    )
    refusal = policy.refusal(plugin)
    if refusal:
        record.fail("blocked", refusal)
        return record
    if not _compatible(record, dist):
        return record
    for point in points:
        part = PluginRecord(plugin)
        _load_part(manager, part, f"{plugin}:{point.name}", point.value)
        _add_part(record, part, prefix=f"{point.name}: " if len(points) > 1 else "")
    reject_duplicates(manager, record)
    return record


def _add_part(record: PluginRecord, part: PluginRecord, prefix: str) -> None:
    """Add one entry point's outcome to its plugin; a part that fails leaves the others in use."""
    if part.status != "ok":
        record.fail(part.status, f"{prefix}{part.reason}")
    record.components += part.components
    record.recipes += part.recipes
    record.import_ms += part.import_ms
    record.heavy = tuple(dict.fromkeys((*record.heavy, *part.heavy)))


def _compatible(record: PluginRecord, dist: metadata.Distribution) -> bool:
    """Check the plugin's own requirement on volseg before anything of it is imported."""
    if record.id == BUILTIN:
        return True
    from packaging.requirements import InvalidRequirement, Requirement

    own = metadata.version(BUILTIN)
    for line in dist.requires or ():
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            record.fail("broken", f"its metadata requires {line!r}, which is not a requirement (PEP 508)")
            return False
        if normalise(wanted.name) != BUILTIN or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        record.requires = f"volseg{wanted.specifier}"
        if not wanted.specifier.contains(own, prereleases=True):
            record.fail("incompatible", f"needs volseg{wanted.specifier} but this is {own}")
            return False
    return True


def _load_part(manager: pluggy.PluginManager, part: PluginRecord, name: str, target: str) -> None:
    if ":" in target:
        part.fail("broken", f"entry point {target!r} names an attribute; it must be a module")
        return
    with _measured(part):
        try:
            module = import_module(target)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (third-party code may even raise SystemExit)
            part.fail("broken", describe(error))
        else:
            register(manager, part, name, module)


def _load_file(
    manager: pluggy.PluginManager, policy: PluginPolicy, path: Path, others: Sequence[PluginRecord]
) -> PluginRecord:
    record = PluginRecord(f"local/{path.stem}", location=str(path), entry_points={path.stem: str(path)})
    refusal = policy.refusal(record.id)
    if refusal:
        record.fail("blocked", refusal)
        return record
    if any(other.id == record.id for other in others):
        record.fail("broken", f"{path} has the file name of another plugin in plugins.local")
        return record
    if path.suffix != ".py" or not path.is_file():
        record.fail("broken", f"{path} is not a python file that exists (paths are relative to registry.yaml)")
        return record
    record.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with _measured(record):
        module = _import_file(record, path)
        if module is not None:
            record.modules[path.stem] = module
            register(manager, record, record.id, module)
    reject_duplicates(manager, record)
    return record


def _import_file(record: PluginRecord, path: Path) -> types.ModuleType | None:
    name = f"{_LOCAL_PACKAGE}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # noqa: S101  (a .py file always has a spec and a loader)
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    # the parent is there too, or objects of the file could not be pickled
    sys.modules.setdefault(_LOCAL_PACKAGE, types.ModuleType(_LOCAL_PACKAGE))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  (third-party code may even raise SystemExit)
        del sys.modules[name]
        record.fail("broken", describe(error))
        return None
    return module


@contextlib.contextmanager
def _measured(record: PluginRecord) -> Iterator[None]:
    """Record the time and the heavy libraries that loading takes; what a plugin prints goes to standard error."""
    before = set(sys.modules)
    start = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        yield
    record.import_ms += (time.perf_counter() - start) * 1000
    pulled = {module.partition(".")[0] for module in set(sys.modules) - before}
    record.heavy = tuple(name for name in HEAVY_MODULES if name in pulled)

"""Checking a whole plugin, in a process of its own."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.policy import BUILTIN, normalise
from volseg_core.testing.findings import Findings, rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from volseg_core.plugins import PluginRecord
    from volseg_core.testing.subject import Subject

log = logging.getLogger("volseg")

RULES = rules(
    "plugin",
    found=(
        "A plugin is installed under its id, or its file is named by plugins.local of registry.yaml",
        "Install it, and declare an entry point in the group 'volseg'.",
    ),
    status=("A plugin loads", "Mend what is named; volseg plugins list tells it too."),
    provides=("A plugin provides a component, a recipe or a hook of runs", "Return them from a hook."),
    light=(
        "Discovery of a plugin imports no heavy library",
        "Import it in the module of the target; plugin.py needs the standard library and volseg_core.api.",
    ),
    quick=(
        "Discovery of a plugin takes less than half a second of CPU time",
        "Compute nothing when plugin.py is imported or a hook is called.",
    ),
    init=(
        "The __init__ of a plugin's package holds a docstring alone",
        "Move the rest elsewhere: importing plugin.py runs it.",
    ),
    requires=(
        "A plugin's metadata says which volseg it needs",
        "Add it to dependencies in pyproject.toml, like 'volseg>=0.1,<0.2'.",
    ),
)

_SECONDS = 0.5
_MOST = 12


@dataclass
class Report:
    """What a check of a plugin came to: problems, and notes on what could not be checked."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_plugin(plugin: str, registry: Path | str | None = None) -> list[str]:
    """Return every rule that an installed plugin or one of its components breaks, as sentences.

    It runs in a fresh process: the status, the time and the libraries that discovery takes, the package's
    ``__init__``, then `problems` of each component. What cannot be checked so, because a component needs a parameter,
    a sample or an encoder that only its author has, is told by a warning and is for the plugin's own tests. Of more
    than twelve components of one target twelve are checked.

    ``registry`` is the registry file; without one, that which the command line would use.
    """
    arguments = json.dumps([plugin, None if registry is None else str(registry), sys.path])
    done = subprocess.run(  # noqa: S603  (this interpreter and this module)
        [sys.executable, "-c", "from volseg_core.testing.plugin import main; main()", arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        return [f"The check of {plugin} ended with exit code {done.returncode}: {last}."]
    report = Report(**json.loads(lines[-1]))
    for note in report.notes:
        log.warning("%s", note)
    return report.problems


def main() -> None:
    """Check the plugin that the command line names and print the report; the other half of `check_plugin`."""
    plugin, registry, path = json.loads(sys.argv[-1])
    sys.path[:] = path
    report = examine(plugin, registry)
    print(f"\n{json.dumps(vars(report))}")  # noqa: T201  (read by the other half)


def examine(plugin: str, registry: str | None) -> Report:
    """Check a plugin in this process, which should have imported nothing of it."""
    from volseg_core.discovery import discover
    from volseg_core.registry import find_registry_file, read_registry_file

    found, report = Findings(RULES), Report()
    identity = plugin if plugin.startswith("local/") else normalise(plugin)
    file = read_registry_file(find_registry_file(registry))
    start = time.process_time()
    plugins = discover(file.policy)
    seconds = time.process_time() - start
    record = plugins.record(identity)
    if record is None:
        known = ", ".join(other.id for other in plugins.records)
        found.broke("found", f"there is no {identity!r} among {known}")
    else:
        own = _run_hooks(plugins.manager, identity)
        _loading(record, seconds - _others(plugins.records, record), own, found)
    report.problems += [str(breach) for breach in found.broken.values()]
    if record is not None and record.status == "ok":
        from volseg_core.catalog import Catalog

        _components(Catalog(plugins, file.aliases, file.policy.block), record, report)
    return report


def _others(records: Sequence[PluginRecord], record: PluginRecord) -> float:
    return sum(other.import_ms for other in records if other is not record) / 1000


def _run_hooks(manager: Any, plugin: str) -> bool:
    """Return whether a plugin implements a hook of runs."""
    hooks = ("volseg_run_started", "volseg_run_finished", "volseg_export_metadata")
    names = [item.plugin_name for hook in hooks for item in getattr(manager.hook, hook).get_hookimpls()]
    return any(name.partition(":")[0] == plugin for name in names)


def _loading(record: PluginRecord, seconds: float, own_hooks: bool, found: Findings) -> None:
    if record.status != "ok":
        found.broke("status", f"{record.id} is {record.status}: {record.reason}")
    elif not (record.components or record.recipes or own_hooks):
        found.broke("provides", f"{record.id} provides none")
    if record.heavy:
        found.broke("light", f"{record.id} pulls in {', '.join(record.heavy)}")
    elif seconds > _SECONDS:
        found.broke("quick", f"{record.id} takes {seconds:.1f} s")
    for package in _packages(record):
        if not _docstring_alone(package):
            found.broke("init", f"{package.parent.name}/__init__.py holds more")
    if record.id != BUILTIN and not record.id.startswith("local/") and not _requires(record.id):
        found.broke("requires", f"that of {record.id} does not")


def _packages(record: PluginRecord) -> Iterator[Path]:
    """Yield the ``__init__`` files that importing a plugin's modules runs."""
    if record.id.startswith("local/"):
        return
    names = {value.partition(":")[0] for value in record.entry_points.values()}
    for package in sorted({name.rpartition(".")[0] for name in names} - {""}):
        try:
            spec = find_spec(package)
        except (ImportError, ValueError):
            continue
        if spec is not None and spec.origin:
            yield Path(spec.origin)


def _docstring_alone(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return not body or (
        len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(getattr(body[0].value, "value", None), str)
    )


def _requires(plugin: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in metadata.requires(plugin) or ():
        try:
            if normalise(Requirement(line).name) == BUILTIN:
                return True
        except InvalidRequirement:
            continue
    return False


def _components(catalog: Any, record: PluginRecord, report: Report) -> None:
    from volseg_core.testing.conformance import broken_rules
    from volseg_core.testing.subject import of_plugin
    from volseg_core.testing.trial import Trial

    for subject in _sampled(of_plugin(catalog, record.id), report):
        for name, breach in broken_rules(Trial(subject)).items():
            (report.notes if name.startswith("given.") else report.problems).append(f"{subject}: {breach}")


def _sampled(subjects: Sequence[Subject], report: Report) -> Iterator[Subject]:
    """Yield the components; of many that share a target, evenly chosen ones."""
    targets: dict[tuple[str, str], list[Subject]] = {}
    for subject in subjects:
        targets.setdefault((subject.provided.kind, subject.component.target), []).append(subject)
    for (kind, target), group in targets.items():
        if len(group) > _MOST:
            report.notes.append(f"{_MOST} of {len(group)} components of {kind} are checked: all are {target}.")
        step = max(1, len(group) / _MOST)
        yield from (group[int(number * step)] for number in range(min(len(group), _MOST)))

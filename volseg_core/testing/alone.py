"""Trying a component in a process in which torch cannot be imported, as where it is not installed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.catalog import Catalog, Provided
from volseg_core.plugins import PluginRecord, Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from volseg_core.api import Component
    from volseg_core.testing.trial import Trial

_CHILD = "VOLSEG_TESTING_ALONE"
_TARGET = "descriptor.target"
_PARTNERS = ("reader", "writer")


def without_torch(trial: Trial) -> str:
    """Return which rule a component breaks first where there is no torch, or an empty string.

    Modules that were made in memory are in no file that another process could import: they are passed over.
    """
    needed = [trial.provided, *(item for item in trial.catalog.all() if item.kind in _PARTNERS)]
    plugins: dict[str, dict[str, Any]] = {}
    for item in needed:
        files = {name: getattr(module, "__file__", None) for name, module in item.plugin.modules.items()}
        of_plugin = plugins.setdefault(item.plugin.id, {"files": files, "components": []})
        if item.component not in of_plugin["components"]:
            of_plugin["components"].append(item.component)
    own = trial.provided.plugin.id
    if os.environ.get(_CHILD) or None in plugins[own]["files"].values():
        return ""
    task = {"path": sys.path, "plugins": plugins, "own": own, "component": trial.component, "given": _given(trial)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.pickle"
        path.write_bytes(pickle.dumps(task))
        done = subprocess.run(  # noqa: S603  (this interpreter and this module)
            [sys.executable, "-c", f"from volseg_core.testing.alone import main; main({str(path)!r})"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, _CHILD: "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    told = done.stdout.splitlines()
    if done.returncode or not told:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        return f"the check ends with {last}"
    return told[-1]


def _given(trial: Trial) -> tuple[Any, ...]:
    return dict(trial.params), trial.sample, trial.encoder


def main(path: str) -> None:
    """Run the task of `without_torch` and print what it found."""
    from volseg_core.testing.conformance import broken_rules
    from volseg_core.testing.subject import Subject
    from volseg_core.testing.trial import Trial

    sys.meta_path.insert(0, NoTorch())
    task: dict[str, Any] = pickle.loads(Path(path).read_bytes())  # noqa: S301  (written by the other half of this module)
    records = [_record(plugin, **described) for plugin, described in task["plugins"].items()]
    catalog = Catalog(Plugins(records, None))  # type: ignore[arg-type]  # no hook is called
    own = next(record for record in records if record.id == task["own"])
    subject = Subject(Provided(own, task["component"]), catalog)
    params, sample, encoder = task["given"]
    broken = broken_rules(Trial(subject, params, sample, encoder))
    behaviour = (item for name, item in broken.items() if name == _TARGET or not name.startswith("descriptor."))
    first = next(behaviour, None)
    print(f"it breaks {first.rule.name}: {first.seen}" if first else "")  # noqa: T201  (read by the other half of this module)


def _record(plugin: str, files: Mapping[str, str], components: list[Component]) -> PluginRecord:
    modules = {name: _imported(name, file) for name, file in files.items()}
    return PluginRecord(plugin, components=components, modules=modules)


class NoTorch:
    """A finder of modules for which there is no torch."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse torch as an import of what is not installed does."""
        del path, target
        if name.partition(".")[0] == "torch":
            message = "No module named 'torch'"
            raise ModuleNotFoundError(message, name=name)
        return None


def _imported(name: str, file: str) -> ModuleType:
    spec = util.spec_from_file_location(f"volseg_local.{name}", file)
    assert spec is not None  # noqa: S101  (a module that was imported from it)
    assert spec.loader is not None  # noqa: S101
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module

"""Guards: who may import whom, every plugin has its entry point, the core stands alone."""

from __future__ import annotations

import ast
import inspect
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from volseg_core import hookspecs
from volseg_core.catalog import Catalog

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/plugin.py"))
PUBLIC = ("volseg_core.api", "volseg_core.volume", "volseg_core.testing")


def imports(path: Path) -> set[str]:
    """Return the full names of all modules that a file imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def test_every_plugin_folder_has_an_entry_point_and_the_other_way_round() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = set(project["entry-points"]["volseg"].values())
    assert declared == {f"{folder.name}.plugin" for folder in PLUGINS}


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_built_in_imports_the_public_core_and_no_other_plugin(folder: Path) -> None:
    foreign = tuple(other.name for other in PLUGINS if other != folder)
    for path in folder.rglob("*.py"):
        for name in imports(path):
            assert not within(name, ("volseg_core",)) or within(name, PUBLIC), f"{path.name} imports {name}"
            assert not within(name, (*foreign, "plugins")), f"{path.name} imports {name}"


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_built_in_has_a_docstring_only_init(folder: Path) -> None:
    body = ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


def test_the_core_imports_no_plugin() -> None:
    names = (*(folder.name for folder in PLUGINS), "plugins")
    for path in (ROOT / "volseg_core").rglob("*.py"):
        for name in imports(path):
            assert not within(name, names), f"{path} imports {name}"


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_what_a_built_in_describes_and_imports_by_name_is_its_own(folder: Path) -> None:
    module = import_module(f"{folder.name}.plugin")
    for provided in Catalog.from_modules([module]).all():
        targets = [provided.component.target, getattr(provided.component, "export_rewrites", None)]
        for target in filter(None, targets):
            assert within(target.partition(":")[0], (folder.name,)), provided.id
    for path in folder.rglob("*.py"):
        for name in called_by_name(path):
            assert within(name, (folder.name,)) or not name.startswith("volseg"), f"{path.name} imports {name}"


def called_by_name(path: Path) -> set[str]:
    """Return the literal first arguments of ``import_module`` and ``__import__``."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return {
        str(call.args[0].value)
        for call in calls
        if getattr(call.func, "attr", getattr(call.func, "id", "")) in ("import_module", "__import__")
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def test_no_text_of_the_core_names_a_module_of_a_built_in() -> None:
    names = [f"{folder.name}{mark}" for folder in PLUGINS for mark in ".:/"]  # hooks have the names of some folders
    for path in (ROOT / "volseg_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not any(name in node.value for name in names), f"{path}: {node.value!r}"


@pytest.fixture(scope="module")
def core_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with volseg_core and the metadata of a distribution that has no entry points."""
    folder = tmp_path_factory.mktemp("core")
    shutil.copytree(ROOT / "volseg_core", folder / "volseg_core", ignore=shutil.ignore_patterns("__pycache__"))
    info = folder / "volseg-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: volseg\nVersion: 0.1.0\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["--help"], 0, "Segment volumetric images"),
        (["--version"], 0, "volseg 0.1.0"),
        (["plugins", "list"], 0, "There is no plugin."),
        (["components"], 0, "KIND"),
        (["components", "--json"], 0, "[]"),
        (["recipes", "list"], 0, "RECIPE"),
        (["recipes", "schema"], 0, '"$schema"'),
        (["show", "loss/dice"], 2, "Error: loss: no loss named 'dice'."),
        (["recipes", "show", "slices"], 2, "Error: recipe: no recipe named 'slices'."),
    ],
    ids=lambda item: "-".join(item) if isinstance(item, list) else "",
)
def test_the_core_runs_without_any_built_in(core_alone: Path, words: list[str], code: int, expected: str) -> None:
    paths = [str(core_alone), sysconfig.get_path("purelib")]
    script = (
        f"import sys; sys.path[:0] = {paths!r}; sys.argv = ['volseg', *{words!r}]\n"
        "import atexit; from volseg_core.cli import main\n"
        "atexit.register(lambda: print(*(n for n in sys.modules if n.startswith('volseg_') and '.' not in n)))\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", script], cwd=core_alone, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert expected in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "volseg_core"


def test_every_kind_is_collected_by_a_hook() -> None:
    from volseg_core.api import KINDS

    assert list(hookspecs.COLLECTING) == list(KINDS)
    for hook in hookspecs.COLLECTING.values():
        assert not inspect.signature(getattr(hookspecs, hook)).parameters

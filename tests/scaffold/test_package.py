from __future__ import annotations

import ast
import errno
import re
import tomllib
from pathlib import Path

import pytest

from volseg_core.api import KINDS
from volseg_core.discovery import plugins_from_modules
from volseg_core.errors import DataError
from volseg_core.scaffold import Names, create_package, package, usage

PLACEHOLDERS = re.compile("component-(name|kind|usage|suffix)|component_module|ComponentClass|plugin[-_](id|package)")


def create(folder: Path, kind: str = "loss", component: str = "thin-boundary") -> Names:
    names = Names.checked("volseg-acme", kind, component)
    create_package(names, folder / "acme")
    return names


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_complete_and_speaks_of_itself_only(tmp_path: Path, kind: str) -> None:
    names = create(tmp_path, kind)
    folder = tmp_path / "acme"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    source = "src/volseg_acme"
    assert files == {
        "pyproject.toml", "README.md", ".gitignore", "tests/test_conformance.py",
        f"{source}/__init__.py", f"{source}/plugin.py", f"{source}/thin_boundary.py",
    }  # fmt: skip
    for name in files:
        text = (folder / name).read_text()
        assert not PLACEHOLDERS.search(text), name
        if name.endswith(".py"):
            ast.parse(text)
    assert usage(names) in (folder / "README.md").read_text()
    assert f"class {names.class_name}" in (folder / source / "thin_boundary.py").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_its_plugin_describes_one_component_that_leads_to_its_class(tmp_path: Path, hook_module, kind: str) -> None:
    names = create(tmp_path, kind)
    module = hook_module((tmp_path / "acme/src/volseg_acme/plugin.py").read_text(), "plugin")
    record = plugins_from_modules([module]).records[0]
    assert record.status == "ok", record.reason
    (component,) = record.components
    assert (component.kind, component.name) == (kind, "thin-boundary")
    assert component.target == f"volseg_acme.thin_boundary:{names.class_name}"
    assert component.licence == "Apache-2.0"


def test_its_init_holds_a_docstring_and_nothing_else(tmp_path: Path) -> None:
    create(tmp_path)
    (statement,) = ast.parse((tmp_path / "acme/src/volseg_acme/__init__.py").read_text()).body
    assert isinstance(statement, ast.Expr)


def test_its_project_has_one_entry_point_and_needs_this_volseg(tmp_path: Path) -> None:
    create(tmp_path)
    project = tomllib.loads((tmp_path / "acme/pyproject.toml").read_text())["project"]
    assert project["name"] == "volseg-acme"
    assert project["entry-points"] == {"volseg": {"acme": "volseg_acme.plugin"}}
    assert project["dependencies"] == [package.requirement()]
    assert project["license"] == "Apache-2.0"


@pytest.mark.parametrize(
    ("version", "requirement"),
    [
        ("0.1.0", "volseg>=0.1,<0.2"),
        ("0.12.3", "volseg>=0.12,<0.13"),
        ("1.4.2", "volseg>=1.4,<2"),
        ("0.2.0.dev3", "volseg>=0.2.0.dev3,<0.3"),
    ],
)
def test_the_requirement_admits_the_version_it_was_written_with(
    monkeypatch: pytest.MonkeyPatch, version: str, requirement: str
) -> None:
    from packaging.requirements import Requirement

    monkeypatch.setattr(package.metadata, "version", lambda _: version)
    assert package.requirement() == requirement
    assert Requirement(requirement).specifier.contains(version, prereleases=True)


def test_an_existing_folder_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/mine.txt").write_text("mine")
    with pytest.raises(DataError) as error:
        create(tmp_path)
    assert str(error.value) == f"{tmp_path / 'acme'}: exists. Give another -o."
    assert [path.name for path in (tmp_path / "acme").iterdir()] == ["mine.txt"]


def test_a_folder_to_write_in_must_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path / 'nowhere'}: does not exist"):
        create(tmp_path / "nowhere")


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text
    written = []

    def full(path: Path, text: str, **options: str) -> int:
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DataError) as error:
        create(tmp_path)
    assert str(error.value) == f"{tmp_path / 'acme'}: cannot be written: No space left on device."
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_may_have_the_name_of_a_placeholder(tmp_path: Path) -> None:
    names = Names.checked("volseg-requirement", "metric", "component-kind")
    create_package(names, tmp_path / "x")
    project = tomllib.loads((tmp_path / "x/pyproject.toml").read_text())["project"]
    assert project["name"] == "volseg-requirement"
    assert 'name="component-kind"' in (tmp_path / "x/src/volseg_requirement/plugin.py").read_text()

"""The wheel: what it holds, that it works from elsewhere, and that the core stands without its plugins."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def names_in(wheel: Path) -> list[str]:
    """Return the names of the files that a wheel holds."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def site(tmp_path_factory, packages):
    """A folder into which the built wheel is installed, and the names that the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = packages.build(folder, ROOT)
    return packages.install(folder / "site", wheel), names_in(wheel)


def run(site: Path, code: str) -> str:
    """Run code with the installed wheel and the libraries, but without this checkout (no .pth is processed)."""
    start = f"import sys; sys.path[:0] = [{str(site)!r}, {sysconfig.get_path('purelib')!r}]\n"
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", start + code], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_two_import_roots_and_nothing_else(site):
    tops = {name.split("/", 1)[0] for name in site[1]}
    folders = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"volseg_core", *folders}
    assert "volseg_recipes/slices.yaml" in site[1]
    assert "volseg_smp/encoders.json" in site[1]


def test_the_installed_wheel_lists_its_plugins(site):
    code = (
        "import json, volseg_core\n"
        "from volseg_core.registry import load_registry\n"
        "registry = load_registry()\n"
        "record = registry.plugins.records[0]\n"
        "kinds = sorted({item.kind for item in registry.catalog.all()})\n"
        "print(json.dumps([volseg_core.__file__, record.status, record.location, kinds, len(record.recipes)]))\n"
    )
    file, status, location, kinds, recipes = json.loads(run(site[0], code))
    assert Path(file).is_relative_to(site[0])
    assert Path(location) == site[0]
    assert status == "ok"
    assert {"architecture", "encoder", "loss", "metric", "reader", "writer", "merge", "runtime"} <= set(kinds)
    assert recipes >= 2


def test_the_core_runs_with_its_plugins_absent(site, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(site[0], bare)
    for folder in bare.glob("volseg_*"):
        if folder.name != "volseg_core":
            shutil.rmtree(folder)
    code = (
        "from volseg_core.registry import load_registry\n"
        "registry = load_registry()\n"
        "print(registry.plugins.records[0].status, len(list(registry.catalog.all())))\n"
    )
    assert run(bare, code).split() == ["broken", "0"]


def test_the_cluster_image_is_built_from_files_that_make_the_same_wheel(site, tmp_path, packages):
    text = (ROOT / "volseg.def").read_text(encoding="utf-8")
    files = text.partition("%files\n")[2].partition("\n\n")[0]
    for source, target in map(str.split, files.splitlines()):
        place = tmp_path / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, place)
    image = tmp_path / "opt/volseg"
    (wheel,) = packages.build(tmp_path / "wheel", image / "source")
    assert names_in(wheel) == site[1]
    command = [sys.executable, "tools/requirements.py", "all"]
    assert "torch" in subprocess.run(command, cwd=image, capture_output=True, text=True, check=True).stdout
    steps = [line.split()[1] for line in text.splitlines() if line.strip().startswith("tools/install-in-image ")]
    script = (image / "tools/install-in-image").read_text(encoding="utf-8")
    assert [f"{step})" for step in steps if f"\n{step})\n" in script] == ["system)", "packages)", "volseg)"]

"""A loss from nothing to a training in an environment of its own, where volseg is an installed wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
LOCALLY = ["--no-deps", "--no-index", "--no-build-isolation"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment and the folder in which an author works."""

    python: Path
    folder: Path

    def run(self, *command: str | Path) -> str:
        """Run a command, the name of a console script first, and return what it prints; it must succeed."""
        program, *arguments = command
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("VOLSEG_", "PYTHON"))}
        done = subprocess.run(
            [self.python.with_name(str(program)), *arguments],
            cwd=self.folder,
            env={**kept, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def install(self, *what: str | Path) -> None:
        """Install something that is on this machine."""
        pip = [*PIP, "--python", self.python, "install", *LOCALLY, *what]
        subprocess.run(pip, cwd=self.folder, check=True)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, packages: Any) -> Environment:
    """Make an environment of volseg's wheel; its libraries are those of this one, and nothing is downloaded."""
    folder = tmp_path_factory.mktemp("fresh")
    (wheel,) = packages.build(folder / "wheels", ROOT)
    venv.create(folder / "env", with_pip=False)
    environment = Environment(folder / "env" / "bin" / "python", folder)
    site = next((folder / "env" / "lib").glob("python*/site-packages"))
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment.install(wheel)
    return environment


def test_a_new_loss_is_trained_with(fresh: Environment) -> None:
    where = fresh.run("python", "-c", "import volseg_core; print(volseg_core.__file__)")
    assert Path(where.strip()).is_relative_to(fresh.folder)

    made = fresh.run("volseg", "plugins", "new", "volseg-acme", "--kind", "loss", "--name", "rim")
    assert "  volseg plugins check volseg-acme\n" in made
    fresh.install("-e", "volseg-acme")
    assert fresh.run("volseg", "plugins", "check", "volseg-acme").endswith("No problems.\n")
    assert "1 passed" in fresh.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "volseg-acme")
    assert "volseg-acme 0.1.0" in fresh.run("volseg", "components", "loss")
    assert fresh.run("volseg", "plugins", "freeze") == "- volseg-acme==0.1.0\n"

    fresh.run("volseg", "generate", "blobs", "-o", "cube.h5", "-s", "shape=[16,48,48]")
    trained = fresh.run(
        "volseg", "train", "slices", "--data", "cube.h5", "--labels", "cube.h5", "-o", "run", "-q",
        "-s", "loss=[volseg-acme/rim]", "-s", "model.encoder=resnet18", "-s", "model.encoder.weights=none",
        "-s", "data.window=[32,32]", "-s", "data.axes=z", "-s", "train.epochs=1", "-s", "train.steps=2",
    )  # fmt: skip
    assert "loss" in trained
    assert "volseg-acme" in (fresh.folder / "run" / "resolved.yaml").read_text()

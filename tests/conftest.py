"""Fixtures that every test may use: a project folder made of a dict of files, and the real command run in it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import types
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: tests share their machine

settings.register_profile("shared", deadline=None)  # nor does a test's outcome depend on what else runs there
settings.load_profile("shared")

VOLSEG = Path(sys.executable).with_name("volseg")
"""The console script of the environment that runs the tests."""


@dataclass(frozen=True)
class Result:
    """How a command ended: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Whether the exit code is 0."""
        return self.code == 0


@dataclass(frozen=True)
class Project:
    """A folder in which ``volseg`` runs as a user runs it: a process of its own."""

    folder: Path

    def run(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        traceback: bool = False,
        timeout: float = 300,
    ) -> Result:
        """Run ``volseg *args`` in the folder; ``env`` is added to a clean environment (an empty value removes).

        Fails the test when standard error holds a traceback, unless ``traceback`` says that one is meant.
        """
        command = [str(VOLSEG), *map(str, args)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=_environment(env),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        assert traceback or "Traceback" not in result.err, f"{' '.join(command)}\n{result.err}"
        return result

    def write(self, files: Mapping[str, str]) -> None:
        """Write text files, dedented; a name may hold folders."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.fixture(autouse=True)
def fresh_logger() -> Iterator[None]:
    """Undo what a command run in this process does to the logger ``volseg``: its handler writes to a closed stream."""
    logger = logging.getLogger("volseg")
    before = list(logger.handlers), logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate, logger.level = before


@pytest.fixture(scope="session")
def hook_module() -> Callable[..., types.ModuleType]:
    """Return a function that makes a plugin's module of its source, for tests that install and discover nothing."""

    def make(source: str, name: str = "hooks") -> types.ModuleType:
        module = types.ModuleType(name)
        exec(compile(textwrap.dedent(source), f"{name}.py", "exec"), module.__dict__)  # noqa: S102  (the tests' own)
        return module

    return make


BUILD = """
import os, sys
from hatchling.build import build_wheel
for folder in sys.argv[2:]:
    os.chdir(folder)
    build_wheel(sys.argv[1])
"""
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


class Packages:
    """Real packages: wheels built from source folders, and installed by pip; nothing is downloaded."""

    @staticmethod
    def build(folder: Path, *sources: Path) -> list[Path]:
        """Build the wheel of each source into ``folder``, which is made, and return all that it holds."""
        folder.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-c", BUILD, folder, *sources], check=True, capture_output=True)
        return sorted(folder.glob("*.whl"))

    @staticmethod
    def install(site: Path, *wheels: Path) -> Path:
        """Install wheels into a folder for the path, which is returned."""
        subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", site, *wheels], check=True)
        return site


@pytest.fixture(scope="session")
def packages() -> type[Packages]:
    """Return `Packages`: ``packages.install(site, *packages.build(folder, source))``."""
    return Packages


@pytest.fixture(scope="session")
def project_in() -> type[Project]:
    """Return `Project`, for fixtures that outlive one test: ``project_in(folder)``; the folder must exist."""
    return Project


@pytest.fixture
def volseg_project(tmp_path: Path) -> Callable[[Mapping[str, str]], Project]:
    """Return a function that makes a project from a dict of text files.

    ``project = volseg_project({"registry.yaml": "..."}); result = project.run("plugins", "list")``;
    then look at ``result.ok``, ``result.code``, ``result.out``, ``result.err`` and ``project.folder``.
    """

    def make(files: Mapping[str, str] | None = None) -> Project:
        project = Project(tmp_path / "project")
        project.folder.mkdir(exist_ok=True)
        project.write(files or {})
        return project

    return make


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """Return the test's environment without what would change volseg's answers, and with ``extra``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("VOLSEG_") and key != "PYTHONPATH"}
    merged = {**kept, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **(extra or {})}
    return {key: value for key, value in merged.items() if value}


QUICK = (
    "model.encoder=resnet18",
    "model.encoder.weights=none",
    "data.window=[64, 64]",
    "data.axes=z",
    "train.epochs=2",
    "train.steps=4",
    "train.batch=2",
)
"""Overrides that make a real training of the slices recipe a matter of seconds."""


@dataclass(frozen=True)
class Trained:
    """A finished run on a small synthetic volume, and the file it was trained on."""

    run: Path
    volume: Path
    overrides: tuple[str, ...] = QUICK


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train once for all tests that only look at a run."""
    import volseg_core

    folder = tmp_path_factory.mktemp("trained")
    volume = folder / "cube.h5"
    volseg_core.generate("blobs", output=volume, overrides=["shape=[24, 72, 80]", "seed=3"])
    volseg_core.train("slices", data=volume, labels=volume, output=folder / "run", overrides=QUICK)
    return Trained(folder / "run", volume)


@pytest.fixture
def volseg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Return a function that runs the command line in this process: quick, for commands that import torch."""
    from volseg_core.cli import main

    def run(*args: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["volseg", *map(str, args)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run

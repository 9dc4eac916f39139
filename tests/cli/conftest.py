"""Third-party plugins, good and bad: real packages, built into wheels and installed by pip in a folder of their own."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOSSES = """
from volseg_core.api import Loss, Param, hookimpl

def loss(name, **more):
    return Loss(name=name, target="{package}.targets:make", summary="A loss of {package}.", licence="MIT", **more)
"""

ACME = """
@hookimpl
def volseg_losses():
    return [
        loss("dice", params={"smooth": Param("float", 1.0, "Added to both sums.", min=0)}),
        loss("rim", params={"theta": Param("float", 3.0, "Width in voxels.")}),
        loss("tree", needs=("no-such-library-xyz>=1.11",), extra="tree"),
    ]

@hookimpl
def volseg_recipes():
    from pathlib import Path
    return sorted(Path(__file__).parent.glob("*.yaml"))
"""

GOOD = {
    "volseg-acme": ("0.3.0", "volseg", ACME),
    "volseg-lab": ("1.2", "volseg", "@hookimpl\ndef volseg_losses():\n    return [loss('rim'), loss('lonely')]"),
    "volseg-slow": ("1.0", "volseg", "import numpy\n@hookimpl\ndef volseg_losses():\n    return [loss('slow')]"),
}
BROKEN = {
    "volseg-broken": ("0.1", "volseg", "import no_such_library_xyz"),
    "volseg-misspelt": ("0.1", "volseg", "@hookimpl\ndef volseg_loses():\n    return [loss('x')]"),
    "volseg-unmarked": ("0.1", "volseg", "def volseg_losses():\n    return [loss('x')]"),
    "volseg-twice": ("0.1", "volseg", "@hookimpl\ndef volseg_losses():\n    return [loss('x'), loss('x')]"),
    "volseg-raises": ("0.1", "volseg", "@hookimpl\ndef volseg_losses():\n    raise RuntimeError('no licence key')"),
    "volseg-wrong": ("0.1", "volseg", "@hookimpl\ndef volseg_losses():\n    return ['x']"),
    "volseg-single": ("0.1", "volseg", "@hookimpl\ndef volseg_losses():\n    return loss('x')"),
    "volseg-quits": ("0.1", "volseg", "raise SystemExit('use my own command line')"),
    "volseg-syntax": ("0.1", "volseg", "def volseg_losses(:"),
    "volseg-future": ("0.3.0", "volseg>=99", "import os\nopen(os.environ['FOOTPRINT'], 'w').close()"),
}


def install(packages: type[Any], texts: Mapping[str, tuple[str, str, str]], folder: Path) -> Path:
    """Build ``{name: (version, requirement, text of plugin.py)}`` and install all into ``folder/site``.

    Every package uses the same entry-point name: two distributions may.
    """
    for name, (version, requires, text) in texts.items():
        package = name.replace("-", "_")
        source = folder / name / package
        source.mkdir(parents=True)
        (source / "__init__.py").write_text('"""A plugin."""\n')
        (source / "plugin.py").write_text(LOSSES.replace("{package}", package) + text)
        (source / "targets.py").write_text("def make(**params):\n    raise ValueError('theta is odd')\n")
        (source / "em.yaml").write_text(
            "summary: Electron microscopy.\nextends: volseg/slices\nloss: volseg-acme/dice\n"
        )
        (source.parent / "pyproject.toml").write_text(
            textwrap.dedent(f"""
            [build-system]
            requires = ["hatchling"]
            build-backend = "hatchling.build"
            [project]
            name = "{name}"
            version = "{version}"
            dependencies = ["{requires}"]
            [project.entry-points.volseg]
            main = "{package}.plugin"
            """)
        )
    return packages.install(folder / "site", *packages.build(folder / "wheels", *(folder / name for name in texts)))


@pytest.fixture(scope="session")
def good_plugins(tmp_path_factory: pytest.TempPathFactory, packages: type[Any]) -> dict[str, str]:
    """Return the environment in which volseg-acme 0.3.0, volseg-lab 1.2 and volseg-slow 1.0 are installed."""
    return {"PYTHONPATH": str(install(packages, GOOD, tmp_path_factory.mktemp("good")))}


@pytest.fixture(scope="session")
def broken_plugins(tmp_path_factory: pytest.TempPathFactory, packages: type[Any]) -> dict[str, str]:
    """Return the environment in which every kind of bad plugin is installed; FOOTPRINT is written by an import."""
    folder = tmp_path_factory.mktemp("broken")
    return {"PYTHONPATH": str(install(packages, BROKEN, folder)), "FOOTPRINT": str(folder / "footprint")}

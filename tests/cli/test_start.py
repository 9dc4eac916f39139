"""What a command imports and costs: the lazy import rules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., Any]

NEVER = ("torch", "numpy", "lightning", "monai", "onnxruntime", "scipy", "albumentations", "matplotlib", "h5py")
LIGHT = (*NEVER, "yaml", "pydantic", "rich", "pluggy", "packaging", "volseg_core.discovery", "volseg_core.registry")

PRINT_MODULES = """
import sys
from volseg_core.cli import main
sys.argv = ["volseg", *{args!r}]
try:
    main()
except SystemExit as leaving:
    assert not leaving.code, leaving.code
print("\\nMODULES", *sys.modules)
"""


def imported(folder: Any, *args: Any) -> Any:
    script = PRINT_MODULES.format(args=args)
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("MODULES")[2].split())


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("train", "--help"), ("plugins", "--help")])
def test_help_imports_click_and_the_command_line_only(tmp_path: Path, args: Any) -> None:
    modules = imported(tmp_path, *args)
    assert "click" in modules
    assert not modules.intersection(LIGHT)
    assert not [name for name in modules if name.startswith("volseg_") and not name.startswith("volseg_core")]
    allowed = ("volseg_core.cli", "volseg_core.errors")
    assert not [name for name in modules if name.startswith("volseg_core.") and not name.startswith(allowed)]


@pytest.mark.parametrize(
    "args", [("plugins", "list"), ("components",), ("show", "loss/dice"), ("components", "--json")]
)
def test_listings_discover_and_import_no_target(tmp_path: Path, args: Any) -> None:
    modules = imported(tmp_path, *args)
    assert "volseg_losses.plugin" in modules
    assert "volseg_losses.dice" not in modules
    assert not modules.intersection((*NEVER, "pydantic", "rich"))


@pytest.mark.parametrize(("args", "limit"), [(("--help",), 160), (("plugins", "list"), 290)])
def test_few_modules_are_imported(tmp_path: Path, args: Any, limit: int) -> None:
    """Imports are what these commands cost; benchmarks/startup.py takes the time, which depends on the machine."""
    assert len(imported(tmp_path, *args)) < limit


def test_a_misspelt_command_gets_a_suggestion(volseg_project: Make) -> None:
    result = volseg_project().run("trian")
    assert result.code == 2
    assert "No such command 'trian'. Did you mean 'train'?" in result.err


def test_traceback_is_shown_on_demand_with_the_same_exit_code(volseg_project: Make) -> None:
    result = volseg_project().run("--traceback", "show", "loss/dicee", traceback=True)
    assert result.code == 2
    assert "Traceback (most recent call last)" in result.err
    assert "Error: loss: no loss named 'dicee'. Did you mean 'dice'?" in result.err

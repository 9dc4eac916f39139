from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def lines(extras: str) -> list[str]:
    command = [sys.executable, "tools/requirements.py", extras]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_extras_that_name_others_are_resolved():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    everything = lines("all")
    assert everything[: len(project["dependencies"])] == project["dependencies"]
    assert set(everything) >= {*extras["train"], *extras["export"], *extras["gpu"], *extras["tune"]}
    assert not any(line.startswith("volseg") for line in everything)


def test_inference_needs_no_torch():
    assert not [line for line in lines("gpu") if line.startswith(("torch", "lightning", "segmentation"))]

"""Whether the plugin's components keep to volseg's contracts: every rule is one of the kit's checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from volseg_core.testing import Subject, check, components

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """Return a small file of the reader's format: the rules that need one are checked with it."""
    path = tmp_path / "scan.component-suffix"
    np.arange(6 * 20 * 24, dtype="<u2").tofile(path)
    layout = {"shape": [6, 20, 24], "dtype": "<u2", "spacing": [2.0, 0.5, 0.5], "unit": "um"}
    path.with_name(f"{path.name}.json").write_text(json.dumps(layout), encoding="utf-8")
    return path


@pytest.mark.parametrize("component", components("plugin-id"), ids=str)
def test_conforms(component: Subject, sample: Path) -> None:
    """A component breaks no rule of its kind."""
    check(component, sample=sample)

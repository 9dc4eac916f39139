"""Targets by their component's name, built as the core builds them, and the conformance cases of pytorch-3dunet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volseg_targets.plugin import volseg_targets

TARGETS = {target.name: target for target in volseg_targets()}
SHARED = Path(os.environ.get("VOLSEG_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def make() -> Make:
    """Build a target: defaults, then values, and the context that it wants."""

    def make(name: str, dims: int = 3, spacing: Sequence[float] | None = None, **params: Any) -> Any:
        target = TARGETS[name]
        module, _, attribute = target.target.partition(":")
        values = {key: param.default for key, param in target.params.items()}
        values |= {key: target.params[key].coerce(value) for key, value in params.items()}
        context = {"dims": dims, "spacing": spacing}
        return getattr(import_module(module), attribute)(**values, **{name: context[name] for name in target.wants})

    return make


@pytest.fixture(scope="session")
def cases() -> dict[str, dict[str, Any]]:
    """The cases of transforms, by their id."""
    path = SHARED / "conformance" / "networks3d" / "cases.json"
    if not path.is_file():
        pytest.skip("the shared conformance cases are not here")
    every = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case for case in every if case["kind"] == "transform"}


@pytest.fixture(scope="session")
def arrays(cases: dict[str, Any]) -> Any:
    with np.load(SHARED / "conformance" / "networks3d" / "arrays.npz") as stored:
        yield stored

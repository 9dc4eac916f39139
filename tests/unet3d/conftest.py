"""Networks by their component's name, weights and images by formula, and the conformance cases of pytorch-3dunet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from volseg_unet3d.plugin import volseg_architectures

torch.set_num_threads(1)

ARCHITECTURES = {architecture.name: architecture for architecture in volseg_architectures()}
SHARED = Path(os.environ.get("VOLSEG_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))

Make = Callable[..., nn.Module]


@pytest.fixture(scope="session")
def make() -> Make:
    """Build a network with random weights that are the same each time, as the core does: defaults, then values."""

    def make(
        name: str, in_channels: int = 1, num_classes: int = 2, dims: int | None = None, **params: Any
    ) -> nn.Module:
        architecture = ARCHITECTURES[name]
        module, _, attribute = architecture.target.partition(":")
        values = {key: param.default for key, param in architecture.params.items()}
        values |= {key: architecture.params[key].coerce(value) for key, value in params.items()}
        context = {"in_channels": in_channels, "num_classes": num_classes, "dims": dims or architecture.dims[-1]}
        torch.manual_seed(0)
        network: nn.Module = getattr(import_module(module), attribute)(**context, **values)
        return network

    return make


@pytest.fixture(scope="session")
def cases() -> dict[str, dict[str, Any]]:
    """The cases of networks, by their id."""
    path = SHARED / "conformance" / "networks3d" / "cases.json"
    if not path.is_file():
        pytest.skip("the shared conformance cases are not here")
    every = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case for case in every if case["kind"] in ("model", "n_params")}


@pytest.fixture(scope="session")
def arrays(cases: dict[str, Any]) -> Any:
    with np.load(SHARED / "conformance" / "networks3d" / "arrays.npz") as stored:
        yield stored


@pytest.fixture(scope="session")
def count() -> Callable[[nn.Module], int]:
    return lambda network: sum(parameter.numel() for parameter in network.parameters())

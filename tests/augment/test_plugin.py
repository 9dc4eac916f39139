from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from volseg_augment.plugin import volseg_augmentations

COMPONENTS = pytest.mark.parametrize("component", volseg_augmentations(), ids=lambda component: component.name)


def target(component: Any) -> Any:
    module, attribute = component.target.split(":")
    return getattr(import_module(module), attribute)


def test_both_augmentations_are_described() -> None:
    assert [component.name for component in volseg_augmentations()] == ["none", "standard"]


@COMPONENTS
def test_parameters_are_those_of_the_target(component: Any) -> None:
    parameters = inspect.signature(target(component)).parameters
    assert {name: each.default for name, each in parameters.items()} == {
        name: param.default for name, param in component.params.items()
    }
    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in parameters.values())


@pytest.mark.parametrize("edge", ["min", "max"])
def test_both_ends_of_every_range_can_be_drawn(edge: str) -> None:
    (standard,) = (component for component in volseg_augmentations() if component.name == "standard")
    limits = {name: getattr(param, edge) for name, param in standard.params.items() if param.type == "float"}
    image = np.random.default_rng(0).random((24, 24, 3), np.float32)
    augment = target(standard)(**limits)
    for seed in range(5):
        drawn, _ = augment(image, np.zeros((24, 24), np.int32), seed)
        assert np.isfinite(drawn).all()


def test_describing_augmentations_imports_no_arrays() -> None:
    code = """
import sys, volseg_augment.plugin as plugin
plugin.volseg_augmentations()
assert not {"numpy", "albumentations", "cv2"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

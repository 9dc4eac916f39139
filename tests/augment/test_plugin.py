from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from volseg_augment.plugin import volseg_augmentations


def target(component: Any) -> Any:
    module, attribute = component.target.split(":")
    return getattr(import_module(module), attribute)


def test_every_augmentation_is_described() -> None:
    names = ["none", "standard", "light", "strong", "em", "ct", "albumentations"]
    assert [component.name for component in volseg_augmentations()] == names


PRESETS = [component for component in volseg_augmentations() if len(component.params) > 1]


@pytest.mark.parametrize("component", PRESETS, ids=lambda component: component.name)
@pytest.mark.parametrize("edge", ["min", "max"])
def test_both_ends_of_every_range_can_be_drawn(component: Any, edge: str) -> None:
    limits = {
        name: getattr(param, edge) if getattr(param, edge) is not None else 1000
        for name, param in component.params.items()
        if param.type in ("float", "int")
    }
    image = np.random.default_rng(0).random((24, 24, 3), np.float32)
    augment = target(component)(**limits)
    for seed in range(8):
        drawn, _ = augment(image, np.zeros((24, 24), np.int32), seed)
        assert np.isfinite(drawn).all()


def test_describing_augmentations_imports_no_arrays() -> None:
    code = """
import sys, volseg_augment.plugin as plugin
plugin.volseg_augmentations()
assert not {"numpy", "albumentations", "cv2"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

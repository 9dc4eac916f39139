from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from volseg_merges.plugin import volseg_merges

COMPONENTS = pytest.mark.parametrize("component", volseg_merges(), ids=lambda component: component.name)
EVERYWHERE = (slice(None),) * 3


def built(component: Any) -> Any:
    module, attribute = component.target.split(":")
    return getattr(import_module(module), attribute)()


def test_both_merges_are_described() -> None:
    assert [component.name for component in volseg_merges()] == ["max", "mean"]


@COMPONENTS
def test_a_merge_gives_what_its_descriptor_says(component: Any) -> None:
    merge = built(component)
    merge.start((2, 3, 4), 3, 1)
    volume = np.broadcast_to(np.array([0.2, 0.5, 0.3], np.float32)[:, None, None, None], (3, 2, 3, 4))
    merge.add(volume, EVERYWHERE, 0)
    result = merge.result(EVERYWHERE, component.gives)
    for name in ("labels", "confidence", "probabilities"):
        assert (getattr(result, name) is not None) == (name in component.gives)


@COMPONENTS
@pytest.mark.parametrize("classes", [2, 3, 11])
def test_the_state_takes_the_bytes_that_the_descriptor_says(component: Any, classes: int) -> None:
    merge = built(component)
    merge.start((2, 3, 4), classes, 1)
    merge.add(np.full((classes, 2, 3, 4), 1 / classes, np.float32), EVERYWHERE, 0)
    held = sum(value.nbytes for value in vars(merge).values() if hasattr(value, "nbytes"))
    assert held == eval(component.state_bytes, {"classes": classes}) * 24  # noqa: S307 - our own expression


@COMPONENTS
def test_the_target_takes_the_parameters_of_the_descriptor(component: Any) -> None:
    module, attribute = component.target.split(":")
    signature = inspect.signature(getattr(import_module(module), attribute))
    assert set(signature.parameters) == set(component.params)


def test_a_merge_runs_without_torch() -> None:
    code = """
import sys, numpy
from volseg_merges.maximum import Maximum
from volseg_merges.mean import Mean
for target in (Maximum, Mean):
    merge = target()
    merge.start((1, 1, 1), 2, 1)
    merge.add(numpy.full((2, 1, 1, 1), 0.5, "float32"), (slice(None),) * 3, 0)
    merge.result((slice(None),) * 3)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_describing_merges_imports_no_arrays() -> None:
    code = """
import sys, volseg_merges.plugin as plugin
plugin.volseg_merges()
assert not {"numpy", "array_api_compat"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from volseg_core.api import UsageError
from volseg_merges.plugin import volseg_merges

COMPONENTS = pytest.mark.parametrize("component", volseg_merges(), ids=lambda component: component.name)
EVERYWHERE = (slice(None),) * 3


def test_every_merge_is_described() -> None:
    names = ["max", "mean", "vote", "entropy", "geometric", "fusion", "staple"]
    assert [component.name for component in volseg_merges()] == names
    assert [component.name for component in volseg_merges() if not component.streaming] == ["staple"]


@COMPONENTS
@pytest.mark.parametrize("wish", ["probabilities", "entropy", "variance"])
def test_what_a_merge_does_not_keep_is_refused(component: Any, wish: str, build: Any) -> None:
    merge = build(component.name)
    merge.start((1, 1, 1), 2, 1)
    merge.add(np.full((2, 1, 1, 1), 0.5, np.float32), EVERYWHERE, 0)
    if wish not in component.gives:
        with pytest.raises(UsageError, match=f"merge '{component.name}': cannot give '{wish}'; it gives labels, conf"):
            merge.result(EVERYWHERE, ("labels", wish))


@COMPONENTS
@pytest.mark.parametrize(("classes", "views"), [(2, 1), (3, 5), (11, 2)])
@pytest.mark.parametrize("extra", [(), ("variance",)], ids=["labels", "variance"])
def test_the_state_takes_the_bytes_that_the_descriptor_says(
    component: Any, classes: int, views: int, extra: tuple[str, ...], build: Any
) -> None:
    shape = (2, 3, 4)
    merge = build(component.name, views, classes, ("labels", *extra))
    merge.start(shape, classes, views)
    for view in range(views):
        merge.add(np.full((classes, *shape), 1 / classes, np.float32), EVERYWHERE, view)
    held = sum(value.nbytes for value in vars(merge).values() if np.shape(value)[-3:] == shape)
    numbers = {"classes": classes, "views": views, "variance": len(extra)}
    assert held == eval(component.state_bytes, numbers) * 24  # noqa: S307 - our own expression


def test_describing_merges_imports_no_arrays() -> None:
    code = """
import sys, volseg_merges.plugin as plugin
plugin.volseg_merges()
assert not {"numpy", "array_api_compat"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

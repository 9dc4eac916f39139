from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from volseg_core.api import PluginError, UsageError
from volseg_merges.checks import box_shape
from volseg_merges.maximum import Maximum
from volseg_merges.mean import Mean

EVERYWHERE = (slice(None),) * 3
BOTH = pytest.mark.parametrize(("target", "name"), [(Maximum, "max"), (Mean, "mean")])


def test_a_box_is_measured_as_it_is_cut() -> None:
    assert box_shape((slice(None), slice(2, 100), slice(1, 4)), (3, 7, 9)) == (3, 5, 3)


@BOTH
def test_a_result_before_anything_was_added_is_refused(target: Any, name: str) -> None:
    merge = target()
    merge.start((2, 2, 2), 2, 1)
    with pytest.raises(PluginError) as caught:
        merge.result(EVERYWHERE)
    assert str(caught.value) == f"merge '{name}': has no result yet. Add the probabilities of a view first."


@BOTH
def test_adding_before_the_start_is_refused(target: Any, name: str) -> None:
    with pytest.raises(PluginError) as caught:
        target().add(np.zeros((2, 1, 1, 1), np.float32), EVERYWHERE, 0)
    assert str(caught.value) == f"merge '{name}': nothing was started. Call start(shape, classes, views) first."


@BOTH
@pytest.mark.parametrize("shape", [(3, 2, 2, 2), (2, 1, 2, 2)])
def test_probabilities_that_would_be_broadcast_into_the_box_are_refused(
    target: Any, name: str, shape: tuple[int, ...]
) -> None:
    merge = target()
    merge.start((2, 2, 2), 2, 1)
    with pytest.raises(PluginError) as caught:
        merge.add(np.zeros(shape, np.float32), EVERYWHERE, 0)
    expected = f"merge '{name}': probabilities of shape {shape} do not fit the box; it needs (2, 2, 2, 2)."
    assert str(caught.value) == expected


def test_a_wish_that_the_merge_cannot_grant_names_what_it_gives() -> None:
    merge = Maximum()
    merge.start((1, 1, 1), 2, 1)
    merge.add(torch.full((2, 1, 1, 1), 0.5), EVERYWHERE, 0)
    with pytest.raises(UsageError) as caught:
        merge.result(EVERYWHERE, ("labels", "probabilities"))
    expected = "merge 'max': cannot give 'probabilities'; it gives labels, confidence. Use predict.merge=mean."
    assert str(caught.value) == expected


@BOTH
def test_a_single_half_precision_overshoot_is_rounding_and_not_an_error(target: Any, name: str) -> None:
    merge = target()
    merge.start((1, 1, 1), 2, 1)
    volume = np.array([1 + 2e-7, 0], np.float32).reshape(2, 1, 1, 1)
    merge.add(volume, EVERYWHERE, 0)
    result = merge.result(EVERYWHERE, ("labels", "confidence"))
    assert result.labels.item() == 0, name
    assert result.confidence.item() == pytest.approx(1, abs=1e-7)

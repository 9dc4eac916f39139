from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_merges.confident import EntropyWeighted

ALL = ("labels", "confidence", "probabilities", "entropy")
EVERYWHERE = (slice(None),) * 3
SHAPE = (3, 4, 5)


def exact(views: np.ndarray, weights: list[int]) -> np.ndarray:
    """The formula in float64, certainty in no steps."""
    views = views.astype(np.float64)
    spent = -(views * np.log(np.maximum(views, 1e-30))).sum(1, keepdims=True) / np.log(views.shape[1])
    certainty = np.maximum(1 - spent, 1 / 255) * np.reshape(weights, (-1, 1, 1, 1, 1))
    return (certainty * views).sum(0) / certainty.sum(0)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), classes=st.integers(2, 6))
def test_probabilities_are_those_of_the_formula(
    merged: Any, softmax_views: Any, seed: int, count: int, classes: int
) -> None:
    views = softmax_views(seed, count, classes, SHAPE)
    weights = np.random.default_rng(seed).integers(1, 3, count).tolist()
    expected = exact(views, weights)
    result = merged(EntropyWeighted(), list(views), weights)
    # the certainty of each view is half a step of 1/255 off at most
    certainty = 1 - -(views * np.log(np.maximum(views, 1e-30))).sum(1) / np.log(classes)
    room = np.minimum(1, 2 * (0.51 / 255) / np.maximum(certainty.mean(0), 1 / 255)) + 1e-5
    assert (np.abs(result.probabilities - expected) <= room).all()
    best_two = np.sort(expected, 0)[-2:]
    clear = best_two[1] - best_two[0] > 2 * room
    assert np.array_equal(result.labels[clear], expected.argmax(0)[clear])


def test_one_certain_view_outweighs_two_that_hesitate(one_voxel: Any, merged: Any) -> None:
    views = one_voxel((0.95, 0.05), (0.35, 0.65), (0.15, 0.85))
    assert np.mean(views, 0)[0] < 0.5, "the plain mean decides otherwise"
    views = one_voxel((0.95, 0.05), (0.26, 0.74), (0.26, 0.74))
    assert np.mean(views, 0)[0] < 0.5
    result = merged(EntropyWeighted(), views)
    certainty = [1 - h for h in (0.286397, 0.826746, 0.826746)]  # binary entropies in bits
    assert result.confidence.item() == pytest.approx(
        (certainty[0] * 0.95 + 2 * certainty[1] * 0.26) / sum(certainty), abs=2e-3
    )
    assert result.labels.item() == 0


def test_views_without_any_opinion_do_not_dilute(one_voxel: Any, merged: Any) -> None:
    undecided = (1 / 3, 1 / 3, 1 / 3)
    result = merged(EntropyWeighted(), one_voxel((0, 1, 0), undecided, undecided))
    assert result.confidence.item() == pytest.approx((255 + 2 / 3) / 257, abs=1e-5)


def test_where_no_view_has_an_opinion_the_classes_are_equal(one_voxel: Any, merged: Any) -> None:
    result = merged(EntropyWeighted(), one_voxel((0.25,) * 4, (0.25,) * 4))
    assert result.labels.item() == 0
    assert result.probabilities.ravel() == pytest.approx([0.25] * 4, abs=1e-5)
    assert result.entropy.item() == pytest.approx(1, abs=1e-5)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_merges.geometric import Geometric

ALL = ("labels", "confidence", "probabilities", "entropy")
EVERYWHERE = (slice(None),) * 3
SHAPE = (3, 4, 5)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), classes=st.integers(2, 6))
def test_probabilities_are_those_of_the_normalised_product(
    merged: Any, softmax_views: Any, seed: int, count: int, classes: int
) -> None:
    views = softmax_views(seed, count, classes, SHAPE)
    weights = np.random.default_rng(seed).integers(1, 3, count)
    floored = np.maximum(views.astype(np.float64), 1 / 65535)
    product = np.prod(floored ** (weights / weights.sum()).reshape(-1, 1, 1, 1, 1), 0)
    expected = product / product.sum(0)
    result = merged(Geometric(), list(views), weights.tolist())
    # p is half a step of 1/65535 off at most, which moves the logarithm of a small p by up to log(2)
    shift = np.max(np.log1p(0.5 / 65535 / floored).mean(0), 0) * 2 + 1e-4
    assert (np.abs(result.probabilities - expected) <= shift).all()
    best_two = np.sort(np.log(expected), 0)[-2:]
    clear = best_two[1] - best_two[0] > shift
    assert np.array_equal(result.labels[clear], expected.argmax(0)[clear])


def test_a_view_can_veto_a_class(one_voxel: Any, merged: Any) -> None:
    views = one_voxel((0.9, 0.1), (0.9, 0.1), (0.0, 1.0))
    assert np.mean(views, 0)[0] > 0.5, "the plain mean decides otherwise"
    result = merged(Geometric(), views)
    odds = (0.81 / 65535 / 0.01) ** (1 / 3)
    assert result.labels.item() == 1
    assert result.confidence.item() == pytest.approx(1 / (1 + odds), abs=1e-4)


def test_the_floor_keeps_a_veto_from_being_final(one_voxel: Any, merged: Any) -> None:
    """Eleven views that are certain of a class outweigh one that excludes it."""
    views = one_voxel(*[(1.0, 0.0)] * 11, (0.0, 1.0))
    result = merged(Geometric(), views)
    assert result.labels.item() == 0
    assert result.confidence.item() == pytest.approx(1 / (1 + 65535 ** (-10 / 12)), abs=1e-5)


def test_a_view_of_weight_two_counts_as_two(one_voxel: Any, merged: Any) -> None:
    first, second = one_voxel((0.7, 0.3), (0.2, 0.8))
    assert np.array_equal(
        merged(Geometric(), [first, second], [1, 2]).probabilities,
        merged(Geometric(), [first, second, second]).probabilities,
    )


def test_views_that_agree_are_not_made_more_certain(one_voxel: Any, merged: Any) -> None:
    result = merged(Geometric(), one_voxel(*[(0.7, 0.3)] * 5))
    assert result.probabilities.ravel() == pytest.approx([0.7, 0.3], abs=1e-4)

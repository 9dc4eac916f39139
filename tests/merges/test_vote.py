from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_merges.vote import Vote

ALL = ("labels", "confidence", "probabilities", "entropy")
EVERYWHERE = (slice(None),) * 3
SHAPE = (3, 4, 5)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), classes=st.integers(2, 6), tied=st.booleans())
def test_counts_are_those_of_a_ballot(
    merged: Any, softmax_views: Any, seed: int, count: int, classes: int, tied: bool
) -> None:
    views = softmax_views(seed, count, classes, SHAPE)
    if tied:
        views = np.round(views * 4) / np.float32(4)
    weights = np.random.default_rng(seed).integers(1, 3, count)
    ballot = sum(np.eye(classes)[view.argmax(0)] * weight for view, weight in zip(views, weights, strict=True))
    result = merged(Vote(), list(views), weights.tolist())
    assert np.array_equal(result.labels, ballot.argmax(-1))
    np.testing.assert_allclose(result.probabilities, np.moveaxis(ballot, -1, 0) / weights.sum(), atol=1e-6)
    np.testing.assert_allclose(result.confidence, ballot.max(-1) / weights.sum(), atol=1e-6)


def test_the_majority_outvotes_the_most_certain_view(one_voxel: Any, merged: Any) -> None:
    result = merged(Vote(), one_voxel((0.99, 0.01), (0.4, 0.6), (0.4, 0.6)), [1, 1, 1])
    assert result.labels.item() == 1
    assert result.confidence.item() == pytest.approx(2 / 3)
    # and not when that view counts three times
    assert merged(Vote(), one_voxel((0.99, 0.01), (0.4, 0.6), (0.4, 0.6)), [3, 1, 1]).labels.item() == 0


def test_equal_counts_give_the_first_class(one_voxel: Any, merged: Any) -> None:
    result = merged(Vote(), one_voxel((0, 0, 1), (0, 1, 0)), [1, 1])
    assert result.labels.item() == 1
    assert result.entropy.item() == pytest.approx(np.log(2) / np.log(3))


def test_two_hundred_and_fifty_five_votes_are_counted(one_voxel: Any, merged: Any) -> None:
    result = merged(Vote(), one_voxel((1, 0), (0, 1)), [127, 128])
    assert result.labels.item() == 1
    assert result.confidence.item() == pytest.approx(128 / 255)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.api import UsageError
from volseg_merges.fusion import Fusion

ALL = ("labels", "confidence", "probabilities")
EVERYWHERE = (slice(None),) * 3
SHAPE = (3, 4, 5)
CLASSES = ("inside", "membrane")


def merged(weights: np.ndarray, views: Any) -> Any:
    names = [f"view {number}" for number in range(len(views))]
    rows = dict(zip(names, weights.tolist(), strict=True))
    merge = Fusion(weights=rows, views=names, classes=[str(index) for index in range(weights.shape[1])])
    merge.start(SHAPE, weights.shape[1], len(views))
    for view, probabilities in enumerate(views):
        merge.add(probabilities, EVERYWHERE, view)
    return merge.result(EVERYWHERE, ALL)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), classes=st.integers(2, 6))
def test_scores_are_the_weighted_sums(softmax_views: Any, seed: int, count: int, classes: int) -> None:
    views = softmax_views(seed, count, classes, SHAPE)
    weights = np.random.default_rng(seed).uniform(0, 5, (count, classes))
    scores = np.einsum("vc,vczyx->czyx", weights, views.astype(np.float64))
    exponential = np.exp(scores - scores.max(0))
    result = merged(weights, list(views))
    np.testing.assert_allclose(result.probabilities, exponential / exponential.sum(0), atol=2e-5)
    best_two = np.sort(scores, 0)[-2:]
    clear = best_two[1] - best_two[0] > 1e-4
    assert np.array_equal(result.labels[clear], scores.argmax(0)[clear])


def test_weights_may_turn_the_decision_for_one_class_only(softmax_views: Any) -> None:
    views = softmax_views(0, 2, 3, SHAPE)
    first = merged(np.array([[1.0, 1, 1], [0, 0, 0]]), list(views)).labels
    assert np.array_equal(first, views[0].argmax(0))
    without = merged(np.array([[1.0, 0, 1], [1, 0, 1]]), list(views)).labels
    assert not (without == 1).any()


def test_the_multiplicity_of_a_view_is_replaced(softmax_views: Any) -> None:
    volume = softmax_views(0, 1, 2, SHAPE)[0]
    single, double = (Fusion(weights={"z": [1, 2]}, views=["z"], classes=CLASSES) for _ in range(2))
    single.start(SHAPE, 2, 1)
    single.add(volume, EVERYWHERE, 0)
    double.start(SHAPE, 2, 2)
    double.add(volume, EVERYWHERE, 0, 2)
    one, other = (merge.result(EVERYWHERE, ALL) for merge in (single, double))
    assert np.array_equal(one.probabilities, other.probabilities)


HINT = "Fit them along these directions: volseg fit-merge RUN --data FILE --labels FILE."


@pytest.mark.parametrize(
    ("weights", "what"),
    [
        ({}, "has no weights for the direction 'y,z,x'; it has them for none"),
        ({"z,y,x": [1, 1]}, "has no weights for the direction 'y,z,x'; it has them for 'z,y,x'"),
        ({"y,z,x": [1]}, "the direction 'y,z,x' has [1]"),
        ({"y,z,x": [1, -1]}, "the direction 'y,z,x' has [1, -1]"),
        ({"y,z,x": [1, float("nan")]}, "the direction 'y,z,x' has [1, nan]"),
        ({"y,z,x": [1, "2"]}, "the direction 'y,z,x' has [1, '2']"),
        ({"y,z,x": [1, True]}, "the direction 'y,z,x' has [1, True]"),
        ({"y,z,x": 3}, "the direction 'y,z,x' has 3"),
        ({"y,z,x": [0, 0]}, "has weights that are all 0"),
    ],
)
def test_wrong_weights_are_refused_before_work(weights: Any, what: str) -> None:
    if "direction 'y,z,x' has " in what:
        what = f"needs a number of at least 0 for each of inside, membrane; {what}"
    with pytest.raises(UsageError) as caught:
        Fusion(weights=weights, views=["y,z,x"], classes=CLASSES)
    assert str(caught.value) == f"merge 'fusion': {what}. {HINT}"

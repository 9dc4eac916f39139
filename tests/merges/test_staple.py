from __future__ import annotations

from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.api import UsageError
from volseg_merges.staple import Staple, estimate, patterns
from volseg_merges.vote import Vote

EVERYWHERE = (slice(None),) * 3


def merged(votes: np.ndarray, classes: int, weights: list[int] | None = None, merge: Any = None) -> Any:
    """Merge votes (V, Z, Y, X) as views that are certain."""
    weights = weights or [1] * len(votes)
    merge = merge or Staple(views=[str(view) for view in range(len(votes))])
    merge.start(votes.shape[1:], classes, sum(weights))
    for view, (labels, weight) in enumerate(zip(votes, weights, strict=True)):
        merge.add(np.moveaxis(np.eye(classes, dtype=np.float32)[labels], -1, 0), EVERYWHERE, view, weight)
    return merge.result(EVERYWHERE, ("labels", "confidence", "probabilities"))


def raters() -> tuple[np.ndarray, np.ndarray]:
    """Votes (4, 3, 10, 10) of raters who draw 5, 15, 30 and 50 % of their labels at random, and the truth."""
    state, draws = 7, []
    for _ in range(300 * 9):
        state = (1103515245 * state + 12345) % 2**31
        draws.append(state >> 16)
    table = np.array(draws).reshape(9, 300)
    truth = table[8] % 3
    votes = [
        np.where(table[view] % 100 < share, table[view + 4] % 3, truth) for view, share in enumerate((5, 15, 30, 50))
    ]
    return np.stack(votes).reshape(4, 3, 10, 10), truth.reshape(3, 10, 10)


def brute_force(votes: np.ndarray, classes: int, rounds: int = 100) -> np.ndarray:
    """STAPLE voxel by voxel with the formulas of Warfield et al. 2004; posterior (N, t)."""
    flat = votes.reshape(len(votes), -1)
    posterior = np.stack([(flat == index).mean(0) for index in range(classes)], 1)
    prior = posterior.mean(0)
    for _ in range(rounds):
        chances = np.array(
            [[posterior[row == said].sum(0) / posterior.sum(0) for said in range(classes)] for row in flat]
        )
        posterior = prior * np.prod([chances[view, row] for view, row in enumerate(flat)], 0)
        posterior /= posterior.sum(1, keepdims=True)
    return posterior


def test_chances_are_those_of_simpleitk() -> None:
    """Expected: confusion matrices of MultiLabelSTAPLEImageFilter of SimpleITK 2.5.7, threshold 1e-7."""
    votes, truth = raters()
    found = estimate(*patterns(xp, votes.astype(np.uint8), 3), 3, [1] * 4)
    first = [[0.973058, 0.011119, 0.025425], [0.026941, 0.962790, 0.0], [0.0, 0.026091, 0.974575]]
    last = [[0.621712, 0.177978, 0.170275], [0.180912, 0.677346, 0.174164], [0.197376, 0.144676, 0.655561]]
    np.testing.assert_allclose(np.exp(found.chances[0]), first, atol=1e-5)
    np.testing.assert_allclose(np.exp(found.chances[3]), last, atol=1e-5)
    # its labels are right in 97.3 % of the voxels, those of a majority vote in 93.7 %
    assert (merged(votes, 3).labels == truth).mean() == pytest.approx(0.97333, abs=1e-4)
    assert (merged(votes, 3, merge=Vote()).labels == truth).mean() == pytest.approx(0.93667, abs=1e-4)


def test_the_posterior_is_that_of_the_formulas() -> None:
    votes, _ = raters()
    expected = brute_force(votes, 3).T.reshape(3, 3, 10, 10)
    result = merged(votes, 3)
    np.testing.assert_allclose(result.probabilities, expected, atol=1e-4)
    np.testing.assert_allclose(result.confidence, expected.max(0), atol=1e-4)


def test_the_view_that_contradicts_two_others_is_found_unreliable_by_hand() -> None:
    """Two views always agree; the third says 0 in one of the three voxels where they say 1."""
    state = np.array([[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 0]], np.uint8).reshape(3, 1, 1, 4)
    found = estimate(*patterns(xp, state, 2), 2, [1, 1, 1])
    assert np.exp(found.prior) == pytest.approx([4 / 12, 8 / 12])
    assert np.exp(found.chances[0]) == pytest.approx(np.eye(2), abs=1e-6)
    assert np.exp(found.chances[2]) == pytest.approx(np.array([[1, 1 / 3], [0, 2 / 3]]), abs=1e-6)


def test_a_view_of_weight_two_counts_as_two_that_agree() -> None:
    votes, _ = raters()
    twice = merged(np.concatenate([votes, votes[-1:]]), 3)
    weighted = merged(votes, 3, [1, 1, 1, 2])
    np.testing.assert_allclose(weighted.probabilities, twice.probabilities, atol=1e-5)
    assert np.abs(weighted.probabilities - merged(votes, 3).probabilities).max() > 0.01


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), views=st.integers(1, 6), classes=st.integers(2, 4))
def test_patterns_count_every_voxel(seed: int, views: int, classes: int) -> None:
    state = np.random.default_rng(seed).integers(0, classes, (views, 2, 3, 4)).astype(np.uint8)
    found, counts = patterns(xp, state, classes)
    rows = [tuple(row) for row in state.reshape(views, -1).T.tolist()]
    listed = {tuple(row): int(count) for row, count in zip(found.tolist(), counts, strict=True) if count}
    assert listed == {row: rows.count(row) for row in rows}


def test_a_class_that_nobody_votes_for_is_never_chosen() -> None:
    votes, _ = raters()
    result = merged(votes * 2, 6)
    assert set(np.unique(result.labels)) <= {0, 2, 4}
    assert result.probabilities[[1, 3, 5]].max() == 0


def test_a_single_view_is_believed() -> None:
    votes = raters()[0][:1]
    assert np.array_equal(merged(votes, 3).labels, votes[0])


def test_more_classes_than_a_byte_holds_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        Staple(views=["z"]).start((1, 1, 1), 257, 1)
    assert str(caught.value) == "merge 'staple': takes at most 256 classes, got 257. Use predict.merge=mean."

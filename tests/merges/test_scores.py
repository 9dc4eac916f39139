from __future__ import annotations

import math

import array_api_compat.numpy as xp
import numpy as np
import pytest

from volseg_merges.scores import best_class, entropy, first_maximum, shares, softmax


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1, 1, 1)


def test_the_first_of_the_largest_wins() -> None:
    values = [np.array(row) for row in ([1, 3, 2], [1, 3, 5], [0, 4, 5])]
    labels, best = first_maximum(xp, values, xp.uint8)
    assert labels.tolist() == [0, 2, 1]
    assert best.tolist() == [1, 4, 5]
    assert labels.dtype == np.uint8


def test_the_largest_keeps_what_is_not_a_number() -> None:
    for values in (column(math.nan, 0.5), column(0.5, math.nan)):
        assert np.isnan(best_class(xp, values, xp.int32)[1]).all()


def test_shares_and_softmax_by_hand() -> None:
    counts = [np.array([3]), np.array([0]), np.array([1])]
    assert shares(xp, counts).ravel().tolist() == [0.75, 0, 0.25]
    logits = [np.array([2_000_000_002]), np.array([2_000_000_000])]
    assert softmax(xp, logits, 0.5).ravel() == pytest.approx([math.e / (1 + math.e), 1 / (1 + math.e)])


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ((0.5, 0.5), 1),
        ((1, 0), 0),
        ((0.25, 0.25, 0.25, 0.25), 1),
        ((0.5, 0.5, 0, 0), 0.5),
        ((0.9, 0.1), -(0.9 * math.log2(0.9) + 0.1 * math.log2(0.1))),
    ],
)
def test_entropy_by_hand(probabilities: tuple[float, ...], expected: float) -> None:
    found = entropy(xp, column(*probabilities)).item()
    assert found == pytest.approx(expected, abs=1e-6)
    assert 0 <= found <= 1

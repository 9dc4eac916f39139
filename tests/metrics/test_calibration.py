import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.api import DataError
from volseg_metrics.calibration import ExpectedCalibrationError

NAMES = ("background", "cell")


def error(prediction: Any, target: Any, bins: int = 15, classes: tuple[str, ...] = NAMES) -> float:
    metric = ExpectedCalibrationError(bins=bins, classes=classes)
    metric.update(np.asarray(prediction), np.asarray(target))
    return metric.compute()["expected-calibration-error"]


def two(foreground: list[float]) -> np.ndarray:
    return np.array([1 - np.array(foreground), foreground])


def by_hand(prediction: np.ndarray, target: np.ndarray, bins: int) -> float:
    """Sum over bins (low, high] of |voxels| / n |accuracy - confidence|, one bin at a time."""
    confidence, right = prediction.max(axis=0).ravel(), (prediction.argmax(axis=0) == target).ravel()
    total = 0.0
    for number in range(bins):
        inside = (confidence > number / bins) & (confidence <= (number + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), classes=st.integers(1, 4), bins=st.integers(1, 20))
def test_scores_are_those_of_one_bin_at_a_time(seed: int, classes: int, bins: int) -> None:
    random = np.random.default_rng(seed)
    prediction = random.dirichlet(np.ones(classes), (5, 6)).transpose(2, 0, 1)
    target = random.integers(0, classes, (5, 6))
    found = error(prediction, target, bins, tuple("abcd"[:classes]))
    assert found == pytest.approx(by_hand(prediction, target, bins))


def test_a_network_that_is_right_as_often_as_it_says_is_calibrated() -> None:
    assert error(two([0.75] * 4), [1, 1, 1, 0]) == pytest.approx(0.0)
    assert error(two([0.75] * 4), [1, 1, 1, 1]) == pytest.approx(0.25)
    assert error(two([0.75] * 4), [0, 0, 0, 0]) == pytest.approx(0.75)
    assert error(two([1.0, 0.0]), [0, 1]) == 1.0


def test_bins_keep_over_and_underconfidence_apart() -> None:
    prediction, target = two([0.6, 0.6, 0.9, 0.9]), [1, 1, 1, 0]
    assert error(prediction, target, bins=1) == pytest.approx(0.0)
    assert error(prediction, target, bins=10) == pytest.approx(0.4)


def test_half_precision_as_predict_writes_it_scores_the_same() -> None:
    random = np.random.default_rng(0)
    prediction = random.dirichlet(np.ones(3), (6, 7)).transpose(2, 0, 1).astype(np.float16)
    target = random.integers(0, 3, (6, 7))
    expected = error(prediction.astype(np.float64), target, classes=("a", "b", "c"))
    assert error(prediction, target, classes=("a", "b", "c")) == pytest.approx(expected)


def test_rounding_beyond_one_is_forgiven() -> None:
    assert error(np.float32([[1.0000002], [0.0]]), [0]) == 0.0


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (np.zeros((2, 3), int), "the prediction is int64 of shape (2, 3)"),
        (np.zeros((3, 3)), "the prediction is float64 of shape (3, 3)"),
        (np.full((2, 3), 4.2), "the prediction holds values that are no probabilities"),
        (np.full((2, 3), -0.5), "the prediction holds values that are no probabilities"),
        (np.full((2, 3), math.nan), "the prediction holds values that are no probabilities"),
        (np.zeros((2, 4)), "prediction (4,) and target (3,) differ in shape"),
    ],
)
def test_what_is_no_probability_is_refused(prediction: np.ndarray, message: str) -> None:
    with pytest.raises(DataError) as raised:
        error(prediction, [0, 1, 0])
    assert str(raised.value).startswith(f"metric: {message}")

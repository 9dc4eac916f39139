import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from volseg_core.api import DataError
from volseg_metrics.differences import Differences, MeanAbsoluteError, MeanSquaredError, PeakSignalToNoise

each_metric = pytest.mark.parametrize("kind", [MeanSquaredError, MeanAbsoluteError, PeakSignalToNoise])


def scored(metric: Differences, *arrays: np.ndarray) -> dict[str, float]:
    metric.update(*arrays)
    return metric.compute()


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), scale=st.sampled_from([1e-3, 1.0, 500.0]))
def test_scores_are_those_of_scikit_image_also_beyond_its_ranges(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    target = scale * random.normal(size=(1, 4, 5, 6))
    prediction = target + random.normal(size=target.shape)
    assert scored(MeanSquaredError(classes="a"), prediction, target)["mse"] == pytest.approx(
        mean_squared_error(target, prediction)
    )
    own = peak_signal_noise_ratio(target, prediction, data_range=np.ptp(target))
    assert scored(PeakSignalToNoise(classes="a"), prediction, target)["psnr"] == pytest.approx(own)
    fixed = peak_signal_noise_ratio(target, prediction, data_range=7)
    assert scored(PeakSignalToNoise(range=7, classes="a"), prediction, target)["psnr"] == pytest.approx(fixed)


def test_values_by_hand() -> None:
    prediction, target = np.array([[1.0, 2.0], [0.0, 5.0]]), np.array([[0.0, 4.0], [0.0, np.nan]])
    assert scored(MeanSquaredError(classes="ab"), prediction, target) == {"mse": 1.25, "mse/a": 2.5, "mse/b": 0.0}
    assert scored(MeanAbsoluteError(classes="ab"), prediction, target) == {"mae": 0.75, "mae/a": 1.5, "mae/b": 0.0}
    noise = scored(PeakSignalToNoise(range=4, classes="ab"), prediction, target)
    assert noise == {"psnr": math.inf, "psnr/a": pytest.approx(10 * math.log10(16 / 2.5)), "psnr/b": math.inf}


def test_the_range_is_that_of_the_target_over_all_updates() -> None:
    metric = PeakSignalToNoise(classes="a")
    metric.update(np.array([[1.0, 1.0]]), np.array([[0.0, 1.0]]))
    metric.update(np.array([[10.0, 9.0]]), np.array([[10.0, 10.0]]), np.array([[True, True]]))
    metric.update(np.array([[0.0]]), np.array([[500.0]]), np.array([[False]]))
    assert metric.compute()["psnr"] == pytest.approx(10 * math.log10(100 / (2 / 4)))


def test_a_constant_target_has_no_range_of_its_own() -> None:
    flat = np.full((1, 3), 4.0)
    assert math.isnan(scored(PeakSignalToNoise(classes="a"), flat + 1, flat)["psnr"])
    assert scored(PeakSignalToNoise(range=10, classes="a"), flat + 1, flat)["psnr"] == pytest.approx(20)


@each_metric
def test_a_channel_without_a_target_is_left_out_of_the_mean(kind: type[Differences]) -> None:
    target = np.array([[0.0, 1.0], [np.nan, np.nan]])
    scores = scored(kind(classes="ab"), target + 1, target)
    assert math.isnan(scores[f"{kind.name}/b"])
    assert scores[kind.name] == scores[f"{kind.name}/a"]


@each_metric
def test_half_precision_does_not_overflow(kind: type[Differences]) -> None:
    target = np.array([[0.0, 60000.0]], np.float32)
    prediction = np.array([[60000.0, 0.0]], np.float16)
    assert math.isfinite(scored(kind(classes="a"), prediction, target)[kind.name])


@each_metric
def test_what_is_not_finite_is_refused_where_it_counts(kind: type[Differences]) -> None:
    target = np.array([[0.0, 1.0]])
    metric = kind(classes="a")
    with pytest.raises(DataError, match="metric: the prediction holds values that are not finite"):
        metric.update(np.array([[0.0, np.nan]]), target)
    with pytest.raises(DataError, match="metric: the target holds values that are not finite"):
        metric.update(target, np.array([[0.0, np.inf]]))
    metric.update(np.array([[0.5, np.nan]]), target, np.array([[True, False]]))

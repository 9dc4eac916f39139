from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.errors import DataError
from volseg_core.volume import Normalisation
from volseg_core.volume.normalise import KINDS, Normaliser

DTYPES = [np.uint8, np.uint16, np.int16, np.int32, np.float16, np.float32, np.float64]


def rule(kind: str) -> Normalisation:
    return Normalisation(kind, (20.0, 200.0) if kind == "range" else (0.5, 99.5))


def grey(dtype: type = np.uint8, shape: tuple[int, ...] = (1, 6, 20, 20)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [*DTYPES, bool])
@pytest.mark.parametrize("kind", KINDS)
def test_prediction_sees_what_training_saw(kind: str, dtype: Any) -> None:
    data = grey(dtype, (2, 6, 20, 20))
    normaliser = rule(kind).fit(data)
    window = data[:, 2, 3:9]
    trained = normaliser.to_network(normaliser.unit(window))
    predicted = normaliser(window)
    assert trained.dtype == predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, trained, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_grey_value_means_the_same_in_every_type(kind: str) -> None:
    seen = [rule(kind).fit(grey(dtype))(grey(dtype)) for dtype in DTYPES]
    for other in seen[1:]:
        np.testing.assert_allclose(other, seen[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_grey_value_means_the_same_in_every_slice(kind: str) -> None:
    data = grey(np.uint16)
    data[0, 0] //= 4  # a dark slice
    data[0, 1] += 1000
    data[0, :, 0, 0] = 200
    normaliser = rule(kind).fit(data)
    slices = [normaliser(data[:, z]) for z in range(data.shape[1])]
    assert len({plane[0, 0, 0] for plane in slices}) == 1
    np.testing.assert_array_equal(np.stack(slices, 1), normaliser(data))


def test_zscore_has_mean_zero_and_sd_one_after_clipping() -> None:
    data = grey()
    seen = rule("zscore").fit(data)(data).astype(float)
    assert seen.mean() == pytest.approx(0, abs=1e-5)
    assert seen.std() == pytest.approx(1, abs=1e-5)


def test_percentiles_span_the_unit_range_and_hot_voxels_do_not() -> None:
    data = grey(np.uint16)
    data[0, 0, 0, 0] = 65535
    seen = rule("percentile").fit(data)(data)
    assert (seen.min(), seen.max()) == (0, 1)
    assert np.median(seen) == pytest.approx(0.5, abs=0.05)


def test_a_range_is_fixed_whatever_the_volume() -> None:
    window = np.array([[0, 20, 110, 200, 255]], np.int16)
    for data in (grey(), grey() // 2):
        np.testing.assert_allclose(rule("range").fit(data)(window), [[-1, -1, 0, 1, 1]], atol=1e-6)


def test_none_leaves_values_alone() -> None:
    data = grey(np.int16) - 300
    assert rule("none").fit(data)(data).tolist() == data.tolist()


def test_channels_are_measured_apart() -> None:
    data = np.concatenate([grey(np.uint16), grey(np.uint16) * 100 + 7])
    seen = rule("zscore").fit(data)(data)
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-4)


def test_contrast_of_large_grey_values_is_kept() -> None:
    data = grey(np.float64) / 256 + 1e8
    np.testing.assert_allclose(rule("zscore").fit(data)(data), rule("zscore").fit(data - 1e8)(data - 1e8), atol=1e-4)


@given(st.lists(st.integers(-30000, 30000), min_size=2, max_size=40, unique=True))
def test_bounds_are_numpys_percentiles(values: Any) -> None:
    data = np.array(values, np.int16).reshape(1, 1, 1, -1)
    (channel,) = Normalisation("zscore", (5, 90)).fit(data).channels
    assert (channel.low, channel.high) == pytest.approx(tuple(np.percentile(data.astype(float), (5, 90))))
    clipped = np.clip(data.astype(float), channel.low, channel.high)
    assert channel.mean == pytest.approx(clipped.mean(), abs=1e-6)
    assert channel.std == pytest.approx(clipped.std(), abs=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize(
    ("clip", "cut"), [((0, 100), (False, False)), ((0, 99), (False, True)), ((1, 100), (True, False))]
)
def test_percentiles_0_and_100_cut_nothing_off_what_a_sample_misses(dtype: Any, clip: Any, cut: Any) -> None:
    data = np.random.default_rng(0).integers(50, 60, (1, 40, 40, 40)).astype(dtype)
    data[0, 0, 0, 0], data[0, 0, 0, 1] = 3, 120
    normaliser = Normalisation("zscore", clip).fit(data, limit=4000)
    assert normaliser.sampled
    (channel,) = normaliser.channels
    assert (channel.low > 3, channel.high < 120) == cut
    dark, bright = normaliser.unit(data[:, 0])[0, 0, :2]
    assert (dark, bright) == (0, 1)
    assert channel.mean == pytest.approx(54.5, abs=0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_measured_can_be_written_down_and_read_back(kind: str) -> None:
    normaliser = rule(kind).fit(grey(shape=(2, 6, 20, 20)))
    assert Normaliser.from_dict(json.loads(json.dumps(normaliser.as_dict()))) == normaliser


@pytest.mark.parametrize("kind", ["zscore", "percentile"])
def test_a_constant_volume_is_refused(kind: str) -> None:
    with pytest.raises(DataError, match=r"scan.h5: is constant: every voxel is 7. Check the dataset path"):
        rule(kind).fit(np.full((1, 3, 4, 5), 7, np.uint8), "scan.h5")


def test_a_constant_channel_is_named() -> None:
    data = grey(shape=(2, 6, 20, 20))
    data[1] = 3
    with pytest.raises(DataError, match=r"scan.h5, channel 1: is constant: every voxel is 3"):
        rule("zscore").fit(data, "scan.h5")


@pytest.mark.parametrize("kind", ["none", "range"])
def test_a_constant_volume_is_no_matter_where_no_contrast_is_needed(kind: str) -> None:
    seen = rule(kind).fit(np.full((1, 3, 4, 5), 110, np.uint8))
    window = np.full((1, 2, 2), 110, np.uint8)
    assert np.unique(seen(window)) == {"none": 110, "range": 0}[kind]
    np.testing.assert_allclose(seen.to_network(seen.unit(window)), seen(window), atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_volume_with_nan_is_refused(value: Any) -> None:
    data = grey(np.float32)
    data[0, 3, 4, 5] = value
    with pytest.raises(DataError, match=r"scan.h5: holds 1 voxels that are NaN or infinite"):
        rule("zscore").fit(data, "scan.h5")


def test_a_few_bright_voxels_on_a_constant_ground_are_seen() -> None:
    data = np.zeros((1, 10, 50, 50), np.uint8)
    data[0, 5, 5, 5] = 200
    seen = rule("zscore").fit(data)(data)
    assert np.isfinite(seen).all()
    assert seen.max() == seen[0, 5, 5, 5] > 0


def test_large_volumes_are_sampled_all_over() -> None:
    data = grey(np.uint16, (1, 64, 64, 64))
    data[0] += (np.arange(64, dtype=np.uint16) * 20)[:, None, None]  # brightness drifts along z
    full, sampled = rule("zscore").fit(data), rule("zscore").fit(data, limit=4000)
    assert (full.sampled, sampled.sampled) == (False, True)
    assert sampled.channels[0].mean == pytest.approx(full.channels[0].mean, rel=0.02)
    assert sampled.channels[0].std == pytest.approx(full.channels[0].std, rel=0.05)


def test_what_a_sample_missed_is_not_taken_for_constant() -> None:
    data = np.zeros((1, 64, 64, 64), np.uint8)
    data[0, 0, 0, 0] = 9
    seen = rule("zscore").fit(data, limit=100)(data)
    assert np.isfinite(seen).all()
    assert np.unique(seen).size == 2


def test_a_sample_of_one_huge_image_is_taken_within_it() -> None:
    image = grey(np.uint8, (1, 1, 400, 400))
    normaliser = rule("zscore").fit(image, limit=1000)
    assert normaliser.sampled
    assert normaliser.channels[0].mean == pytest.approx(image.mean(), rel=0.05)


def test_measuring_takes_no_float_copy_of_the_volume() -> None:
    data = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 256), np.uint8)
    tracemalloc.start()
    rule("zscore").fit(data, limit=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * data.nbytes


@pytest.mark.parametrize(
    ("kind", "clip", "text"), [("zcsore", (1, 99), "is not one of"), ("range", (5, 5), "ascending")]
)
def test_rules_that_cannot_be_are_refused(kind: str, clip: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Normalisation(kind, clip)

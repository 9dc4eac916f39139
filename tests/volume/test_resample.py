"""Volumes on another grid of voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.errors import DataError
from volseg_core.volume import Grid
from volseg_core.volume.resample import resample, resampled_shape

SHAPES = st.tuples(*[st.integers(1, 12)] * 3)


def ramp(shape: tuple[int, ...]) -> np.ndarray:
    """Values that grow linearly along each axis, by where voxels lie in the box."""
    z, y, x = ((np.arange(size) + 0.5) / size for size in shape)
    return (z[:, None, None] + 2 * y[:, None] + 4 * x)[np.newaxis].astype(np.float32)


@pytest.mark.parametrize("linear", [True, False])
def test_the_same_grid_gives_the_array_itself(linear: bool) -> None:
    array = ramp((3, 4, 5))
    assert resample(array, (3, 4, 5), linear=linear) is array


@given(SHAPES, SHAPES)
def test_a_constant_stays_and_nothing_leaves_the_range(shape: Any, wanted: Any) -> None:
    array = np.full((2, *shape), 7, np.uint8)
    assert (resample(array, wanted, linear=True) == 7).all()
    random = np.random.default_rng(0).random((1, *shape), np.float32)
    found = resample(random, wanted, linear=True)
    assert found.shape == (1, *wanted)
    assert random.min() - 1e-5 <= found.min()
    assert found.max() <= random.max() + 1e-5


@pytest.mark.parametrize("wanted", [(16, 24, 20), (16, 6, 10), (4, 12, 5), (13, 9, 11)])
def test_a_ramp_stays_a_ramp_away_from_the_border(wanted: Any) -> None:
    found = resample(ramp((8, 12, 10)), wanted, linear=True)
    inner = (slice(None), *(slice(size // 4, size - size // 4) for size in wanted))
    np.testing.assert_allclose(found[inner], ramp(wanted)[inner], atol=0.02)


def test_larger_voxels_look_at_all_that_they_cover() -> None:
    checks = np.indices((8, 8, 8)).sum(0)[np.newaxis] % 2 * np.float32(1)
    found = resample(checks, (2, 2, 2), linear=True)
    np.testing.assert_allclose(found, 0.5, atol=0.01)


@given(SHAPES, st.tuples(*[st.integers(1, 4)] * 3))
def test_ids_come_from_the_voxel_that_holds_the_centre(shape: Any, factors: Any) -> None:
    ids = np.arange(np.prod(shape), dtype=np.int64).reshape(1, *shape) + 2**40
    finer = tuple(size * factor for size, factor in zip(shape, factors, strict=True))
    found = resample(ids, finer, linear=False)
    wanted = ids
    for axis, factor in enumerate(factors, 1):
        wanted = wanted.repeat(factor, axis)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(resample(found, shape, linear=False), ids)


def test_integers_are_rounded_and_keep_their_type() -> None:
    array = np.array([0, 255], np.uint8).reshape(1, 1, 1, 2)
    np.testing.assert_array_equal(resample(array, (1, 1, 4), linear=True).ravel(), [0, 64, 191, 255])


def test_what_is_not_known_stays_unknown_and_no_more() -> None:
    array = np.array([1, 2, np.nan, 4, 5], np.float32).reshape(1, 1, 1, 5)
    found = resample(array, (1, 1, 10), linear=True).ravel()
    np.testing.assert_array_equal(np.isnan(found), [0, 0, 0, 1, 1, 1, 1, 0, 0, 0])


def test_pieces_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0).random((1, 9, 10, 11), np.float32)
    whole = [resample(random, (14, 7, 20), linear=linear) for linear in (True, False)]
    monkeypatch.setattr("volseg_core.volume.resample.PIECE", 7 * 20 * 2)
    pieces = [resample(random, (14, 7, 20), linear=linear) for linear in (True, False)]
    np.testing.assert_allclose(pieces[0], whole[0], atol=1e-6)
    np.testing.assert_array_equal(pieces[1], whole[1])


def test_the_shape_follows_the_spacing() -> None:
    assert resampled_shape((10, 20, 30), Grid((40, 8, 8)), (20, 16, 8)) == (20, 10, 30)
    assert resampled_shape((10, 20, 30), Grid((40, 8, 8)), (40.001, 8, 8)) == (10, 20, 30)
    assert resampled_shape((1, 20, 30), Grid((1, 8, 8)), (100, 8, 8)) == (1, 20, 30)


def test_without_a_spacing_nothing_is_resampled() -> None:
    with pytest.raises(DataError, match=r"a\.h5: does not say its spacing, so that it cannot be resampled"):
        resampled_shape((1, 2, 3), Grid(source="a.h5"), (1, 1, 1))
    with pytest.raises(DataError, match="is of independent images"):
        resampled_shape((1, 2, 3), Grid((1, 1, 1), independent=True), (1, 1, 1))


@pytest.mark.parametrize("spacing", [(0.008,) * 3, (8.0, 8.0, 8000.0)])
def test_voxels_a_thousand_times_as_large_are_taken_for_a_mistaken_unit(spacing: Any) -> None:
    grid = Grid(spacing, source="a.h5")
    with pytest.raises(DataError, match=r"a\.h5: has voxels of .*, 1e\+03 times off data\.resample, 8 x 8 x 8"):
        resampled_shape((100, 100, 100), grid, (8, 8, 8))
    assert resampled_shape((10, 10, 10), Grid((80, 8, 8)), (8, 8, 8)) == (100, 10, 10)

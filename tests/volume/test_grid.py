from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.errors import DataError
from volseg_core.volume import Grid, Volume, to_czyx
from volseg_core.volume.grid import CHUNK, check_finite, pieces, whole_chunks


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((4, 5), "", (1, 1, 4, 5)),
        ((3, 4, 5), "", (1, 3, 4, 5)),
        ((2, 3, 4, 5), "", (2, 3, 4, 5)),
        ((3, 4, 5, 2), "zyxc", (2, 3, 4, 5)),
        ((4, 5, 2), "yxc", (2, 1, 4, 5)),
        ((7, 4, 5), "nyx", (1, 7, 4, 5)),
        ((2, 7, 4, 5), "cnyx", (2, 7, 4, 5)),
        ((5, 4, 3), "xyz", (1, 3, 4, 5)),
    ],
)
def test_arrays_are_shown_with_channel_z_y_and_x(shape: Any, axes: str, expected: Any) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    shown = to_czyx(array, axes)
    assert shown.shape == expected
    assert np.shares_memory(shown, array)


def test_channels_last_become_channels_first() -> None:
    array = np.random.default_rng(0).integers(0, 9, (3, 4, 5, 2))
    np.testing.assert_array_equal(to_czyx(array, "zyxc")[1], array[..., 1])


@pytest.mark.parametrize("shape", [(), (5,), (1, 2, 3, 4, 5)])
def test_other_numbers_of_dimensions_are_no_volume(shape: Any) -> None:
    with pytest.raises(
        DataError, match=rf"scan: an array with {len(shape)} dimensions is not a volume\. A volume has 2"
    ):
        to_czyx(np.zeros(shape), where="scan")


def test_an_array_without_values_is_refused() -> None:
    with pytest.raises(DataError, match=r"an array of shape \(0, 4, 5\) holds no values"):
        to_czyx(np.zeros((0, 4, 5)))


def test_stacks_of_independent_volumes_are_refused() -> None:
    with pytest.raises(DataError, match=r"has axes 'nzyx': independent images \(n\) of several planes \(z\)"):
        to_czyx(np.zeros((2, 3, 4, 5)), "nzyx")


def test_a_volume_has_a_channel_axis() -> None:
    volume = Volume(np.zeros((2, 3, 4, 5)))
    assert (volume.channels, volume.shape) == (2, (3, 4, 5))
    with pytest.raises(DataError, match="an array with 3 dimensions is not a volume"):
        Volume(np.zeros((3, 4, 5)))


@pytest.mark.parametrize(
    ("spacing", "isotropic"), [(None, True), ((1, 1, 1), True), ((2, 1, 1), True), ((2.1, 1, 1), False)]
)
def test_spacing_counts_as_isotropic_up_to_a_factor_of_two(spacing: Any, isotropic: Any) -> None:
    assert Grid(spacing).isotropic is isotropic


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [((5, 1, 1), 0), ((1, 5, 1), 1), ((1, 1, 5), 2), ((1, 4, 4), 0), ((4, 4, 1), 2), ((1, 2, 7), 2), ((1, 4, 5), 0)],
)
def test_the_odd_axis_is_the_one_that_differs_from_the_two_others(spacing: Any, axis: int) -> None:
    assert Grid(spacing).odd_axis((8, 64, 64)) == "zyx"[axis]


@pytest.mark.parametrize(
    ("shape", "axis"), [((47, 95, 95), "z"), ((47, 94, 95), ""), ((48, 500, 500), ""), ((500, 8, 500), "")]
)
def test_few_planes_make_z_odd_where_no_spacing_differs(shape: Any, axis: str) -> None:
    assert Grid().odd_axis(shape) == Grid((1, 1, 2)).odd_axis(shape) == axis


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("nm", 4e-9), ("µm", 4e-6), ("μm", 4e-6), ("um", 4e-6), (" MM ", 4e-3), ("angstrom", 4e-10), ("pixel", None)],
)
def test_spacing_in_metres(unit: str, expected: float | None) -> None:
    assert Grid((4.0, 4.0, 4.0), unit).metres == (None if expected is None else pytest.approx((expected,) * 3))
    assert Grid(None, unit).metres is None


def test_a_spacing_is_told_in_another_unit_where_both_are_known() -> None:
    grid = Grid((0.04, 0.008, 0.008), "um", "a.h5")
    there = grid.in_unit("nm")
    assert (there.spacing, there.unit, there.source) == (pytest.approx((40, 8, 8)), "nm", "a.h5")
    assert there.voxel_size == "40 x 8 x 8 nm"
    for unit in ("", "pixel"):
        assert grid.in_unit(unit) is grid
        assert replace(grid, unit=unit).in_unit("nm").spacing == grid.spacing


@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), st.integers(1, 200))
def test_pieces_cover_every_voxel_once_and_keep_their_size(shape: Any, voxels: Any) -> None:
    seen = np.zeros(shape, int)
    for box in pieces(shape, voxels):
        seen[box] += 1
        assert seen[box].size <= max(voxels, np.prod(shape[2:]))
    assert (seen == 1).all()


@given(shape=st.tuples(*[st.integers(1, 200)] * 2, st.integers(1, 3)), voxels=st.sampled_from([1, 20_000, 1 << 20]))
def test_whole_chunks_cover_every_voxel_once_and_share_no_chunk(shape: Any, voxels: Any) -> None:
    seen = np.zeros(shape, int)
    for box in whole_chunks(shape, voxels):
        seen[box] += 1
        assert all(part.start % CHUNK == 0 for part in box)
        assert seen[box].size <= max(voxels, CHUNK * CHUNK * shape[2])
    assert (seen == 1).all()


def test_voxels_that_are_not_finite_are_counted() -> None:
    data = np.zeros((2, 3, 4, 5), np.float32)
    data[0, 1, 2, 3] = np.nan
    data[1, 0, 0, 0] = -np.inf
    with pytest.raises(DataError, match=r"scan: holds 2 voxels that are NaN or infinite. Replace them first"):
        check_finite(data, "scan")
    check_finite(np.zeros((1, 2, 2, 2)), "scan")
    check_finite(np.zeros((1, 2, 2, 2), int), "scan")

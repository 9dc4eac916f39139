from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from volseg_core.api import UsageError

nan = np.nan
ROW = np.array([[1, 1, 2, 2, 0, 0, -1, 3, 3]], np.int32)


def row_of(target: Any) -> list[float]:
    (made,) = target(ROW)
    return made[0].tolist()


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (-1, [nan, 1, 0, 1, 0, 0, nan, nan, 1]),
        (1, [1, 0, 1, 0, 0, nan, nan, 1, nan]),
        (-2, [nan, nan, 0, 0, 0, 0, nan, 0, nan]),
    ],
)
def test_a_voxel_holds_its_affinity_to_what_lies_at_the_offset(offset: int, expected: list[float], make: Any) -> None:
    np.testing.assert_array_equal(row_of(make("affinities", 2, offsets=[[0, offset]])), expected)


def test_the_background_belongs_together_on_request(make: Any) -> None:
    found = row_of(make("affinities", 2, offsets=[[0, -1]], background=True))
    np.testing.assert_array_equal(found, [nan, 1, 0, 1, 0, 1, nan, nan, 1])


def test_differences_are_the_other_way_round(make: Any) -> None:
    target = make("affinities", 2, offsets=[[0, -1]], values="different")
    assert target.names == ("difference 0 -1",)
    np.testing.assert_array_equal(row_of(target), [nan, 0, 1, 0, 1, 1, nan, nan, 0])


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (1, [1, 0, 1, 0, 0, nan, nan, 1, nan]),
        (2, [nan, 0, 0, 0, 0, nan, nan, nan, nan]),
        (-3, [nan, nan, 0, 0, 0, nan, nan, 0, nan]),
        (3, [nan, 0, 0, 0, nan, 0, nan, nan, nan]),
    ],
)
def test_the_middle_of_a_pair_may_hold_its_affinity(offset: int, expected: list[float], make: Any) -> None:
    """Of three steps the middle lies between two voxels: the one nearer to the first holds it."""
    np.testing.assert_array_equal(row_of(make("affinities", 2, offsets=[[0, offset]], placed="middle")), expected)


def test_grouped_offsets_share_a_channel_that_is_1_where_all_belong_together(make: Any) -> None:
    ids = np.array([[1, 1, 1], [1, 1, 2], [1, 2, 2]], np.int32)
    target = make("affinities", 2, offsets=[[-1, 0], [0, -1], [-2, 0], [0, -2]], grouped=2)
    assert target.names == ("affinity -1 0, 0 -1", "affinity -2 0, 0 -2")
    expected = [[nan, nan, nan], [nan, 1, 0], [nan, 0, 1]], [[nan, nan, nan], [nan, nan, nan], [nan, nan, 0]]
    np.testing.assert_array_equal(target(ids), expected)
    different = make("affinities", 2, offsets=target.offsets, grouped=2, values="different")
    np.testing.assert_array_equal(different(ids), 1 - np.array(expected))


def test_the_channel_before_is_that_of_its_own_target(make: Any) -> None:
    ids = np.random.default_rng(0).integers(-1, 3, (5, 6, 7)).astype(np.int32)
    plain = make("affinities")(ids)
    for name, other in (("foreground", make("foreground")), ("boundary", make("boundaries", connectivity=2))):
        target = make("affinities", channel=name, connectivity=2)
        assert target.names == (name, "affinity -1 0 0", "affinity 0 -1 0", "affinity 0 0 -1")
        np.testing.assert_array_equal(target(ids), np.concatenate([other(ids), plain]))


@given(data=st.data())
def test_every_voxel_is_compared_with_its_partner(data: st.DataObject, make: Any) -> None:
    shape = data.draw(arrays.array_shapes(min_dims=2, max_dims=3, max_side=5))
    ids = data.draw(arrays.arrays(np.int32, shape, elements=st.integers(-1, 2)))
    offset = data.draw(st.tuples(*(st.integers(-6, 6) for _ in shape)).filter(any))
    (made,) = make("affinities", len(shape), offsets=[list(offset)])(ids)
    for place in np.ndindex(shape):
        partner = tuple(here + step for here, step in zip(place, offset, strict=True))
        inside = all(0 <= there < size for there, size in zip(partner, shape, strict=True))
        if inside and ids[place] >= 0 and ids[partner] >= 0:
            assert made[place] == (ids[place] == ids[partner] > 0)
        else:
            assert np.isnan(made[place])


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"offsets": []}, "target.offsets: there is none. Write them like (-1, 0, 0)."),
        ({"offsets": [[-1, 0]]}, "target.offsets: [-1, 0] is no step along 3 axes in whole voxels. Write"),
        ({"offsets": [-1]}, "target.offsets: -1 is no step along 3 axes in whole voxels. Write"),
        ({"offsets": [[0, 0, 0]]}, "target.offsets: [0, 0, 0] is no step along 3 axes in whole voxels. Write"),
        ({"offsets": [[0, 0.5, 0]]}, "target.offsets: [0, 0.5, 0] is no step along 3 axes in whole voxels. Write"),
        ({"offsets": [[0, 0, 1]] * 2}, "target.offsets: [0, 0, 1] is there twice. Name each offset once."),
        ({"grouped": 2}, "target.grouped: 3 offsets do not form groups of 2. Give a divisor of their number."),
    ],
)
def test_what_are_no_offsets_is_refused(params: dict[str, Any], text: str, make: Any) -> None:
    with pytest.raises(UsageError) as error:
        make("affinities", **params)
    assert str(error.value).startswith(text)

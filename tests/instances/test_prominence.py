"""Peaks that hardly rise above their saddle belong to the higher one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from volseg_instances.prominence import joined
from volseg_instances.watersheds import DistanceWatershed

HEIGHT = np.array([[1.0, 9, 8, 7, 8, 3, 8, 2, 10]])
BASINS = np.array([[1, 1, 1, 1, 2, 2, 3, 3, 4]])


@pytest.mark.parametrize(
    ("prominence", "wanted"),
    [
        (0.0, [1, 1, 1, 1, 2, 2, 3, 3, 4]),
        (0.1, [1, 1, 1, 1, 2, 2, 3, 3, 4]),  # 8 falls to 7 before 9: an eighth
        (0.2, [1, 1, 1, 1, 1, 1, 2, 2, 3]),
        (0.7, [1, 1, 1, 1, 1, 1, 1, 1, 2]),  # 8 falls to 3
        (0.9, [1, 1, 1, 1, 1, 1, 1, 1, 1]),  # 9 falls to 2
    ],
)
def test_saddles_join_basins_by_hand(prominence, wanted):
    assert joined(BASINS, HEIGHT, prominence).tolist() == [wanted]


def test_nothing_is_joined_across_the_background():
    assert joined(np.array([[1, 0, 2]]), np.array([[5.0, 5.0, 5.0]]), 0.9).tolist() == [[1, 0, 2]]


@given(
    hnp.arrays(np.int64, (4, 5, 6), elements=st.integers(0, 5)),
    hnp.arrays(np.float64, (4, 5, 6), elements=st.floats(0.5, 9)),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
)
def test_objects_are_unions_of_basins_and_the_more_is_asked_the_fewer_they_are(basins, height, less, more):
    few = [joined(basins, height, share) for share in (less, less + more)]
    for found in few:
        assert ((found > 0) == (basins > 0)).all()
        pairs = np.unique(np.stack((basins, found)).reshape(2, -1), axis=1)
        assert len(pairs[0]) == len(np.unique(basins)), "every basin has one number"
    assert len(np.unique(few[1])) <= len(np.unique(few[0]))


@pytest.mark.parametrize(("apart", "count"), [(1.1, 1), (1.6, 2)])
def test_spheres_are_parted_by_how_far_their_centres_are_apart(apart, count):
    z, y, x = np.indices((32, 32, 64))
    radius = 12
    mask = np.zeros((32, 32, 64), np.uint8)
    for centre in (32 - apart * radius / 2, 32 + apart * radius / 2):
        mask |= ((z - 16) ** 2 + (y - 16) ** 2 + (x - centre) ** 2 < radius**2).astype(np.uint8)
    assert DistanceWatershed(min_distance=2, smooth=1)(mask).max() == count
    assert len(np.unique(DistanceWatershed(min_distance=2, smooth=1, prominence=0)(mask))) - 1 == 2

"""Peaks that hardly rise above their saddle belong to the higher one."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from volseg_core.operations import evaluate
from volseg_instances.prominence import joined
from volseg_instances.watersheds import DistanceWatershed

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
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


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data here")
def test_real_nuclei_are_not_parted_by_the_roughness_of_their_surface():
    with h5py.File(SHARED / "nuclei3d" / "train.h5") as file:
        truth = file["labels"][()].astype(np.int32)
    mask = (truth > 0).astype(np.uint8)
    errors, counts = {}, {}
    for prominence in (0, 0.25):
        found = DistanceWatershed(prominence=prominence)(mask).astype(np.int32)
        errors[prominence] = evaluate(found, truth, instances=True, metrics=["adapted-rand"])["adapted-rand"]
        counts[prominence] = int(found.max())
    assert errors[0.25] < 0.6 * errors[0]
    assert 8 <= counts[0.25] < counts[0], "of 10 nuclei"

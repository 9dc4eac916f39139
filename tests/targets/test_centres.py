from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

nan = np.nan


def test_steps_lead_to_the_centre_of_mass(make: Any) -> None:
    ids = np.zeros((8, 9, 10), np.int32)
    ids[2:5, 2:4, 3:8] = 5
    ids[5:7, 3, 4] = 5
    target = make("centre-offsets")
    assert target.names == ("centre z", "centre y", "centre x")
    made = target(ids)
    arrived = (np.indices(ids.shape) + made)[:, ids == 5]
    centre = np.array(ndimage.center_of_mass(ids))[:, None]
    np.testing.assert_allclose(arrived, np.broadcast_to(centre, arrived.shape), rtol=1e-6)
    assert np.isnan(made[:, ids != 5]).all()


def test_parts_of_an_id_that_do_not_touch_are_objects_of_their_own(make: Any) -> None:
    row = np.array([[0] * 9, [0, 1, 1, 1, 0, 1, 1, 2, 0], [0] * 9], np.int32)
    target = make("centre-offsets", 2)
    assert target.names == ("centre y", "centre x")
    made = target(row)
    np.testing.assert_array_equal(made[1, 1], [nan, 1, 0, -1, nan, 0.5, -0.5, 0, nan])
    np.testing.assert_array_equal(made[0, 1], [nan, 0, 0, 0, nan, 0, 0, 0, nan])


@pytest.mark.parametrize("place", [(1, 0), (0, 1), (2, 4), (3, 2)])
def test_an_object_of_which_something_may_be_missing_has_no_centre(place: tuple[int, int], make: Any) -> None:
    ids = np.zeros((5, 6), np.int32)
    ids[1:3, 1:4] = 1
    whole = make("centre-offsets", 2)(ids)
    assert np.isfinite(whole[:, 1:3, 1:4]).all()
    ids[place] = -1
    assert np.isnan(make("centre-offsets", 2)(ids)[:, 1:3, 1:4]).all()
    assert np.isnan(make("centre-offsets", 2)(ids[:, 1:])).all()


def test_physical_steps_are_in_the_unit_of_the_spacing(make: Any) -> None:
    ids = np.zeros((4, 5), np.int32)
    ids[1:3, 1:4] = 1
    made = make("centre-offsets", 2, units="physical", spacing=(2.0, 0.5))(ids)
    np.testing.assert_array_equal(made[0, 1:3, 1], [1, -1])
    np.testing.assert_array_equal(made[1, 1, 1:4], [0.5, 0, -0.5])

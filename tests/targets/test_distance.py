"""Distances against the definition: to the nearest face of every voxel of another id, one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from volseg_core.api import UsageError
from volseg_targets.distance import border_distances

nan = np.nan
SPACINGS = ((1.0, 1.0, 1.0), (4.0, 1.0, 1.5), (0.3, 2.0, 0.7))


def by_definition(ids: Any, limit: float, voxel: tuple[float, ...]) -> Any:
    """Border distances voxel by voxel, with the outside as deep as the limit."""
    margin = [math.ceil(limit / size) + 1 for size in voxel]
    around = np.pad(ids, [(depth, depth) for depth in margin], constant_values=-1)
    places = np.argwhere(np.ones(around.shape, bool))
    labels = around.ravel()
    result = np.full(ids.shape, nan)
    for place in np.argwhere(ids >= 0):
        steps = np.abs(places - place - margin)
        gaps = np.where(steps > 0, steps - 0.5, 0) * voxel
        apart = np.sqrt((gaps**2).sum(axis=1))
        unknown = apart[labels < 0].min()
        other = apart[(labels >= 0) & (labels != ids[tuple(place)])]
        nearest = min([limit, *other])
        if nearest < unknown or unknown >= limit:
            result[tuple(place)] = nearest
    return result


@given(data=st.data(), limit=st.sampled_from((0.5, 1.9, 3.0)))
def test_it_is_the_distance_from_the_nearest_face_of_another_voxel(data: st.DataObject, limit: float) -> None:
    shape = data.draw(arrays.array_shapes(min_dims=2, max_dims=3, max_side=6))
    ids = data.draw(
        arrays.arrays(np.int32, shape, elements=st.sampled_from((-1, 0, 0, 1, 1, 1, 1, 2)), fill=st.just(1))
    )
    voxel = data.draw(st.sampled_from(SPACINGS))[-len(shape) :]
    np.testing.assert_allclose(border_distances(ids, limit, voxel), by_definition(ids, limit, voxel), rtol=1e-5)


def test_across_a_straight_border_it_is_half_a_voxel_less_than_between_centres(make: Any) -> None:
    ids = np.ones((9, 9, 20), np.int32)
    ids[:, :, :8] = 2
    (made,) = make("distance", limit=4.0)(ids)
    expected = np.where(ids == 1, ndimage.distance_transform_edt(ids == 1), ndimage.distance_transform_edt(ids == 2))
    np.testing.assert_allclose(made[4, 4, 5:11], expected[4, 4, 5:11] - 0.5)
    assert made[4, 4, 5:11].tolist() == [2.5, 1.5, 0.5, 0.5, 1.5, 2.5]


def test_the_background_has_no_distance_and_beyond_the_limit_there_is_only_the_limit(make: Any) -> None:
    row = np.array([[0] * 4 + [1] * 8 + [0] * 4], np.int32).repeat(16, axis=0)
    (made,) = make("distance", 2, limit=2.0)(row)
    np.testing.assert_array_equal(made[8], [0, 0, 0, 0, 0.5, 1.5, 2, 2, 2, 2, 1.5, 0.5, 0, 0, 0, 0])
    (signed,) = make("signed-distance", 2, limit=2.0)(row)
    np.testing.assert_array_equal(
        signed[8], [nan, nan, -1.5, -0.5, 0.5, 1.5, 2, 2, 2, 2, 1.5, 0.5, -0.5, -1.5, nan, nan]
    )


def test_objects_that_touch_have_a_border_and_background_counts_from_the_nearest(make: Any) -> None:
    ids = np.array([[0, 0, 0, 0, 1, 1, 2, 2, 2, 0, 0]], np.int32).repeat(12, axis=0)
    (made,) = make("signed-distance", 2, limit=2.5)(ids)
    np.testing.assert_array_equal(made[6], [nan, nan, -1.5, -0.5, 0.5, 0.5, 0.5, 1.5, 0.5, -0.5, nan])


def test_what_has_no_label_hides_what_is_nearer_than_a_border(make: Any) -> None:
    ids = np.array([[1, 1, 1, 1, 1, -1, 1, 2, 2, 2, 2]], np.int32).repeat(30, axis=0)
    (made,) = make("distance", 2, limit=9.0)(ids)
    np.testing.assert_array_equal(made[15], [nan, nan, nan, nan, nan, nan, nan, 0.5, 1.5, nan, nan])


def test_physical_distances_are_in_the_unit_of_the_spacing(make: Any) -> None:
    ids = np.zeros((9, 11, 11), np.int32)
    ids[3:6, 3:8, 3:8] = 1
    (made,) = make("signed-distance", limit=5.0, units="physical", spacing=(40.0, 4.0, 4.0))(ids)
    np.testing.assert_array_equal(made[4, 5], [nan, -5, -2, 2, 5, 5, 5, 2, -2, -5, nan])
    (made,) = make("signed-distance", limit=5.0, spacing=(40.0, 4.0, 4.0))(ids)
    np.testing.assert_array_equal(made[4, 5, 3:8], [0.5, 1.5, 1.5, 1.5, 0.5])


def test_the_tangent_bends_distances_into_the_unit_range(make: Any) -> None:
    ids = np.zeros((9, 9, 9), np.int32)
    ids[3:6, 3:6, 3:6] = 1
    plain, bent = (make("signed-distance", limit=2.0, tanh=each)(ids) for each in (None, 1.5))
    np.testing.assert_allclose(bent, np.tanh(plain / 1.5), rtol=1e-6)
    assert bent[0, 4, 4, 4] == pytest.approx(math.tanh(1.0))


@pytest.mark.parametrize("name", ["distance", "signed-distance", "centre-offsets"])
def test_physical_units_need_a_spacing(name: str, make: Any) -> None:
    with pytest.raises(UsageError) as error:
        make(name, units="physical")
    assert str(error.value) == (
        "target.units: physical units need a spacing, and the volume has none. Give data.spacing, or use voxels."
    )

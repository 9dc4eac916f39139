"""One interpolation of image and truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from volseg_augment.volumes.box import Box
from volseg_augment.volumes.resample import resampled
from volseg_augment.volumes.warp import affine_places, rotation

STILL = np.eye(3), np.zeros(3)


def box(shape: tuple[int, ...] = (6, 7, 8), dtype: Any = np.int32, **given: Any) -> Box:
    random = np.random.default_rng(0)
    truth = random.integers(0, 1000, (2, *shape)).astype(dtype)
    return Box(random.random((2, *shape), np.float32), truth, **given)


def test_places_of_the_voxels_themselves_change_nothing() -> None:
    given = box()
    found = resampled(given, affine_places(given.shape, *STILL))
    np.testing.assert_allclose(found.image, given.image, atol=1e-5)
    np.testing.assert_array_equal(found.truth, given.truth)
    assert (found.image.dtype, found.truth.dtype) == (np.float32, np.int32)


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_rotation_by_right_angles_is_that_of_numpy(axis: int, size: int, turns: int) -> None:
    given = box((size,) * 3)
    plane = [1 + other for other in range(3) if other != axis]
    matrix = rotation(90 * turns, np.eye(3)[axis], np.ones(3))
    found = resampled(given, affine_places(given.shape, matrix, np.zeros(3)))
    wanted = next(
        sense
        for sense in (1, -1)  # whichever sense, it is the same for image and truth
        if np.allclose(found.image, np.rot90(given.image, sense * turns, plane), atol=1e-4)
    )
    np.testing.assert_array_equal(found.truth, np.rot90(given.truth, wanted * turns, plane))


def test_the_image_is_linear_and_mirrored_at_its_border() -> None:
    given = box((9, 10, 11))
    places = affine_places(given.shape, rotation(25, (1, 2, 3), (1, 1, 1)) * 1.2, np.array([0.4, -1.0, 2.0]))
    found = resampled(given, places)
    for channel, image in zip(found.image, given.image, strict=True):
        np.testing.assert_allclose(channel, map_coordinates(image, places, order=1, mode="mirror"), atol=1e-4)


def test_truth_from_outside_is_unknown_and_integers_are_exact() -> None:
    given = Box(np.zeros((1, 4, 4, 4), np.float32), np.arange(64).reshape(1, 4, 4, 4) + 2**31)
    found = resampled(given, affine_places(given.shape, np.eye(3), np.array([2.0, 0, -1.0]))).truth[0]
    assert found.dtype == np.int64
    assert (found[2:] == -1).all()
    assert (found[..., 0] == -1).all()
    np.testing.assert_array_equal(found[:2, :, 1:], given.truth[0, 2:, :, :-1])


def test_truth_of_floats_is_linear_and_unknown_outside_and_beside_the_unknown() -> None:
    truth = np.tile(np.arange(8, dtype=np.float32), (1, 3, 3, 1))
    truth[0, 0, 0, 5] = np.nan
    given = Box(np.zeros((1, 3, 3, 8), np.float32), truth)
    found = resampled(given, affine_places(given.shape, np.eye(3), np.array([0, 0, 0.25]))).truth[0]
    np.testing.assert_allclose(found[2, 2], [0.25, 1.25, 2.25, 3.25, 4.25, 5.25, 6.25, 6.75], atol=1e-4)
    assert np.isnan(found[0, 0, 4:6]).all()
    far = resampled(given, affine_places(given.shape, np.eye(3), np.array([0, 0, 0.75]))).truth[0]
    assert np.isnan(far[2, 2, 7])
    assert far[2, 2, 6] == pytest.approx(6.75)


def test_interpolation_does_not_leave_the_range_of_the_truth() -> None:
    truth = (np.random.default_rng(3).random((1, 16, 16, 16)) > 0.2).astype(np.float32)
    given = Box(np.zeros((1, 16, 16, 16), np.float32), truth)
    found = resampled(given, affine_places(given.shape, rotation(33, (3, 1, 2), (1, 1, 1)), np.zeros(3))).truth
    assert np.nanmin(found) >= 0
    assert np.nanmax(found) <= 1


def test_boxes_of_one_plane_are_resampled() -> None:
    given = box((1, 8, 8))
    found = resampled(given, affine_places(given.shape, *STILL))
    np.testing.assert_allclose(found.image, given.image, atol=1e-5)
    np.testing.assert_array_equal(found.truth, given.truth)

"""Rotation, scale and elastic deformation of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from volseg_augment.volumes.box import Box
from volseg_augment.volumes.warp import Warp, affine_places, bend, rotation

SHAPE = (24, 32, 40)


def numbered(shape: tuple[int, int, int] = SHAPE, thick: int | None = None) -> Box:
    """A box whose image holds the place of each voxel, relative to its size, and whose truth is its number."""
    places = np.stack(np.meshgrid(*(np.arange(size) / size for size in shape), indexing="ij")).astype(np.float32)
    return Box(places, np.arange(np.prod(shape), dtype=np.int32).reshape(1, *shape), thick=thick)


def test_without_a_draw_the_box_itself_is_returned() -> None:
    box, random = numbered(), np.random.default_rng(0)
    assert Warp(0.1, 15, 0.0, 0.0)(box, random) is box
    assert Warp(0.0, 0.0, 0.0, 1.0)(box, random) is box


@pytest.mark.parametrize("warp", [Warp(0.2, 30, 0, 1), Warp(0, 0, 1, 0), Warp(0.2, 30, 1, 1)])
@pytest.mark.parametrize("thick", [None, 0, 2])
def test_image_and_truth_are_moved_alike(warp: Warp, thick: int | None) -> None:
    for seed in range(5):
        found = warp(numbered(thick=thick), np.random.default_rng(seed))
        known = found.truth[0] >= 0
        assert known.mean() > 0.4
        assert not np.array_equal(found.truth, numbered().truth)
        for place, axis, size in zip(np.unravel_index(found.truth[0][known], SHAPE), range(3), SHAPE, strict=True):
            inside = (place > 0) & (place < size - 1)  # at the border the image is mirrored
            assert np.abs(found.image[axis][known] * size - place)[inside].max() <= 0.51


def test_scale_and_rotation_are_as_large_as_asked() -> None:
    warp = Warp(0.2, 30, 0, 1)
    sizes, angles = [], []
    for seed in range(200):
        matrix = warp._matrix(numbered(), np.random.default_rng(seed))
        size = np.linalg.det(matrix) ** (-1 / 3)
        sizes.append(size)
        angles.append(np.degrees(np.arccos(np.clip((np.trace(matrix * size) - 1) / 2, -1, 1))))
    assert 0.8 <= min(sizes) < 0.82
    assert 1.18 < max(sizes) <= 1.2
    assert 28 < max(angles) <= 30.01


def test_axes_of_rotation_point_everywhere() -> None:
    warp = Warp(0, 30, 0, 1)
    axes = []
    for seed in range(300):
        matrix = warp._matrix(numbered(), np.random.default_rng(seed))
        axis = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
        axes.append(axis / np.linalg.norm(axis))
    np.testing.assert_allclose(np.square(axes).mean(0), 1 / 3, atol=0.06)


@pytest.mark.parametrize("thick", [0, 1, 2])
def test_nothing_moves_across_thick_sections(thick: int) -> None:
    box = numbered(thick=thick)
    for seed in range(4):
        found = Warp(0.2, 30, 1, 1)(box, np.random.default_rng(seed))
        np.testing.assert_allclose(found.image[thick], box.image[thick], atol=1e-5)
        known = found.truth[0] >= 0
        section = np.indices(SHAPE)[thick]
        assert (np.unravel_index(found.truth[0][known], SHAPE)[thick] == section[known]).all()


def test_a_ball_in_space_stays_a_ball_when_voxels_are_oblong() -> None:
    spacing = (3.0, 1.0, 1.5)
    shape = (17, 51, 35)
    centre, sizes = ((np.array(each)[:, None, None, None]) for each in ((np.array(shape) - 1) / 2, spacing))

    def ball(places: np.ndarray) -> np.ndarray:
        return np.square((places - centre) * sizes).sum(0) < 20**2

    given = ball(np.indices(shape))
    box = Box(given[None].astype(np.float32), given[None].astype(np.int32), spacing)
    for axis in ((1, 0, 0), (0, 1, 0), (1, 2, 3)):
        turned = affine_places(shape, rotation(37, axis, box.relative), np.zeros(3))
        assert (ball(turned) == given).mean() > 0.999
    stretched = affine_places(shape, rotation(37, (0, 1, 0), (1, 1, 1)), np.zeros(3))
    assert (ball(stretched) == given).mean() < 0.95


def test_bending_is_smooth_bounded_and_has_no_folds() -> None:
    box = Box(np.zeros((1, 64, 64, 64), np.float32), np.zeros((1, 64, 64, 64), np.int32))
    moves = []
    for seed in range(6):
        places = affine_places(box.shape, np.eye(3), np.zeros(3))
        bend(places, box, np.random.default_rng(seed))
        moves.append(places - np.indices(box.shape))
        jacobian = np.stack([np.stack(np.gradient(place), -1) for place in places], -2)
        assert np.linalg.det(jacobian[::4, ::4, ::4]).min() > 0.1
    found = np.array(moves)
    assert 0.8 < found.std() < 2
    assert np.abs(found).max() < 8
    assert np.abs(np.diff(found, axis=-1)).max() < 0.6


def test_bending_follows_the_spacing() -> None:
    box = Box(np.zeros((1, 32, 64, 64), np.float32), np.zeros((1, 32, 64, 64), np.int32), spacing=(4.0, 1.0, 1.0))
    moves = []
    for seed in range(8):
        places = affine_places(box.shape, np.eye(3), np.zeros(3))
        bend(places, box, np.random.default_rng(seed))
        moves.append(places - np.indices(box.shape))
    across, down, _ = np.array(moves).std((0, 2, 3, 4))
    assert across == pytest.approx(down / 4, rel=0.4)

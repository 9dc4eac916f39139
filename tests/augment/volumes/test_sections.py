"""Defects of sections in boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from volseg_augment.volumes.box import Box
from volseg_augment.volumes.sections import Charging, Coarse, Defocus, Jump, Missing, Shift, moved

SHAPE = (16, 20, 24)
SEEDS = range(30)


def box(thick: int | None = None, dtype: Any = np.int32) -> Box:
    random = np.random.default_rng(0)
    return Box(random.random((2, *SHAPE), np.float32), random.integers(0, 9, (1, *SHAPE)).astype(dtype), thick=thick)


def changed(step: Any, given: Box, seed: int) -> list[int]:
    """The sections that a step changes; truth must stay."""
    found = step(given, np.random.default_rng(seed))
    np.testing.assert_array_equal(found.truth, given.truth)
    differs = given.sections(found.image != given.image)
    return np.flatnonzero(differs.any(axis=(0, 2, 3))).tolist()


def is_run(numbers: list[int]) -> bool:
    return bool(numbers) and numbers == list(range(numbers[0], numbers[-1] + 1))


def test_missing_sections_are_blank_in_all_channels() -> None:
    given, counts = box(), set()
    for seed in SEEDS:
        lost = changed(Missing(4), given, seed)
        assert is_run(lost)
        counts.add(len(lost))
        assert np.ptp(Missing(4)(given, np.random.default_rng(seed)).image[:, lost]) == 0
    assert counts == {1, 2, 3, 4}


def test_of_thick_sections_one_at_a_time_is_missing() -> None:
    for thick in (0, 1, 2):
        assert all(len(changed(Missing(4), box(thick), seed)) == 1 for seed in SEEDS)


def test_a_coarse_section_shows_the_mean_of_its_neighbours() -> None:
    given, counts = box(), set()
    for seed in SEEDS:
        together = changed(Coarse(3), given, seed)
        found = Coarse(3)(given, np.random.default_rng(seed)).image
        mean = given.image[:, together].mean(axis=1)
        for section in together:
            np.testing.assert_allclose(found[:, section], mean, atol=1e-6)
        counts.add(len(together))
    assert counts == {2, 3}


def test_defocus_blurs_sections_in_their_plane() -> None:
    given = box()
    for seed in range(8):
        run = changed(Defocus(2.0), given, seed)
        assert is_run(run)
        assert len(run) <= 8
        found = Defocus(2.0)(given, np.random.default_rng(seed)).image
        errors = [
            np.abs(
                found[0, run[0]]
                - gaussian_filter(given.image[0, run[0]].astype(float), sigma, mode="mirror", truncate=5)
            ).max()
            for sigma in np.linspace(0.5, 2, 151)
        ]
        assert min(errors) < 0.01


def test_jumps_give_sections_a_gain_and_a_shift_of_their_own() -> None:
    given, gains = box(), []
    for seed in SEEDS:
        found = Jump(0.2)(given, np.random.default_rng(seed)).image
        for section in range(SHAPE[0]):
            gain, shift = np.polyfit(given.image[:, section].ravel(), found[:, section].ravel(), 1)
            np.testing.assert_allclose(found[:, section], given.image[:, section] * gain + shift, atol=1e-5)
            gains.append(gain)
    assert 0.8 <= min(gains) < 0.82
    assert 1.18 < max(gains) <= 1.2001


def test_charging_is_a_smooth_bell_in_all_channels() -> None:
    given, heights = box(), []
    for seed in SEEDS:
        added = Charging(0.3)(given, np.random.default_rng(seed)).image - given.image
        np.testing.assert_allclose(added[0], added[1], atol=1e-6)
        assert max(np.abs(np.diff(added[0], axis=axis)).max() for axis in range(3)) < 0.12
        assert (added > -1e-6).all() or (added < 1e-6).all()
        heights.append(np.abs(added).max())
    assert 0.2 < max(heights) <= 0.3


@pytest.mark.parametrize("thick", [None, 1])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_misaligned_sections_move_with_their_truth(thick: int | None, dtype: Any) -> None:
    given = box(thick, dtype)
    image = np.concatenate([given.truth.astype(np.float32)] * 2)
    given = Box(image, given.truth, thick=thick)
    moves = 0
    for seed in SEEDS:
        found = Shift(4)(given, np.random.default_rng(seed))
        known = np.isfinite(found.truth) & (found.truth != -1)
        np.testing.assert_array_equal(found.image[:1][known], found.truth[known].astype(np.float32))
        assert found.truth.dtype == dtype
        differs = given.sections(found.image != given.image).any(axis=(0, 2, 3))
        assert not differs[0]
        numbers = np.flatnonzero(differs).tolist()
        assert not numbers or is_run(numbers)
        moves += bool(numbers)
        unknown = given.sections(~known)[0, numbers]
        assert unknown.any(axis=(1, 2)).all()
        assert unknown.mean() < 0.5 if numbers else True
    assert moves > 20


@pytest.mark.parametrize("by", [(0, 0), (2, 0), (-1, 3), (0, -4)])
def test_planes_move_mirrored_or_filled(by: tuple[int, int]) -> None:
    planes = np.random.default_rng(0).random((2, 3, 9, 11))
    down, right = by
    padded = np.pad(planes, ((0, 0), (0, 0), (4, 4), (4, 4)), mode="reflect")
    wanted = padded[..., 4 - down : 13 - down, 4 - right : 15 - right]
    np.testing.assert_array_equal(moved(planes, by), wanted)
    filled = moved(planes, by, -1.0)
    outside = filled == -1
    np.testing.assert_array_equal(filled[~outside], wanted[~outside])
    assert outside[0, 0].sum() == 9 * 11 - (9 - abs(down)) * (11 - abs(right))


def test_boxes_of_one_section_survive_every_defect() -> None:
    given = Box(np.random.default_rng(0).random((1, 1, 8, 8), np.float32), np.zeros((1, 1, 8, 8), np.int32))
    for step in (Missing(4), Coarse(3), Defocus(2.0), Jump(0.2), Charging(0.2), Shift(4)):
        for seed in range(5):
            assert np.isfinite(step(given, np.random.default_rng(seed)).image).all()

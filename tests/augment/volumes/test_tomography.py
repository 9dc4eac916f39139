"""Artefacts of tomography in boxes."""

from __future__ import annotations

import numpy as np
import pytest

from volseg_augment.tomography import Cupping, Rings, Streaks
from volseg_augment.volumes.box import Box
from volseg_augment.volumes.tomography import InSlices, fading

SHAPE = (12, 32, 40)
GREY = Box(np.full((2, *SHAPE), 0.5, np.float32), np.zeros((1, *SHAPE), np.int32))


@pytest.mark.parametrize("kind", [Cupping, Rings, Streaks])
def test_all_channels_change_alike_and_truth_stays(kind: type) -> None:
    for seed in range(10):
        found = InSlices(kind, 0.3)(GREY, np.random.default_rng(seed))
        np.testing.assert_array_equal(found.image[0], found.image[1])
        assert found.truth is GREY.truth
        assert np.ptp(found.image) > 0


def test_cupping_is_the_same_in_every_slice_and_only_darkens() -> None:
    found = InSlices(Cupping, 0.3)(GREY, np.random.default_rng(1)).image[0]
    assert np.ptp(found, axis=0).max() == 0
    assert found.max() <= 0.5
    assert 0.35 <= found.min() < 0.5


@pytest.mark.parametrize("kind", [Rings, Streaks])
def test_patterns_are_one_image_that_fades_along_the_axis(kind: type) -> None:
    constant = 0
    for seed in range(30):
        added = InSlices(kind, 0.1)(GREY, np.random.default_rng(seed)).image[0] - 0.5
        singular = np.linalg.svd(added.reshape(len(added), -1), compute_uv=False)
        assert singular[1] < 1e-3 * singular[0]
        constant += np.ptp(added, axis=0).max() < 1e-6
    assert 5 < constant < 25


def test_the_axis_is_the_thick_one() -> None:
    box = Box(GREY.image, GREY.truth, thick=2)
    found = InSlices(Cupping, 0.3)(box, np.random.default_rng(1)).image[0]
    assert np.ptp(found, axis=2).max() == 0
    assert np.ptp(found) > 0


def test_slices_fade_from_one_of_them() -> None:
    shares = [fading(20, np.random.default_rng(seed)) for seed in range(40)]
    full = [share for share in shares if (share == 1).all()]
    assert 10 < len(full) < 30
    assert all(share.min() >= 0 and share.max() <= 1 for share in shares)
    assert all((share > 0.5).sum() >= 1 for share in shares)

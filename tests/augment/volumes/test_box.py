"""Boxes, chances and mirror images."""

from __future__ import annotations

import numpy as np
import pytest

from volseg_augment.volumes.box import Box, Chance, Mirror, run

BOX = Box(np.random.default_rng(0).random((1, 3, 4, 5), np.float32), np.arange(60).reshape(1, 3, 4, 5))


class Mark:
    """Add a number to the image."""

    def __init__(self, number: float) -> None:
        self.number = number

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        return Box(box.image + np.float32(self.number), box.truth)


def test_spacing_is_relative_to_the_finest() -> None:
    np.testing.assert_allclose(Box(BOX.image, BOX.truth, (30.0, 10.0, 15.0)).relative, [3, 1, 1.5])
    np.testing.assert_allclose(BOX.relative, 1)


def test_sections_are_those_of_z_or_of_the_thick_axis() -> None:
    assert BOX.sections(BOX.image).shape == (1, 3, 4, 5)
    assert Box(BOX.image, BOX.truth, thick=2).sections(BOX.image).shape == (1, 5, 3, 4)
    assert Box(BOX.image, BOX.truth, thick=1).axes == (0, 2)


def test_every_mirror_image_is_drawn_equally_often() -> None:
    found: dict[bytes, int] = {}
    for seed in range(800):
        box = Mirror()(BOX, np.random.default_rng(seed))
        np.testing.assert_array_equal(BOX.image.ravel()[box.truth.ravel()], box.image.ravel())
        found[box.truth.tobytes()] = found.get(box.truth.tobytes(), 0) + 1
    assert len(found) == 8
    assert min(found.values()) > 60


def test_chances_of_one_box_are_independent() -> None:
    steps = [Chance(0.3, Mark(1)), Chance(0.3, Mark(2))]
    drawn = [round(float((run(steps, BOX, seed).image - BOX.image).mean())) for seed in range(2000)]
    first, second = (np.mean([bool(each & bit) for each in drawn]) for bit in (1, 2))
    assert first == pytest.approx(0.3, abs=0.035)
    assert second == pytest.approx(0.3, abs=0.035)
    assert np.mean([each == 3 for each in drawn]) == pytest.approx(0.09, abs=0.025)

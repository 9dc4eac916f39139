"""Facts of volumes by hand, and of large ones from a part."""

from __future__ import annotations

import math

import numpy as np
import pytest

from volseg_core.advice import survey
from volseg_core.advice.survey import survey_image, survey_labels
from volseg_core.data.files import open_volume
from volseg_core.registry import load_registry

CATALOG = load_registry(builtin_only=True).catalog


def image_of(array):
    with open_volume(CATALOG, array) as source:
        return survey_image(source)


def labels_of(array, names=None):
    with open_volume(CATALOG, array, "labels") as source:
        return survey_labels(source, names or {})


def test_extremes_and_shares_of_each_channel():
    image = np.zeros((2, 2, 2, 5), np.uint16)
    image[0, :, 0, 0] = 9
    image[1] = 4
    image[1, 1, 1, 1:4] = 7
    seen = image_of(image)
    assert (seen.shape, seen.channels, seen.whole) == ((2, 2, 5), 2, True)
    assert (seen.low, seen.high) == ([0, 4], [9, 7])
    assert seen.at_low == [18 / 20, 17 / 20]
    assert seen.at_high == [2 / 20, 3 / 20]


def test_blank_and_repeated_planes_and_the_likeness_of_neighbours():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (6, 32, 32)).astype(np.uint8)
    image[2] = 7
    image[5] = image[4]
    seen = image_of(image)
    assert (seen.blank, seen.repeated) == ([2], [5])
    assert len(seen.likeness) == 4, "of planes 1, 3, 4 and 5 with the one before"
    assert [abs(value) < 0.2 for value in seen.likeness[:1]] == [True]
    assert math.isnan(seen.likeness[1]), "the plane before was blank"
    assert seen.likeness[-1] == pytest.approx(1)


def test_values_that_are_not_finite_are_counted_and_left_out():
    image = np.array([[[1, np.nan], [np.inf, 3]]], np.float32)
    seen = image_of(image)
    assert (seen.not_finite, seen.low, seen.high) == (2, [1], [3])
    assert image_of(np.full((1, 2, 2), np.nan, np.float32)).low == [math.inf]


def test_ids_planes_of_one_id_and_classes():
    labels = np.array([[[0, 0]], [[0, 5]], [[-1, -1]], [[5, 5]]])
    seen = labels_of(labels)
    assert dict(seen.ids) == {0: 3, 5: 3, -1: 2}
    assert seen.classes() == {0: 3, 5: 3}
    assert seen.classes(ignore=(-1, 0)) == {5: 3}
    assert seen.single == {0: 0, 2: -1, 3: 5}
    assert not seen.fractions


def test_values_between_whole_numbers_are_told_from_whole_floats():
    assert labels_of(np.array([[[0, 0.5]]])).fractions
    assert labels_of(np.array([[[0, np.nan]]])).fractions
    assert not labels_of(np.array([[[0.0, 2.0]]])).fractions


def test_a_large_volume_is_looked_at_in_pairs_of_planes(monkeypatch):
    monkeypatch.setattr(survey, "VOXELS", 64 * 20)
    image = np.random.default_rng(0).integers(0, 255, (1000, 8, 8), np.uint8)
    seen = image_of(image)
    assert not seen.whole
    assert len(seen.planes) == 20
    assert (seen.planes[:2], seen.planes[-2:]) == ([0, 1], [998, 999])
    assert len(seen.likeness) == 10


def test_of_wide_planes_the_middle_is_looked_at(monkeypatch):
    monkeypatch.setattr(survey, "_WIDEST", 4)
    image = np.zeros((1, 9, 9), np.uint8)
    image[0, 4, 4] = 1
    image[0, 0, 0] = 200
    seen = image_of(image)
    assert (seen.high, seen.whole) == ([1], False)


def test_the_sample_of_values_is_bounded_and_holds_on_to_no_plane(monkeypatch):
    monkeypatch.setattr(survey, "_SAMPLES", 1000)
    (sample,) = image_of(np.random.default_rng(0).integers(0, 255, (50, 40, 40), np.uint8)).sample
    assert 1000 <= sample.size < 1100
    assert sample.base is None


def test_counting_ids_is_given_up_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(survey, "_MOST_IDS", 10)
    assert labels_of(np.arange(64).reshape(4, 4, 4)).crowded
    assert not labels_of(np.zeros((4, 4, 4), int)).crowded

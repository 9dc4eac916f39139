"""Floats and their truth read together: channels, maps, values."""

import numpy as np
import pytest

from volseg_core.data.files import VolumeSource, open_volume
from volseg_core.evaluation.compared_floats import ComparedChannels, ComparedMaps, ComparedValues
from volseg_core.registry import load_registry


def opened(array: np.ndarray) -> VolumeSource:
    return open_volume(load_registry().catalog, array, "labels")


def test_channels_have_a_mask_each_and_unknown_entries_are_0():
    chances = np.array([[[[0.5, 0.25]]], [[[1.0, 0.0]]]], np.float16)
    labels = np.array([[[[1, 9]]], [[[-1, 0]]]], np.int8)
    compared = ComparedChannels(opened(chances), opened(labels), ignore=(-1, 9))
    assert compared.names == ("0", "1")
    piece = compared.read(slice(0, 1), image=False)
    assert piece["target"].tolist() == [[[[1, 0]]], [[[0, 0]]]]
    assert piece["valid"].tolist() == [[[[True, False]]], [[[False, True]]]]
    assert piece["classes"] is piece["probabilities"]
    assert piece["probabilities"].tolist() == chances.tolist()


def test_maps_keep_the_ids_of_their_truth():
    ids = np.array([[[0, 2**63 + 1, 7]]], np.uint64)
    piece = ComparedMaps(opened(np.ones((3, 1, 1, 3), np.float32)), opened(ids), ignore=(7,)).read(
        slice(0, 1), image=True
    )
    assert piece["target"].tolist() == [[0, 2**63 + 1, 7]]
    assert piece["valid"].tolist() == [[True, True, False]]
    assert piece["probabilities"].shape == (3, 1, 3)


@pytest.mark.parametrize(("given", "kept"), [(np.uint8, np.float32), (np.float16, np.float32), (np.int32, np.float64)])
def test_values_of_any_type_become_floats_that_hold_them(given, kept):
    values = np.array([[[1, 2]]], given)
    piece = ComparedValues(opened(values), opened(values)).read(slice(0, 1), image=False)
    assert piece["values"].dtype == piece["target"].dtype == kept
    assert piece["values"].tolist() == [[[[1, 2]]]]


def test_a_truth_of_nan_is_none():
    truth = np.array([[[np.nan, -1.0]]], np.float32)
    piece = ComparedValues(opened(np.ones_like(truth)), opened(truth)).read(slice(0, 1), image=False)
    assert piece["target"].tolist() == [[[[0.0, -1.0]]]]
    assert piece["valid"].tolist() == [[[[False, True]]]]


def test_only_a_single_plane_of_an_image_loses_its_z_axis():
    values = np.zeros((2, 3, 4, 5), np.float32)
    compared = ComparedValues(opened(values), opened(values))
    shapes = [
        compared.read(slice(0, planes), image=image)["target"].shape
        for planes, image in ((1, True), (1, False), (3, True))
    ]
    assert shapes == [(2, 4, 5), (2, 1, 4, 5), (2, 3, 4, 5)]

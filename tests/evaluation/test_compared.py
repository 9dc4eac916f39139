"""Two volumes read together: slabs, images, class order."""

from __future__ import annotations

import numpy as np
import pytest

from volseg_core.data.files import VolumeSource, open_volume
from volseg_core.errors import DataError
from volseg_core.evaluation.compared import ComparedClasses, ComparedInstances, slabs
from volseg_core.registry import load_registry


def opened(array: np.ndarray) -> VolumeSource:
    return open_volume(load_registry().catalog, array, "labels")


def test_slabs_cover_every_plane_once():
    assert slabs(33, 16) == [slice(0, 16), slice(16, 32), slice(32, 33)]
    assert slabs(5, 5) == [slice(0, 5)]


def test_ids_of_both_volumes_become_classes_in_ascending_order():
    ours, truth = np.array([[[9, 4]]], np.uint8), np.array([[[4, 200]]], np.uint8)
    compared = ComparedClasses(opened(ours), opened(truth), None, ignore=(200,))
    assert compared.names == ("4", "9")
    piece = compared.read(slice(0, 1), image=False)
    assert {name: values.tolist() for name, values in piece.items()} == {
        "classes": [[[1, 0]]],
        "target": [[[0, -1]]],
        "valid": [[[True, False]]],
    }


def test_only_a_single_plane_of_an_image_loses_its_z_axis():
    labels = np.zeros((3, 4, 5), np.uint8)
    chances = np.ones((1, 3, 4, 5), np.float32)
    compared = ComparedClasses(opened(labels), opened(labels), opened(chances), ignore=())
    shapes = {
        (part, image): {name: values.shape for name, values in compared.read(slice(0, part), image=image).items()}
        for part, image in ((1, False), (1, True), (3, True))
    }
    assert shapes[1, False]["target"] == shapes[1, False]["valid"] == (1, 4, 5)
    assert shapes[1, True]["target"] == shapes[1, True]["classes"] == (4, 5)
    assert (shapes[1, True]["probabilities"], shapes[1, False]["probabilities"]) == ((1, 4, 5), (1, 1, 4, 5))
    assert shapes[3, True]["target"] == (3, 4, 5)


def test_labels_that_are_all_ignored_are_refused():
    labels = np.full((1, 2, 2), 7, np.uint8)
    with pytest.raises(DataError, match="has no labelled voxel: every voxel is ignored"):
        ComparedClasses(opened(labels), opened(labels), None, ignore=(7,))


def test_instances_keep_their_ids():
    ids = np.array([[[0, 2**40, 2**63 + 1]]], np.uint64)
    compared = ComparedInstances(opened(ids), opened(ids), ignore=(-1, 2**63 + 1))
    piece = compared.read(slice(0, 1), image=True)
    assert piece["classes"].tolist() == piece["target"].tolist() == [[0, 2**40, 2**63 + 1]]
    assert piece["valid"].tolist() == [[True, True, False]]

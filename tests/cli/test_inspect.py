"""``volseg inspect``: what a model gives by head, and what label volumes hold."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from volseg_core.model import HeadSpec, ModelSpec, write_model
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule


@pytest.fixture
def labels(tmp_path):
    """Return a function that writes labels and returns the file."""

    def write(array):
        with h5py.File(tmp_path / "labels.h5", "w") as file:
            file["labels"] = array
        return tmp_path / "labels.h5"

    return write


def line(result, key):
    (found,) = (text for text in result.out.splitlines() if text.startswith(key))
    return found.removeprefix(key).strip()


def test_ids_are_counted(volseg, labels):
    result = volseg("inspect", labels(np.array([[[0, 0, 3, -1]]])), "--role", "labels")
    assert result.ok
    assert line(result, "ids") == "-1 (1 voxels), 0 (2 voxels), 3 (1 voxels)"


def test_more_ids_than_classes_look_like_instances(volseg, labels):
    result = volseg("inspect", labels(np.arange(2000).reshape(1, 40, 50)), "--role", "labels")
    assert result.ok
    assert line(result, "ids") == "has more than 1024 different ids, which look like instances and not like classes"


@pytest.mark.parametrize("array", [np.linspace(0, 1, 60).reshape(3, 4, 5), np.zeros((2, 3, 4, 5), np.uint8)])
def test_values_are_no_ids(volseg, labels, array):
    result = volseg("inspect", labels(array), "--role", "labels")
    assert result.ok
    assert line(result, "values") == "no ids of classes: for task regression, or multilabel if they are 0 or 1"
    facts = json.loads(volseg("inspect", labels(array), "--role", "labels", "--json").out)
    assert "ids" not in facts
    assert facts["channels"] == (2 if array.ndim == 4 else 1)


def test_heads_of_a_model_are_told_with_their_channels(volseg, tmp_path):
    import torch

    classes = ClassMap((ClassName(0, "ground"), ClassName(7, "cell")))
    heads = (HeadSpec("binary", classes, "cells"), HeadSpec("regression", classes, "depth", (0.0, 1.0), (1.0, 2.0)))
    spec = ModelSpec(heads, 1, Normalisation(), "zyx", SizeRule.same(8, 8, 2))
    recipe = {"name": "two", "model": {"use": "volseg/unet3d"}}
    write_model(tmp_path / "weights.safetensors", {"w": torch.zeros(1)}, spec, recipe)
    result = volseg("inspect", tmp_path / "weights.safetensors")
    assert result.ok
    assert line(result, "cells task") == "binary"
    assert line(result, "cells classes") == "ground (id 0), cell (id 7)"
    assert line(result, "depth task") == "regression"
    assert line(result, "depth channels") == "ground, cell"

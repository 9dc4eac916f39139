from __future__ import annotations

import h5py
import numpy as np
import pytest

import volseg_core
from volseg_core.errors import DataError
from volseg_core.exporting.measure import Sample, _dice, given_sample, held_out, measure
from volseg_core.model import read_model
from volseg_core.prediction.choose import model_and_recipe
from volseg_core.progress import Silent
from volseg_core.registry import load_registry
from volseg_core.volume import Volume

REGISTRY = load_registry(builtin_only=True)


def test_dice_is_the_mean_over_the_classes_of_the_target_without_the_first():
    score = _dice(REGISTRY, ["background", "a", "b", "c"])
    score.update(np.array([0, 1, 1, 2, 3]), np.array([0, 1, 2, 2, 0]))
    assert score.mean() == pytest.approx((2 / 3 + 2 / 3) / 2), "c is only found, so it has no say"
    score.update(np.array([1]), np.array([2]))
    assert score.mean() == pytest.approx((2 / 4 + 2 / 4) / 2), "volumes are pooled"


def test_what_a_run_held_out_is_measured_on_with_its_labels(trained):
    (sample,) = held_out(REGISTRY, read_model(trained.run))
    with h5py.File(trained.volume) as file:
        data, labels = file["data"][()], file["labels"][()]
    assert sample.name.startswith("cube.h5 [z ")
    depth = sample.volume.shape[0]
    np.testing.assert_array_equal(sample.volume.data[0], data[-depth:])
    np.testing.assert_array_equal(np.asarray(sample.truth), labels[-depth:])
    assert sample.views == ("z",), "slices along the others would be strips"


def test_a_run_whose_files_are_gone_has_none(trained, caplog):
    from dataclasses import replace

    model = read_model(trained.run)
    recipe = {**model.recipe, "data": {**model.recipe["data"], "train": ["/gone/scan.h5"]}}
    with caplog.at_level("INFO", "volseg"):
        assert held_out(REGISTRY, replace(model, recipe=recipe)) == []
    assert "the held-out part cannot be read: /gone/scan.h5: does not exist" in caplog.text


def test_a_volume_that_is_given_keeps_its_name_and_no_folder(trained):
    model, recipe = model_and_recipe(REGISTRY, trained.run, "", (), "cpu", "torch")
    alone = given_sample(REGISTRY, model, recipe, trained.volume, None)
    assert (alone.name, alone.truth) == ("cube.h5", None)
    pair = given_sample(REGISTRY, model, recipe, f"{trained.volume}:/data", trained.volume)
    assert pair.name == "cube.h5:/data"
    assert set(np.unique(pair.truth)) <= {0, 1, 2}


def test_a_file_loses_nothing_to_itself(trained, tmp_path):
    path = volseg_core.export(trained.run, output=tmp_path / "m.onnx").path
    model = read_model(path)
    samples = held_out(REGISTRY, read_model(trained.run))
    loss = measure(REGISTRY, model, model, samples, Silent())
    assert (loss.same, loss.lost) == (1, 0)
    assert loss.reduced == loss.full
    labels = volseg_core.predict(path, samples[0].volume, overrides=["predict.views=[z]"]).labels
    scores = volseg_core.evaluate(labels, np.asarray(samples[0].truth), overrides=["dice.background=false"])
    assert loss.full == pytest.approx(scores["dice"])
    empty = Sample("empty.h5", Volume(np.zeros((1, 4, 32, 32), np.float32) + np.arange(32)), np.zeros((4, 32, 32), int))
    with pytest.raises(DataError, match=r"empty.h5: holds no voxel of a class other than the first: nothing can be"):
        measure(REGISTRY, model, model, [empty], Silent())

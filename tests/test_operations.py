"""The Python interface beyond training and prediction: scores and synthetic volumes."""

from __future__ import annotations

import math
import subprocess
import sys

import h5py
import numpy as np
import pytest

import volseg_core
from volseg_core.errors import DataError, PluginError, RecipeErrors, UsageError


def test_scores_of_arrays_by_hand():
    truth = np.array([[[0, 0, 7, 7]]], np.uint8)
    found = np.array([[[0, 7, 7, 7]]], np.uint8)
    scores = volseg_core.evaluate(found, truth)
    assert scores["dice/0"] == pytest.approx(2 / 3)
    assert scores["dice/7"] == pytest.approx(4 / 5)
    assert scores["dice"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert scores["iou/7"] == pytest.approx(2 / 3)


def test_a_perfect_prediction_scores_one_whatever_is_absent():
    """Fault 15."""
    truth = np.array([[[0, 2]]], np.uint8)
    assert volseg_core.evaluate(truth, truth)["dice"] == 1.0


def test_ignored_ids_do_not_count():
    truth = np.array([[[0, 1, 255, 255]]], np.uint8)
    found = np.array([[[0, 1, 0, 1]]], np.uint8)
    assert volseg_core.evaluate(found, truth, ignore=[255])["dice"] == 1.0
    assert volseg_core.evaluate(found, truth)["dice/255"] == 0.0


def test_names_come_from_the_prediction_file(trained, tmp_path):
    out = tmp_path / "seg.h5"
    volseg_core.predict(trained.run, trained.volume, output=out)
    scores = volseg_core.evaluate(out, f"{trained.volume}:/labels")
    assert {"dice/background", "dice/organelle", "dice/granule"} <= set(scores)
    assert all(math.isnan(value) or 0 <= value <= 1 for value in scores.values())


def test_different_shapes_are_refused():
    with pytest.raises(DataError, match="has shape 1 x 2 x 2 but the labels have 1 x 2 x 3"):
        volseg_core.evaluate(np.zeros((1, 2, 2), np.uint8), np.zeros((1, 2, 3), np.uint8))


def test_unknown_metric_is_refused_with_a_suggestion():
    truth = np.zeros((1, 2, 2), np.uint8)
    with pytest.raises(UsageError, match="no metric named 'dise'. Did you mean 'dice'?"):
        volseg_core.evaluate(truth, truth, metrics=["dise"])


def test_generated_volumes_repeat_and_are_written(tmp_path):
    first = volseg_core.generate("blobs", overrides=["shape=[24, 32, 40]", "seed=5"])
    again = volseg_core.generate("blobs", output=tmp_path / "v.h5", overrides=["shape=[24, 32, 40]", "seed=5"])
    np.testing.assert_array_equal(first["data"], again["data"])
    with h5py.File(tmp_path / "v.h5") as file:
        np.testing.assert_array_equal(file["labels"][()], first["labels"])
    with pytest.raises(DataError, match="exists. Use --overwrite"):
        volseg_core.generate("blobs", output=tmp_path / "v.h5")


def test_all_wrong_parameters_of_a_generator_are_reported():
    with pytest.raises(RecipeErrors) as caught:
        volseg_core.generate("blobs", overrides=["shap=[24, 32, 40]", "seed=many"])
    assert "Did you mean 'shape'?" in str(caught.value)
    assert "'many' is not an int" in str(caught.value)


def test_an_exported_model_is_inspected_and_predicts_without_torch(trained, tmp_path):
    model = volseg_core.export(trained.run, output=tmp_path / "em.onnx").path
    code = (
        "import sys, volseg_core\n"
        "from volseg_core.model import read_model\n"
        f"assert read_model({str(model)!r}).export\n"
        f"volseg_core.predict({str(model)!r}, {str(trained.volume)!r}, output={str(tmp_path / 'seg.h5')!r})\n"
        f"assert volseg_core.verify({str(model)!r}, device='cpu')[0].good\n"
        "print([name for name in ('torch', 'lightning', 'timm', 'onnx') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    wanted = volseg_core.predict(trained.run, trained.volume, runtime="torch").labels
    with h5py.File(tmp_path / "seg.h5") as file:
        assert (file["labels"][:] == wanted).mean() >= 0.9999


def test_what_is_not_installed_is_said_with_the_extra_that_brings_it(monkeypatch, tmp_path):
    monkeypatch.setattr("volseg_core.operations.common.importable", lambda name: name not in ("torch", "onnx"))
    with pytest.raises(PluginError) as raised:
        volseg_core.train("slices", data="a.h5", labels="a.h5", output=tmp_path / "run")
    assert str(raised.value) == 'train: needs torch, which is not installed.\n  pip install "volseg[train]"'


def test_scoring_and_reading_models_import_no_torch(trained, tmp_path):
    """What needs no network must run where torch is not installed."""
    code = (
        "import sys, volseg_core\n"
        "from volseg_core.model import read_model\n"
        f"read_model({str(trained.run)!r})\n"
        f"volseg_core.evaluate({str(trained.volume) + ':/labels'!r}, {str(trained.volume)!r})\n"
        "print([name for name in ('torch', 'lightning', 'timm', 'albumentations') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""``volseg evaluate``: scores as lines and as JSON, parameters of metrics, instances."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write a cell and the same cell two pixels to the right, in a folder to work in."""
    monkeypatch.chdir(tmp_path)
    truth = np.zeros((3, 9, 9), np.uint8)
    truth[:, 2:5, 2:5] = 1
    np.save("truth.npy", truth)
    np.save("found.npy", np.roll(truth, 2, axis=2))
    return "--prediction", "found.npy", "--labels", "truth.npy"


def test_scores_are_printed_one_a_line(volseg, files):
    done = volseg("evaluate", *files, "-q")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == ["dice", "dice/0", "dice/1", "iou", "iou/0", "iou/1"]
    assert "dice/1                   0.3333\n" in done.out


def test_parameters_of_metrics_are_set_with_s(volseg, files):
    line = ("evaluate", *files, "-q", "--metric", "surface-dice", "-s")
    assert "surface-dice             1.0000\n" in volseg(*line, "surface-dice.tolerance=2").out
    assert "surface-dice             1.0000\n" not in volseg(*line, "surface-dice.tolerance=0").out
    wrong = volseg(*line, "surface-dice.tolerance=wide")
    assert wrong.code == 2
    assert "'wide' is not a float" in wrong.err


def test_what_is_not_finite_is_null_in_json(volseg, files):
    truth = np.load("truth.npy")
    truth[truth == 1] = 0
    np.save("truth.npy", truth)
    done = volseg("evaluate", *files, "-q", "--metric", "volume-difference", "--json", "scores.json")
    assert "volume-difference/1      inf\n" in done.out
    assert json.loads(Path("scores.json").read_text()) == {
        "volume-difference": None,
        "volume-difference/0": pytest.approx(-27 / 243),
        "volume-difference/1": None,
    }


def test_instances_are_scored_by_their_ids(volseg, files):
    done = volseg("evaluate", *files, "-q", "--instances")
    assert done.code == 0
    names = [line.split()[0] for line in done.out.splitlines()]
    assert names[:4] == ["adapted-rand", "adapted-rand/precision", "adapted-rand/recall", "variation-of-information"]
    assert [name for name in names if "/" not in name][2:] == ["average-precision", "panoptic-quality"]


def test_missing_probabilities_are_a_usage_error(volseg, files):
    done = volseg("evaluate", *files, "--metric", "ece")
    assert (done.code, done.out) == (2, "")
    assert "needs probabilities, and there are none beside found.npy. Make them with volseg predict" in done.err


def test_probabilities_may_be_named(volseg, files):
    found = np.load("found.npy")
    np.save("chances.npy", np.stack([1.0 - found, found]).astype(np.float32))
    done = volseg("evaluate", *files, "-q", "--metric", "ece", "--metric", "accuracy", "--probabilities", "chances.npy")
    scores = dict(line.split() for line in done.out.splitlines())
    assert float(scores["expected-calibration-error"]) == pytest.approx(1 - float(scores["accuracy"]), abs=1e-4)
    assert 0 < float(scores["accuracy"]) < 1


def test_values_are_compared_as_numbers(volseg, files):
    done = volseg("evaluate", *files, "-q", "--values", "--metric", "mse", "--metric", "mae")
    assert done.code == 0
    assert dict(line.split() for line in done.out.splitlines())["mse"] == f"{3 * 2 * 2 * 3 / 243:.4f}"
    both = volseg("evaluate", *files, "--values", "--instances")
    assert (both.code, both.out) == (2, "")
    assert "--instances: does not go with --values. Ids are compared, or numbers." in both.err


def test_floats_are_probabilities_of_channels(volseg, files):
    np.save("found.npy", np.load("found.npy") * np.float32(0.8))
    done = volseg("evaluate", *files, "-q", "--metric", "dice", "-s", "dice.threshold=0.7")
    assert done.out.splitlines() == ["dice                     0.3333", "dice/0                   0.3333"]

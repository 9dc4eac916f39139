"""Searching recipe keys with real trainings on a small volume."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
import yaml

import volseg_core
from volseg_core.errors import DataError, DivergedError, RecipeErrors, UsageError

SMALL = (
    "model.encoder=tu-tf_mobilenetv3_small_minimal_100",
    "model.encoder.weights=none",
    "model.decoder_channels=[32, 16, 16, 8, 8]",
    "data.window=[32, 32]",
    "train.batch=2",
)
SPACE = ("train.lr=1e-4..1e-2:log", "data.augment=none|standard")


def volume():
    random = np.random.default_rng(0)
    labels = np.zeros((10, 32, 32), np.uint8)
    labels[:, 8:20, 10:26] = 1
    return (100 + 60 * labels + random.normal(0, 10, labels.shape)).clip(0, 255).astype(np.uint8), labels


def tune(folder, *overrides, trials=2, **options):
    data, labels = volume()
    options = {"search": SPACE, **options}
    small = [*SMALL, "train.epochs=1", "train.steps=2", *overrides]
    return volseg_core.tune(
        "slices", data=data, labels=labels, output=folder, trials=trials, overrides=small, **options
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuning") / "study"
    return tune(folder)


def table(folder):
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_best_recipe_is_that_of_the_trial_with_the_highest_score(study):
    rows = table(study.folder)
    assert [row["state"] for row in rows] == ["complete"] * 2
    best = max(rows, key=lambda row: float(row["val/dice"]))
    assert int(best["trial"]) == study.best
    assert float(best["val/dice"]) == pytest.approx(study.score, rel=1e-5)
    recipe = yaml.safe_load(study.recipe.read_text())
    assert recipe["train"]["lr"] == pytest.approx(float(best["train.lr"]))
    assert recipe["data"]["augment"]["use"] == f"volseg/{best['data.augment']}"
    assert study.values["data.augment"] == best["data.augment"]
    assert study.recipe.read_text().startswith(f"# The best of 2 finished trials, number {study.best}: val/dice ")


def test_the_first_trial_is_the_recipe_as_it_is(study):
    first = table(study.folder)[0]
    assert (float(first["train.lr"]), first["data.augment"]) == (2e-3, "standard")


def test_each_trial_is_a_run_without_checkpoints(study):
    for number in range(2):
        assert (study.folder / f"trial-{number:03d}" / "weights.safetensors").is_file()
        assert not (study.folder / f"trial-{number:03d}" / "checkpoints").exists()
    assert (study.folder / "figures" / "trials.png").stat().st_size > 1000


def test_a_study_goes_on_with_other_values(study, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(study.folder, folder)
    more = tune(folder, trials=3, resume=True)
    rows = table(more.folder)
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    assert len({row["train.lr"] for row in rows}) == 3
    with pytest.raises(UsageError, match="this study searches train.lr=1e-4..1e-2:log, data.augment=none|standard"):
        tune(folder, trials=4, resume=True, search=["train.lr=1e-4..1e-2:log"])
    tune(folder, trials=3, resume=True)
    assert len(table(folder)) == 3, "all trials were finished"


def test_a_trial_that_only_its_values_spoil_fails_alone(tmp_path):
    done = tune(tmp_path / "s", "train.schedule=constant", search=["train.lr=0.002|1.0e+30"], trials=4)
    states = {(row["train.lr"], row["state"]) for row in table(done.folder)}
    assert states == {("0.002", "complete"), ("1.0e+30", "fail")}
    with pytest.raises(DivergedError):
        tune(tmp_path / "t", "train.schedule=constant", search=["train.lr=1.0e+30|1.0e+31"], trials=1)


def test_a_misspelt_key_or_an_impossible_end_costs_no_training(tmp_path):
    for search in (["train.lrr=1..2"], ["train.batch=0..4"], ["model=unet|unett"]):
        with pytest.raises(RecipeErrors, match=r"train\.lrr|batch|unett"):
            tune(tmp_path / "s", search=search)
    with pytest.raises(UsageError, match="nothing is held out: trials cannot be compared"):
        tune(tmp_path / "s", "data.val.fraction=0")
    assert not (tmp_path / "s").exists()


def test_folders_of_others_are_left_alone(study, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("kept")
    with pytest.raises(DataError, match="exists and is not empty"):
        tune(mine)
    with pytest.raises(DataError, match="is not the folder of a study; it is not overwritten"):
        tune(mine, overwrite=True)
    with pytest.raises(DataError, match="holds no study.log to go on with"):
        tune(mine, resume=True)
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


def test_a_trial_below_the_median_of_the_others_is_stopped_early(tmp_path, monkeypatch):
    """A study that goes on with a rate near 0: the network stays where it starts."""
    monkeypatch.setattr("volseg_core.tuning.study.STARTUP", 1)
    slow = ("train.epochs=4", "train.steps=6", "train.schedule=constant", "data.augment=none")
    tune(tmp_path / "s", *slow, search=["train.seed=0|1"], trials=1)
    done = tune(tmp_path / "s", *slow, "train.lr=1.0e-12", search=["train.seed=0|1"], trials=2, resume=True)
    first, second = table(done.folder)
    assert [first["state"], second["state"]] == ["complete", "pruned"]
    assert float(second["val/dice"]) < float(first["val/dice"])
    epochs = (done.folder / "trial-001" / "metrics.csv").read_text().splitlines()
    assert len(epochs) - 1 < 4
    assert done.best == 0


@pytest.mark.parametrize("labels", ["values", "heads"])
def test_tasks_without_classes_are_searched_by_what_is_monitored(tmp_path, labels):
    """The error of a regression, and the loss of several heads: the lowest is the best."""
    image, classes = volume()
    both = {"heads": {"cells": {}, "rims": {"task": "multilabel", "target": "boundaries"}}}
    tasks = {"task": "regression", "loss": None, "metrics": None} if labels == "values" else both
    result = volseg_core.tune(
        {"extends": "volseg/slices", **tasks},
        data=image,
        labels=image.astype(np.float32) if labels == "values" else classes,
        output=tmp_path / "study",
        trials=2,
        search=["train.lr=1e-5..1e-1:log"],
        overrides=[*SMALL, "train.epochs=1", "train.steps=2"],
    )
    with (tmp_path / "study" / "trials.csv").open() as file:
        scores = [float(row["val/mae" if labels == "values" else "val/loss"]) for row in csv.DictReader(file)]
    assert len(scores) == 2
    assert result.score == pytest.approx(min(scores), rel=1e-4)

"""Networks that offer several outputs to their losses: all count in training, the final one predicts and is told."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

import volseg_core
from volseg_core.model import read_model
from volseg_core.network import trained_network
from volseg_core.recipe import resolve_model
from volseg_core.registry import load_registry
from volseg_core.training.losses import supervised

IDS = np.zeros((24, 28, 28), np.int32)
IDS[4:14, 4:16, 4:14], IDS[4:14, 4:16, 14:24], IDS[16:22, 12:26, 6:20] = 1, 2, 3
IMAGE = (100 + 60 * (IDS > 0) + np.random.default_rng(0).normal(0, 8, IDS.shape)).astype(np.float32)
TRAIN = {"epochs": 3, "steps": 4, "batch": 2, "lr": 5e-3, "device": "cpu"}
BOXES = {"dims": 3, "data": {"window": [24, 24, 24], "axes": "zyx"}, "train": TRAIN}


def scores(run):
    """Return the rows of a run's table."""
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


DEEP = {
    "stacked-hourglass": {"use": "stacked-hourglass", "depth": 2, "start_channels": 4, "num_stacks": 2},
    "nnunet": {"use": "nnunet", "stages": 4, "width": 4, "deep_supervision": True},
}


@pytest.mark.parametrize("name", DEEP)
def test_supervised_outputs_train_and_resume_exactly(tmp_path, name):
    recipe = {**BOXES, "model": DEEP[name], "task": "multilabel", "target": "boundaries"}
    given = {"data": IMAGE, "labels": IDS, "overrides": ["train.deterministic=true"]}
    whole = volseg_core.train(recipe, output=tmp_path / "whole", **given)

    half = tmp_path / "half"
    volseg_core.train(recipe, output=half, watch=lambda epoch, _: epoch == 0, **given)
    assert len(scores(half)) == 1
    assert volseg_core.train(recipe, output=half, resume=True, **given).model_id == whole.model_id
    assert [row["train/loss"] for row in scores(half)] == [row["train/loss"] for row in scores(tmp_path / "whole")]

    registry = load_registry()
    model = read_model(tmp_path / "whole")
    network = trained_network(registry.catalog, resolve_model(registry, model), model).train()
    image = torch.randn(1, 1, 24, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        outputs = supervised(network, image)
        assert len(outputs) > 1
        torch.testing.assert_close(outputs[0], network(image))


@pytest.mark.parametrize("name", DEEP)
def test_losses_of_training_and_validation_are_those_of_the_final_output(tmp_path, name):
    """What is made small counts the others too: two stacks fully, two stages by 2/3 and 1/3, all near one another."""
    recipe = {
        **BOXES,
        "train": {**TRAIN, "epochs": 1, "steps": 2},
        "model": DEEP[name],
        "task": "regression",
        "target": "distance",
    }
    volseg_core.train(recipe, data=IMAGE, labels=IDS, output=tmp_path / "run")
    (row,) = scores(tmp_path / "run")
    trained, objective = float(row["train/loss"]), float(row["train/objective"])
    assert trained == pytest.approx(float(row["train/loss/mean-absolute-error"]), rel=1e-5)
    assert objective / trained == pytest.approx(2 if name == "stacked-hourglass" else 1, rel=0.3)
    assert objective != trained
    assert float(row["val/loss"]) == pytest.approx(float(row["val/mae"]), rel=0.2)


def test_one_output_has_no_objective_but_its_loss(tmp_path):
    recipe = {**BOXES, "train": {**TRAIN, "epochs": 1, "steps": 1}, "task": "multilabel", "target": "boundaries"}
    recipe["model"] = {**DEEP["nnunet"], "deep_supervision": False}
    volseg_core.train(recipe, data=IMAGE, labels=IDS, output=tmp_path / "run")
    assert "train/objective" not in scores(tmp_path / "run")[0]

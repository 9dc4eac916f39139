"""Cross-validation: a run for each fold, and one model that averages their networks."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch
import yaml

import volseg_core
from volseg_core.errors import Interrupted, UsageError
from volseg_core.model import read_model
from volseg_core.network import trained_network
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry

SMALL = (
    "model.encoder=tu-tf_mobilenetv3_small_minimal_100", "model.encoder.weights=none",
    "model.decoder_channels=[32, 16, 16, 8, 8]", "data.window=[32, 32]", "data.folds=2",
    "train.batch=2", "train.epochs=1", "train.steps=2",
)  # fmt: skip


def volume(seed=0):
    random = np.random.default_rng(seed)
    labels = (random.random((12, 40, 40)) > 0.6).astype(np.uint8)
    return (100 + 60 * labels + random.normal(0, 10, labels.shape)).clip(0, 255).astype(np.uint8), labels


def train(folder, *overrides, **options):
    data, labels = volume()
    return volseg_core.train(
        "slices", data=data, labels=labels, output=folder, overrides=[*SMALL, *overrides], **options
    )


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    return train(tmp_path_factory.mktemp("folds") / "run")


def probabilities(model, data):
    return volseg_core.predict(model, data, quality="low", probabilities=True).arrays["probabilities"].astype(float)


def test_one_model_gives_the_mean_of_the_folds_probabilities(folds):
    data, _ = volume(1)
    assert read_model(folds.folder).spec.members == 2
    single = [probabilities(folds.folder / f"fold-{number}", data) for number in (1, 2)]
    assert np.abs(single[0] - single[1]).max() > 0.01
    np.testing.assert_allclose(probabilities(folds.folder, data), np.mean(single, 0), atol=2e-3)


def test_each_fold_is_a_run_that_held_its_own_slab_out(folds):
    for number, slab in ((1, "z 0-5"), (2, "z 6-11")):
        resolved = yaml.safe_load((folds.folder / f"fold-{number}" / "resolved.yaml").read_text())
        assert (resolved["data"]["folds"], resolved["data"]["fold"]) == (2, number)
        assert slab in (folds.folder / f"fold-{number}" / "report" / "index.html").read_text()
    assert yaml.safe_load((folds.folder / "resolved.yaml").read_text())["data"]["fold"] is None


def test_scores_are_means_and_stand_in_table_and_report(folds):
    each = [
        json.loads((folds.folder / f"fold-{number}" / "run.json").read_text())["scores"]["val/dice"]
        for number in (1, 2)
    ]
    assert folds.scores["val/dice"] == pytest.approx(np.mean(each))
    with (folds.folder / "folds.csv").open() as file:
        rows = {row["fold"]: row for row in csv.DictReader(file)}
    assert float(rows["1"]["val/dice"]) == pytest.approx(each[0], rel=1e-5)
    assert float(rows["mean"]["val/dice"]) == pytest.approx(np.mean(each), rel=1e-5)
    assert float(rows["sd"]["val/dice"]) == pytest.approx(np.std(each, ddof=1), rel=1e-4)
    page = (folds.folder / "report" / "index.html").read_text()
    assert f"{np.mean(each):.4f}" in page
    assert page.count("data:image/png;base64,") == 2
    status = json.loads((folds.folder / "run.json").read_text())
    assert (status["status"], status["best_epoch"]) == ("done", None)
    assert status["model_id"] == read_model(folds.folder).id == folds.model_id


def test_resuming_trains_the_missing_fold_alone_and_gives_the_same_model(folds, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(folds.folder, run)
    shutil.rmtree(run / "fold-2")
    (run / "weights.safetensors").unlink()
    before = (run / "fold-1" / "weights.safetensors").stat().st_mtime_ns
    assert train(run, resume=True).model_id == folds.model_id
    assert (run / "fold-1" / "weights.safetensors").stat().st_mtime_ns == before


def test_folds_trained_one_by_one_become_the_same_model(folds, tmp_path):
    run = tmp_path / "run"
    for number in (2, 1):
        train(run / f"fold-{number}", f"data.fold={number}")
    assert train(run, resume=True).model_id == folds.model_id


def test_folds_of_another_recipe_are_refused(folds, tmp_path):
    run = tmp_path / "run"
    train(run / "fold-1", "data.fold=1", "train.seed=5")
    with pytest.raises(UsageError, match=r"the recipe differs from .*fold-1's in 1 places"):
        train(run, resume=True)
    assert (run / "fold-1" / "weights.safetensors").exists()


def test_an_interrupted_fold_says_how_the_whole_goes_on(tmp_path, monkeypatch):
    from volseg_core.training import folds as module

    def interrupted(*_args):
        raise Interrupted("training", "interrupted", "")

    monkeypatch.setattr(module, "run_training", interrupted)
    with pytest.raises(Interrupted, match=f"volseg train --resume -o {tmp_path / 'run'}"):
        train(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"


def test_starting_again_removes_the_old_folds_and_nothing_of_the_users(folds, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(folds.folder, run)
    (run / "fold-notes").mkdir()
    for name in ("model.onnx", "model.vectors.npz"):
        (run / name).write_bytes(b"of the old weights")
    (run / "fold-notes" / "mine.txt").write_text("kept")
    train(run, "data.folds=0", "data.val.fraction=0.3", overwrite=True)
    assert sorted(path.name for path in run.glob("fold*")) == ["fold-notes"]
    assert not list(run.glob("model.*"))


def test_fine_tuning_an_ensemble_asks_for_one_of_its_folds(folds, tmp_path):
    with pytest.raises(UsageError, match=r"holds 2 networks, one for each fold. Choose one: --from .*fold-1"):
        train(tmp_path / "tuned", "data.folds=0", start_from=folds.folder)
    assert not (tmp_path / "tuned").exists()


def test_a_binary_ensemble_averages_too(tmp_path):
    run = train(tmp_path / "run", "task=binary", "loss=[bce]")
    model = read_model(run.folder)
    registry = load_registry()
    image = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        found = trained_network(registry.catalog, resolve_recipe(registry, model.recipe), model)(image).sigmoid()
        single = []
        for number in (1, 2):
            own = read_model(run.folder / f"fold-{number}")
            single.append(trained_network(registry.catalog, resolve_recipe(registry, own.recipe), own)(image).sigmoid())
    torch.testing.assert_close(found, torch.stack(single).mean(0))

"""Fitting and storing weights of views: what is learned, what is written, what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core import operations
from volseg_core.errors import DataError, UsageError
from volseg_core.model import read_model
from volseg_core.prediction.fusion import STRENGTH, FusionFit, fit_weights
from volseg_core.prediction.sampled import Voxels


def voxels(truth: np.ndarray, stands_for: np.ndarray | None = None) -> Voxels:
    return Voxels(np.zeros((len(truth), 3), np.int64), truth, np.ones(len(truth)) if stands_for is None else stands_for)


def views_of(truth: np.ndarray, noises: list[float], classes: int, seed: int = 0) -> np.ndarray:
    """Probabilities (V, C, N) of views that see the truth through noise of their own."""
    rng = np.random.default_rng(seed)
    logits = 3 * np.eye(classes)[truth].T + np.stack([rng.normal(0, noise, (classes, len(truth))) for noise in noises])
    power = np.exp(logits)
    return (power / power.sum(1, keepdims=True)).astype(np.float32)


def penalised(weights: np.ndarray, common: float, views: np.ndarray, truth: np.ndarray, importance) -> float:
    """The objective, written anew."""
    scores = np.einsum("vc,vcn->nc", weights, views.astype(np.float64))
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    loss = -(importance * log_p[np.arange(len(truth)), truth]).sum() / importance.sum()
    return loss + STRENGTH * np.mean((weights / common - 1) ** 2)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), count=st.integers(2, 5), classes=st.integers(2, 4))
def test_no_other_weights_have_a_smaller_objective(seed: int, count: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, 400)
    stands_for = rng.uniform(1, 50, classes)[truth]
    views = views_of(truth, rng.uniform(1.5, 4, count).tolist(), classes, seed)
    weights = fit_weights(views, voxels(truth, stands_for))
    assert weights.shape == (count, classes)
    assert weights.min() >= 0
    importance = stands_for / np.sqrt(np.bincount(truth, stands_for)[truth])
    powers = np.exp(np.linspace(-3, 6, 9001))
    ones = np.ones((count, classes)) / count
    losses = [penalised(power * ones, power / count, views, truth, importance) for power in powers[::100]]
    near = np.argmin(losses) * 100
    common = min(
        powers[max(0, near - 100) : near + 100 : 2],
        key=lambda power: penalised(power * ones, power / count, views, truth, importance),
    )
    best = penalised(weights, common / count, views, truth, importance)
    assert best <= min(losses) + 1e-6
    for _ in range(20):
        other = np.maximum(weights + rng.normal(0, 0.02 * common, weights.shape), 0)
        assert penalised(other, common / count, views, truth, importance) > best - 1e-5


def test_a_view_that_guesses_loses_its_weight() -> None:
    truth = np.random.default_rng(0).integers(0, 3, 3000)
    views = views_of(truth, [1.0, 1.0, 30.0], 3)
    weights = fit_weights(views, voxels(truth))
    assert weights[2].max() < 0.25 * weights[:2].min()
    right = [(np.einsum("vc,vcn->cn", w, views).argmax(0) == truth).mean() for w in (np.ones((3, 3)), weights)]
    assert right[1] > right[0] + 0.03


def test_a_view_may_be_trusted_for_one_class_only() -> None:
    """The second view takes every voxel of class 2 for class 1, and is sharper on class 0."""
    truth = np.random.default_rng(0).integers(0, 3, 3000)
    blind = views_of(np.where(truth == 2, 1, truth), [1.0], 3)[0]
    weights = fit_weights(np.stack([views_of(truth, [1.5], 3)[0], blind]), voxels(truth))
    assert weights[1, 1] < 0.5 * weights[0, 1]
    assert weights[1, 0] > 0.8 * weights[0, 0]


def test_alike_views_keep_the_labels_of_the_mean() -> None:
    truth = np.random.default_rng(0).integers(0, 3, 5000)
    views = views_of(truth, [1.5] * 6, 3)
    weights = fit_weights(views, voxels(truth))
    assert weights.max() < 2 * weights.min()
    same = np.einsum("vc,vcn->cn", weights, views).argmax(0) == views.mean(0).argmax(0)
    assert same.mean() > 0.99


def test_a_handful_of_voxels_does_not_run_away() -> None:
    truth = np.array([0, 1, 0])
    views = views_of(truth, [0.5] * 12, 2)
    weights = fit_weights(views, voxels(truth))
    assert np.isfinite(weights).all()
    assert weights.max() < 2 * weights.min()


def test_classes_absent_from_the_judged_part_do_not_count_for_the_gain() -> None:
    fit = FusionFit({}, {"a": 0.5, "b": float("nan"), "c": 0.75}, {"a": 0.75, "b": float("nan"), "c": 0.5625})
    assert fit.gain == pytest.approx((0.25 - 0.1875) / 2)


@pytest.fixture(scope="module")
def crop(trained, tmp_path_factory):
    """A part of the volume of the training, small enough to be predicted in no time."""
    path = tmp_path_factory.mktemp("crop") / "crop.h5"
    with h5py.File(path, "w") as file, h5py.File(trained.volume) as volume:
        file["data"] = volume["data"][:8, :40, 8:64]
        file["labels"] = volume["labels"][:8, :40, 8:64]
    return path


@pytest.fixture(scope="module")
def fitted(trained, crop, tmp_path_factory):
    """A copy of the model with weights fitted along four directions, and the fit."""
    path = tmp_path_factory.mktemp("fitted") / "model.safetensors"
    return path, operations.fit_merge(trained.run, data=crop, labels=crop, output=path, force=True)


def test_the_copy_merges_by_the_weights_and_keeps_its_id(trained, fitted) -> None:
    path, fit = fitted
    before, after = read_model(trained.run), read_model(path)
    assert fit.path == path
    assert after.id == before.id
    assert after.spec == before.spec
    stored = after.recipe["predict"]
    assert stored["merge"]["use"] == "volseg/fusion"
    assert stored["merge"]["weights"] == fit.weights
    assert stored["quality"] == "high"
    assert list(fit.weights) == ["z,y,x", "z,-x,y", "z,-y,-x", "z,x,-y"]
    assert "weights" not in before.recipe["predict"]["merge"], "the model itself is left alone"
    untouched = {key: value for key, value in after.recipe.items() if key != "predict"}
    assert untouched == {key: value for key, value in before.recipe.items() if key != "predict"}


def test_prediction_uses_the_stored_weights_unless_told(trained, crop, fitted) -> None:
    path, fit = fitted
    found = operations.predict(path, crop, probabilities=True)
    assert found.record["merge"]["use"] == "volseg/fusion"
    assert [item["view"] for item in found.record["views"]] == list(fit.weights)
    single = [
        operations.predict(trained.run, crop, probabilities=True, overrides=[f"predict.views=['{view}']"]).arrays[
            "probabilities"
        ]
        for view in fit.weights
    ]
    scores = np.einsum("vc,vczyx->czyx", list(fit.weights.values()), np.stack(single).astype(np.float64))
    power = np.exp(scores - scores.max(0))
    np.testing.assert_allclose(found.arrays["probabilities"].astype(float), power / power.sum(0), atol=4e-3)
    mean = operations.predict(path, crop, overrides=["predict.merge=mean"])
    plain = operations.predict(trained.run, crop, quality="high")
    assert np.array_equal(mean.labels, plain.labels)


def test_scores_are_dice_on_voxels_that_were_not_fitted(trained, crop, fitted) -> None:
    """The end of x, 40 % of the labels: every voxel of it was drawn, so Dice is that of the slab as predicted."""
    path, fit = fitted
    held = (slice(None), slice(None), slice(34, 56))
    with h5py.File(crop) as file:
        truth = file["labels"][held]
    for model, scores, quality in ((trained.run, fit.mean, "high"), (path, fit.fusion, "")):
        labels = operations.predict(model, crop, quality=quality).labels[held]
        expected = operations.evaluate(labels, truth, metrics=["dice"])
        found = [scores[name] for name in ("background", "organelle", "granule")]
        assert found == pytest.approx([expected[f"dice/{index}"] for index in range(3)], abs=2e-3)


def test_directions_without_weights_are_refused_before_work(crop, fitted, tmp_path) -> None:
    with pytest.raises(UsageError, match="has no weights for the direction 'z,-y,x'; .* volseg fit-merge RUN"):
        operations.predict(fitted[0], crop, output=tmp_path / "seg.h5", quality="max")
    assert list(tmp_path.iterdir()) == []


def test_fitting_again_gives_the_same_weights_and_takes_the_place_of_the_old(trained, crop, fitted, tmp_path) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    again = operations.fit_merge(tmp_path / "run", data=crop, labels=crop, force=True)
    assert again.weights == fitted[1].weights
    assert again.path == tmp_path / "run" / "weights.safetensors"
    assert read_model(tmp_path / "run").recipe["predict"]["merge"]["weights"] == again.weights
    assert not list((tmp_path / "run").glob(".*")), "no temporary file is left"


def test_weights_that_score_lower_are_not_stored(trained, crop, fitted, tmp_path, monkeypatch) -> None:
    fit = replace(fitted[1], path=None, mean=dict.fromkeys(fitted[1].mean, 1.0))
    assert fit.gain < 0
    monkeypatch.setattr("volseg_core.prediction.fusion.fit_fusion", lambda *_, **__: fit)
    done = operations.fit_merge(trained.run, data=crop, labels=crop, output=tmp_path / "m.safetensors")
    assert done.path is None
    assert list(tmp_path.iterdir()) == []


def test_voxels_without_a_label_do_not_count(trained, crop, tmp_path) -> None:
    """One labelled plane of eight is enough: it is cut along its own axes."""
    with h5py.File(crop) as file:
        data, labels = file["data"][()], file["labels"][()].astype(np.int16)
    sparse = np.full_like(labels, -1)
    sparse[3] = labels[3]
    fit = operations.fit_merge(trained.run, data=data, labels=sparse, output=tmp_path / "m.safetensors", force=True)
    alone = operations.predict(trained.run, data, quality="high").labels[3, :, 34:]
    expected = operations.evaluate(alone[None], labels[3:4, :, 34:], metrics=["dice"])
    assert [fit.mean["background"], fit.mean["organelle"]] == pytest.approx(
        [expected["dice/0"], expected["dice/1"]], abs=5e-3
    )
    assert np.isnan(fit.mean["granule"]), "no voxel of it is labelled there"


def test_what_cannot_be_fitted_is_refused(trained, crop, tmp_path) -> None:
    with h5py.File(crop) as file:
        data, labels = file["data"][()], file["labels"][()].astype(np.int16)
    single = np.full_like(labels, -1)
    single[3, 4, 5] = 0

    def refused(error, text, labels=labels, **options):
        options = {"output": tmp_path / "never.safetensors", **options}
        with pytest.raises(error, match=text):
            operations.fit_merge(trained.run, data=data, labels=labels, **options)

    refused(UsageError, r"--quality: there is one direction \(z,y,x\): nothing is to be weighed", quality="low")
    refused(DataError, r"none are left for training\. Give a volume with more labelled planes", single)
    refused(DataError, "labels have shape 7 x 40 x 56", labels[1:])
    refused(DataError, "id 9, which is not among the classes", np.where(labels == labels.max(), 9, labels))
    refused(UsageError, "prediction only takes keys of predict", overrides=["train.lr=1"])
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    refused(DataError, "mine.safetensors: exists. Use --overwrite", output=tmp_path / "mine.safetensors")
    assert (tmp_path / "mine.safetensors").read_bytes() == b"mine"
    assert not (tmp_path / "never.safetensors").exists()


def test_the_volume_of_the_training_is_warned_of(trained, caplog) -> None:
    with caplog.at_level("WARNING", logger="volseg"), pytest.raises(UsageError, match="there is one direction"):
        operations.fit_merge(
            trained.run, data=f"{trained.volume}:/data", labels=f"{trained.volume}:/labels", quality="low"
        )
    assert "cube.h5:/data was trained on" in caplog.text


def test_the_command_prints_dice_and_writes_the_copy(trained, crop, volseg, tmp_path) -> None:
    out = tmp_path / "m.safetensors"
    done = volseg("fit-merge", trained.run, "--data", crop, "--labels", crop, "-o", out, "--force", "-q")
    assert done.ok, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == ["Dice", "mean", "fusion"]
    assert [line.split()[0] for line in lines[1:]] == ["background", "organelle", "granule"]
    assert "wrote" in done.err
    assert read_model(out).recipe["predict"]["merge"]["use"] == "volseg/fusion"
    missing = volseg("fit-merge", trained.run, "--data", Path("no.h5"), "--labels", crop)
    assert missing.code == 4
    assert "no.h5: does not exist" in missing.err

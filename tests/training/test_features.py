"""What a recipe can ask of training, each on a real run: the weights that it leaves tell whether it was obeyed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import volseg_core
from volseg_core.errors import DataError, RecipeErrors, UsageError
from volseg_core.model import read_model
from volseg_core.training.callbacks import read_checkpoint, read_metrics

SMALL = (
    "model.encoder=tu-tf_mobilenetv3_small_minimal_100",
    "model.encoder.weights=none",
    "model.decoder_channels=[32, 16, 16, 8, 8]",
    "data.window=[32, 32]",
    "train.batch=2",
)


def volume(shape=(12, 40, 40), seed=0):
    random = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    for _ in range(8):
        z, y, x = (int(random.integers(size)) for size in shape)
        labels[max(0, z - 2) : z + 3, max(0, y - 6) : y + 6, max(0, x - 6) : x + 6] = 1
    return (100 + 60 * labels + random.normal(0, 10, shape)).clip(0, 255).astype(np.uint8), labels


def train(tmp_path, *overrides, name="run", **options):
    data, labels = volume()
    return volseg_core.train(
        "slices",
        data=data,
        labels=labels,
        output=tmp_path / name,
        overrides=[*SMALL, "train.epochs=2", "train.steps=3", *overrides],
        **options,
    )


def weights(run):
    return load_file(run.folder / "weights.safetensors")


def test_deterministic_training_gives_the_same_bits_twice(tmp_path):
    first, second = (train(tmp_path, "train.deterministic=true", "train.ema=0.9", name=name) for name in "ab")
    assert first.model_id == second.model_id


def test_the_average_of_the_weights_is_what_is_kept(tmp_path):
    run = train(tmp_path, "train.ema=0.9")
    state = read_checkpoint(run.folder / "checkpoints" / "last.ckpt")["state_dict"]
    name = "encoder.model.conv_stem.weight"
    kept = weights(run)[name]
    np.testing.assert_array_equal(kept, state[f"average.network.{name}"].numpy())
    assert not np.array_equal(kept, state[f"network.{name}"].numpy())
    assert int(state["average.step"]) == 6


def test_the_average_moves_once_per_step_of_the_optimiser(tmp_path):
    run = train(tmp_path, "train.ema=0.9", "train.accumulate=2")
    state = read_checkpoint(run.folder / "checkpoints" / "last.ckpt")["state_dict"]
    assert int(state["average.step"]) == 4, "3 batches make 2 steps, in each of 2 epochs"


def test_the_frozen_stage_keeps_the_encoder_and_then_sets_it_free(tmp_path):
    from safetensors.torch import load_file as load

    frozen = train(tmp_path, "train.epochs=3", "train.frozen_epochs=2", "data.val.fraction=0")
    first = read_checkpoint(frozen.folder / "checkpoints" / "last.ckpt")
    assert first["epoch"] == 2
    start = train(tmp_path, "train.lr=1e-12", "train.weight_decay=0", "data.val.fraction=0", name="start")
    name = "encoder.model.blocks.1.0.conv_pw.weight"
    moved = (load(frozen.folder / "weights.safetensors")[name] - load(start.folder / "weights.safetensors")[name]).abs()
    assert moved.max() > 1e-5, "the last epoch trained it"
    only = train(
        tmp_path, "train.epochs=3", "train.steps=1", "train.frozen_epochs=2", "train.encoder_lr=1e-9", name="only"
    )
    np.testing.assert_allclose(weights(only)[name], weights(start)[name], atol=1e-6)
    assert not np.allclose(
        weights(only)["decoder.blocks.0.conv1.0.weight"], weights(start)["decoder.blocks.0.conv1.0.weight"]
    )


def test_clipping_bounds_the_step(tmp_path):
    start = train(tmp_path, "train.lr=1e-12", "train.weight_decay=0", name="start")
    plain = ("train.optimizer=SGD", "train.schedule=constant", "train.lr=0.1", "train.weight_decay=0", "train.epochs=1")
    clipped = train(tmp_path, *plain, "train.steps=1", "train.clip=0.001", name="clipped")
    moved = sum(
        float(((clipped_ - start_) ** 2).sum())
        for name, clipped_ in weights(clipped).items()
        if "running" not in name and "num_batches" not in name
        for start_ in [weights(start)[name]]
    )
    assert moved**0.5 <= 0.1 * 0.001 * 1.01


def test_an_automatic_rate_is_found_kept_and_read_again_on_resume(tmp_path):
    run = train(tmp_path, "train.lr=auto", "train.schedule=constant")
    chosen = json.loads((run.folder / "lr_range.json").read_text())["lr"]
    rows = read_metrics(run.folder / "metrics.csv")
    assert float(rows[0]["lr"]) == pytest.approx(chosen, rel=1e-4)
    assert (run.folder / "figures" / "lr_range.png").exists()
    assert "Range test" in (run.folder / "report" / "index.html").read_text()


def test_a_loss_joins_at_its_start(tmp_path):
    run = train(tmp_path, "loss=[cross-entropy, {use: dice, start_epoch: 1}]", "data.val.fraction=0")
    first, second = read_metrics(run.folder / "metrics.csv")
    assert not first["train/loss/dice"]
    assert float(second["train/loss/dice"]) > 0
    assert float(second["train/loss"]) == pytest.approx(
        float(second["train/loss/dice"]) + float(second["train/loss/cross-entropy"]), rel=1e-4
    )


def test_some_loss_must_start_at_once(tmp_path):
    with pytest.raises(RecipeErrors, match="every loss starts later"):
        train(tmp_path, "loss=[{use: dice, start_epoch: 1}]")


def test_neighbouring_slices_train_and_predict(tmp_path):
    data, labels = volume()
    run = train(tmp_path, "data.neighbours=1", "data.axes=z")
    spec = read_model(run.folder).spec
    assert (spec.in_channels, spec.volume_channels, spec.neighbours) == (3, 1, 1)
    assert weights(run)["encoder.model.conv_stem.weight"].shape[1] == 3
    found = volseg_core.predict(run.folder, data, quality="low", probabilities=True)
    assert found.labels.shape == labels.shape
    shuffled = data.copy()
    shuffled[5] = data[0]
    other = volseg_core.predict(run.folder, shuffled, quality="low", probabilities=True)
    changed = [
        not np.array_equal(found.arrays["probabilities"][:, z], other.arrays["probabilities"][:, z]) for z in range(12)
    ]
    assert [z for z in range(12) if changed[z]] in ([4, 5, 6], list(range(12)))


def test_independent_images_have_no_neighbours(tmp_path):
    import tifffile

    data, labels = volume()
    run = tmp_path / "run"
    tifffile.imwrite(tmp_path / "a.tif", data[0])
    with pytest.raises((UsageError, DataError), match="neighbours"):
        volseg_core.train(
            "slices", data=tmp_path / "a.tif", labels=labels[0], output=run, overrides=[*SMALL, "data.neighbours=1"]
        )


def test_a_teacher_learns_from_volumes_without_labels(tmp_path):
    unlabelled = tmp_path / "more.npy"
    np.save(unlabelled, volume(seed=5)[0])
    asked = ("train.ema=0.9", "train.teacher={rampup: 0, batch: 2}", f"data.unlabelled=[{unlabelled}]")
    run = train(tmp_path, *asked)
    rows = read_metrics(run.folder / "metrics.csv")
    assert float(rows[-1]["train/loss/consistency"]) > 0
    assert float(rows[-1]["train/objective"]) > float(rows[-1]["train/loss"]), "the teacher counts"
    again = train(tmp_path, *asked, name="again")
    assert again.model_id == run.model_id
    without = train(tmp_path, "train.ema=0.9", name="without")
    assert without.model_id != run.model_id


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["train.teacher={}"], "set ema"),
        (["train.teacher={}", "train.ema=0.9"], "needs volumes without labels"),
        (["data.unlabelled=[a.npy]"], "nothing uses them"),
        (["train.frozen_epochs=2"], "leaves none of the 2 epochs"),
        (["train.teacher={wieght: 1}", "train.ema=0.9"], "Did you mean 'weight'"),
        (["data.sampler=ballanced"], "Did you mean 'balanced'"),
        (["train.schedule=plateau", "data.val.fraction=0"], "plateau needs a held-out part"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, overrides, text):
    with pytest.raises((UsageError, RecipeErrors), match=text):
        train(tmp_path, *overrides)
    assert not (tmp_path / "run" / "weights.safetensors").exists()


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "plateau", "constant"])
def test_every_schedule_trains_and_resumes_exactly(tmp_path, schedule):
    data, labels = volume()
    given = {"data": data, "labels": labels}
    overrides = [*SMALL, "train.steps=2", f"train.schedule={schedule}", "train.ema=0.9", "train.epochs=3"]
    whole = volseg_core.train("slices", **given, output=tmp_path / "whole", overrides=overrides)
    import shutil

    half = tmp_path / "half"
    stop = volseg_core.train("slices", **given, output=half, overrides=overrides)
    assert stop.model_id == whole.model_id
    checkpoint = torch.load(half / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 2
    shutil.rmtree(half / "report")
    again = volseg_core.train("slices", **given, output=half, overrides=overrides, resume=True)
    assert again.model_id == whole.model_id

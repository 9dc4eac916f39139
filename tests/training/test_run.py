"""A training run from outside: what it needs, what it leaves, and that it can be repeated and resumed exactly."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

import volseg_core
from volseg_core.errors import DataError, DivergedError, RecipeErrors, ResourceError, UsageError
from volseg_core.model import read_model
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry
from volseg_core.training.assembly import window_spacing
from volseg_core.training.run import Prepared, prepare, warn_of_time
from volseg_core.volume import Grid, Volume

VOLSEG = Path(sys.executable).with_name("volseg")

THIN = (
    "model.encoder=tu-tf_mobilenetv3_small_minimal_100",
    "model.encoder.weights=none",
    "model.decoder_channels=[32, 16, 16, 8, 8]",
)


def small_volume(shape=(12, 64, 64), seed=0):
    """A grey volume whose class 1 is a bright blob pattern."""
    random = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    for _ in range(8):
        z, y, x = (int(random.integers(size)) for size in shape)
        labels[max(0, z - 2) : z + 3, max(0, y - 8) : y + 8, max(0, x - 8) : x + 8] = 1
    data = (100 + 60 * labels + random.normal(0, 10, shape)).clip(0, 255).astype(np.uint8)
    return data, labels


def prepared_with(name, *spacings, shape=(40, 64, 64), overrides=()) -> Prepared:
    """Prepare a recipe of volumes that differ in their spacing only."""
    registry = load_registry(builtin_only=True)
    data, labels = small_volume(shape)
    grids = (Grid(spacing, "nm", f"volume {index}") for index, spacing in enumerate(spacings))
    volumes = [Volume(data[None], grid) for grid in grids]
    return prepare(registry, resolve_recipe(registry, name, overrides), volumes, [labels] * len(volumes))


@pytest.mark.parametrize(
    ("spacing", "axes"), [((5, 1, 1), "z"), ((1, 5, 1), "y"), ((1, 1, 5), "x"), ((1, 4, 4), "z"), ((2, 1, 1), "zyx")]
)
def test_slices_lie_along_and_boxes_keep_the_axis_that_differs(spacing, axes):
    slices, boxes = (prepared_with(name, spacing) for name in ("slices", "patches"))
    assert (slices.spec.axes, boxes.spec.axes) == (axes, axes)
    assert [group.axis for group in slices.groups] == ["zyx".index(letter) for letter in axes]
    (group,) = boxes.groups
    assert group.thick == (None if axes == "zyx" else "zyx".index(axes))
    alike = None if axes == "zyx" else [size for axis, size in zip("zyx", spacing, strict=True) if axis != axes]
    assert (window_spacing(slices.spec) or (0,))[1:] == tuple(alike or ())
    assert window_spacing(boxes.spec) == spacing


def test_volumes_of_which_another_axis_differs_need_a_decision():
    assert prepared_with("slices", (1, 1, 5), (1, 1, 1)).spec.axes == "x"
    what = "data.axes: voxels or extent differ along x in volume 0 and along z in volume 1. Set data.axes"
    with pytest.raises(UsageError, match=what):
        prepared_with("patches", (1, 1, 5), (5, 1, 1))


@pytest.mark.parametrize(
    ("name", "device", "shape", "overrides", "warned"),
    [
        ("patches", "cpu", (80, 80, 80), [], True),
        ("patches", "cuda", (80, 80, 80), [], False),
        ("patches", "cpu", (80, 80, 80), ["data.window=small"], False),
        ("patches", "cpu", (80, 80, 80), ["data.window=[64, 64, 64]"], False),
        ("patches", "cpu", (48, 48, 48), [], False),
        ("slices", "cpu", (80, 80, 80), [], False),
    ],
)
def test_large_boxes_on_a_cpu_are_warned_of_unless_they_were_asked_for(name, device, shape, overrides, warned, caplog):
    prepared = prepared_with(name, (1, 1, 1), shape=shape, overrides=overrides)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "volseg"):
        warn_of_time(prepared, device)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == warned
    assert all("volseg suggest --dims 3 writes a recipe for this machine" in line for line in said)


def test_a_training_says_once_that_it_may_take_long(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("volseg_core.training.run._QUICK", 1000)
    data, labels = small_volume((24, 24, 24))
    overrides = ["model.f_maps=4", "train.epochs=1", "train.steps=1", "train.device=cpu"]
    with caplog.at_level(logging.WARNING, "volseg"):
        volseg_core.train("patches", data=data, labels=labels, output=tmp_path / "run", overrides=overrides)
    assert sum("may keep a CPU busy for days" in record.getMessage() for record in caplog.records) == 1


def test_a_run_holds_what_is_needed_to_use_and_repeat_it(trained):
    run = trained.run
    for name in (
        "recipe.yaml", "resolved.yaml", "environment.json", "run.json", "metrics.csv", "weights.safetensors",
        "checkpoints/best.ckpt", "checkpoints/last.ckpt", "figures/curves.png", "figures/validation.png",
        "report/index.html",
    ):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    assert list((run / "tensorboard").glob("events.*"))
    assert not list(run.rglob("*.part-*")), "no half-written files"
    status = json.loads((run / "run.json").read_text())
    assert status["status"] == "done"
    assert status["model_id"] == read_model(run).id


def test_environment_says_what_ran(trained):
    record = json.loads((trained.run / "environment.json").read_text())
    ids = {plugin["id"]: plugin for plugin in record["plugins"]}
    assert ids["volseg"]["used"]
    assert ids["volseg"]["version"] == record["volseg"]
    assert "torch" in record["libraries"]
    assert {"kind": "architecture", "name": "volseg/unet"}.items() <= record["components"][0].items()


def test_resolved_recipe_states_everything_that_was_auto(trained):
    resolved = yaml.safe_load((trained.run / "resolved.yaml").read_text())
    assert resolved["model"]["use"] == "volseg/unet"
    assert resolved["data"]["axes"] == "z"
    assert resolved["data"]["channels"] == 1
    assert list(resolved["classes"].values()) == [0, 1, 2]
    assert Path(resolved["data"]["train"][0]).is_absolute()
    assert resolved["made_with"]["volseg"]


def test_the_same_training_again_gives_the_same_weights(trained, tmp_path):
    again = volseg_core.train(str(trained.run / "resolved.yaml"), output=tmp_path / "again")
    assert again.model_id == read_model(trained.run).id


def test_another_seed_gives_other_weights(trained, tmp_path):
    other = volseg_core.train(str(trained.run / "resolved.yaml"), output=tmp_path / "other", overrides=["train.seed=1"])
    assert other.model_id != read_model(trained.run).id


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_resumes_to_the_weights_of_one_that_was_not(trained, tmp_path, workers):
    overrides = [
        *trained.overrides,
        *THIN,
        "train.epochs=3",
        "train.steps=6",
        f"train.workers={workers}",
        "train.deterministic=true",
    ]
    data = {"data": str(trained.volume), "labels": str(trained.volume), "overrides": overrides}
    whole = volseg_core.train("slices", output=tmp_path / "whole", **data)

    killed = tmp_path / "killed"
    sets = [word for item in overrides for word in ("-s", item)]
    command = [VOLSEG, "train", "slices", "--data", trained.volume, "--labels", trained.volume, "-o", killed, *sets]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(killed / "checkpoints" / "last.ckpt", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "report" / "index.html").exists(), "it was killed before its end"

    resumed = volseg_core.train("slices", output=killed, resume=True, **data)
    assert resumed.model_id == whole.model_id
    assert (killed / "metrics.csv").read_text().count("\n") == 4


def heed_ctrl_c() -> None:
    """Let a process receive Ctrl-C also when the tests run in the background, where shells ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for(path: Path, process: subprocess.Popen[bytes], seconds: float = 240) -> None:
    """Wait until a file appears."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, "the process ended early"
        assert time.monotonic() < end
        time.sleep(0.02)


def test_ctrl_c_stops_cleanly_and_says_how_to_resume(trained, tmp_path):
    sets = [word for item in (*trained.overrides, *THIN, "train.epochs=50") for word in ("-s", item)]
    run = tmp_path / "run"
    command = [VOLSEG, "train", "slices", "--data", trained.volume, "--labels", trained.volume, "-o", run, *sets]
    process = subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509  (no threads are started between fork and exec here)
    )
    wait_for(run / "checkpoints" / "last.ckpt", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert f"volseg train --resume -o {run}" in errors
    assert "Traceback" not in errors
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"


def test_resuming_with_another_recipe_is_refused(trained):
    with pytest.raises(UsageError, match=r"the recipe differs .* in 1 places"):
        volseg_core.train(
            "slices",
            data=trained.volume,
            labels=trained.volume,
            output=trained.run,
            resume=True,
            overrides=[*trained.overrides, "train.lr=0.5"],
        )


def test_a_run_folder_is_never_overwritten_unasked(trained, tmp_path):
    before = read_model(trained.run).id
    with pytest.raises(DataError, match="exists and is not empty"):
        volseg_core.train("slices", data=trained.volume, labels=trained.volume, output=trained.run)
    assert read_model(trained.run).id == before
    own = tmp_path / "thesis"
    own.mkdir()
    (own / "chapter.txt").write_text("mine")
    with pytest.raises(DataError, match="is not a run folder"):
        volseg_core.train("slices", data=trained.volume, labels=trained.volume, output=own, overwrite=True)
    assert (own / "chapter.txt").read_text() == "mine"


def test_a_loss_that_is_not_finite_stops_training_and_says_where(trained, tmp_path):
    with pytest.raises(DivergedError, match=r"epoch \d+(, step \d+)?: the loss is (nan|inf)") as caught:
        volseg_core.train(
            "slices",
            data=trained.volume,
            labels=trained.volume,
            output=tmp_path / "run",
            overrides=[
                *trained.overrides,
                "train.lr=1e30",
                "train.schedule=constant",
                "train.optimizer=SGD",
                "train.epochs=9",
            ],
        )
    assert caught.value.code == 6
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"].startswith("failed")


def test_fine_tuning_replaces_the_head_for_other_classes(trained, tmp_path, caplog):
    data, labels = small_volume()
    with caplog.at_level("INFO", logger="volseg"):
        run = volseg_core.train(
            "slices",
            data=data,
            labels=labels,
            output=tmp_path / "tuned",
            start_from=trained.run,
            overrides=[*trained.overrides, "train.epochs=1"],
        )
    assert "segmentation_head.0.weight" in caplog.text
    assert "start anew" in caplog.text
    assert len(read_model(run.folder).spec.heads[0].classes) == 2


def test_fine_tuning_starts_from_the_weights_it_is_given(trained, tmp_path):
    tuned = volseg_core.train(
        "slices",
        data=trained.volume,
        labels=trained.volume,
        output=tmp_path / "tuned",
        start_from=trained.run / "weights.safetensors",
        overrides=[*trained.overrides, "train.lr=1e-12", "train.weight_decay=0"],
    )
    from safetensors.numpy import load_file

    before, after = load_file(trained.run / "weights.safetensors"), load_file(tuned.folder / "weights.safetensors")
    name = "encoder.conv1.weight"
    np.testing.assert_allclose(before[name], after[name], atol=1e-6)


def test_arrays_train_as_files_do_and_are_not_changed(tmp_path):
    data, labels = small_volume()
    labels[0] = 255
    kept = data.copy(), labels.copy()
    overrides = [
        *THIN,
        "train.epochs=1",
        "train.steps=2",
        "data.ignore=[255]",
    ]
    run = volseg_core.train("slices", data=data, labels=labels, output=tmp_path / "a", overrides=overrides)
    np.testing.assert_array_equal(data, kept[0])
    np.testing.assert_array_equal(labels, kept[1])
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["data"], file["labels"] = data, labels
    same = volseg_core.train(
        "slices", data=tmp_path / "v.h5", labels=tmp_path / "v.h5", output=tmp_path / "b", overrides=overrides
    )
    assert same.model_id == run.model_id
    assert read_model(run.folder).spec.heads[0].classes.ignore == (255,)


def test_binary_task_trains_one_logit_and_predicts_both_ids(tmp_path):
    data, labels = small_volume()
    run = volseg_core.train(
        "slices",
        data=data,
        labels=labels * 255,
        output=tmp_path / "run",
        overrides=[
            "task=binary",
            *THIN,
            "train.epochs=1",
            "train.steps=10",
        ],
    )
    found = volseg_core.predict(run.folder, data).labels
    assert set(np.unique(found)) <= {0, 255}
    assert found.dtype == np.uint8


def test_several_volumes_share_one_map_of_ids(tmp_path):
    """Fault 9: ids {0, 2} of one volume and {0, 1} of another stay three classes."""
    first, labels = small_volume(seed=1)
    second, others = small_volume(seed=2)
    run = volseg_core.train(
        "slices",
        data=[first, second],
        labels=[labels * 2, others],
        output=tmp_path / "run",
        overrides=[*THIN, "train.epochs=1", "train.steps=2"],
    )
    assert [item.id for item in read_model(run.folder).spec.heads[0].classes.classes] == [0, 1, 2]


def test_fewer_slices_than_a_batch_train(tmp_path):
    """Fault 20: two slices and a batch of four."""
    data, labels = small_volume(shape=(2, 64, 64))
    run = volseg_core.train(
        "slices",
        data=data,
        labels=labels,
        output=tmp_path / "run",
        overrides=[*THIN, "train.epochs=1", "train.steps=2"],
    )
    assert (run.folder / "figures" / "validation.png").exists()


def test_without_a_held_out_part_the_last_epoch_is_kept(tmp_path):
    data, labels = small_volume()
    run = volseg_core.train(
        "slices",
        data=data,
        labels=labels,
        output=tmp_path / "run",
        overrides=[
            *THIN,
            "train.epochs=2",
            "train.steps=2",
            "data.val.fraction=0",
        ],
    )
    assert run.best_epoch == 1


def test_settings_are_obeyed(tmp_path):
    """Fault 25: architecture, optimiser and loss of the recipe are those that run."""
    data, labels = small_volume()
    run = volseg_core.train(
        "slices",
        data=data,
        labels=labels,
        output=tmp_path / "run",
        overrides=[
            "model=linknet",
            "model.encoder=resnet18",
            "model.encoder.weights=none",
            "train.optimizer=sgd",
            "loss=[dice]",
            "train.epochs=1",
            "train.steps=2",
        ],
    )
    import torch

    checkpoint = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert "momentum" in checkpoint["optimizer_states"][0]["param_groups"][0]
    assert json.loads(checkpoint["volseg.recipe"])["model"]["use"] == "volseg/linknet"
    assert "train/loss/dice" in run.scores
    assert "train/loss/cross-entropy" not in run.scores


@pytest.mark.parametrize(
    ("overrides", "error", "text"),
    [
        (["data.window=[512, 512]"], UsageError, r"data.window: 512 x 512 is larger than the slices along z"),
        (["train.device=cuda"], ResourceError, r"device: cuda was asked for, but torch .* sees no GPU"),
        (["train.optimizer=adamm"], UsageError, r"torch has no optimiser 'adamm'. Did you mean"),
        (["classes=[background]"], RecipeErrors, r"task 'multiclass' with 1 classes"),
        (["data.axes=zz"], RecipeErrors, r"'zz' is not auto or a choice of z, y and x"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, overrides, error, text):
    data, labels = small_volume()
    with pytest.raises(error) as caught:
        volseg_core.train("slices", data=data, labels=labels, output=tmp_path / "run", overrides=overrides)
    import re

    assert re.search(text, str(caught.value)), str(caught.value)


def test_data_errors_leave_no_run_behind(tmp_path):
    data, labels = small_volume()
    with pytest.raises(DataError, match="labels have shape 6 x 64 x 64"):
        volseg_core.train("slices", data=data, labels=labels[:6], output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_is_refused():
    data, labels = small_volume()
    with pytest.raises(DataError, match="cannot be written to"):
        volseg_core.train("slices", data=data, labels=labels, output="/proc/volseg/run")

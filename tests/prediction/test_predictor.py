"""Prediction: what comes out, in memory and on disk, and what is refused before work starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch

import volseg_core
from volseg_core.errors import DataError, RecipeErrors, ResourceError, UsageError
from volseg_core.model import read_model
from volseg_core.network import trained_network
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry

VOLSEG = Path(sys.executable).with_name("volseg")


def read(path: Path, name: str = "data") -> np.ndarray:
    with h5py.File(path) as file:
        return file[name][()]


def network_of(run: Path):
    registry, model = load_registry(), read_model(run)
    recipe = resolve_recipe(registry, model.recipe)
    return model, trained_network(registry.catalog, recipe, model)


def test_one_direction_is_the_networks_own_argmax(trained):
    """Same scale, same normalisation as in training: nothing but padding lies between network and labels."""
    model, network = network_of(trained.run)
    data = read(trained.volume)
    normalised = model.spec.normalisation.fit(data[None])(data[None])[0]
    padded = np.pad(normalised, ((0, 0), (0, 96 - 72), (0, 96 - 80)), mode="reflect")
    with torch.inference_mode():
        logits = network(torch.from_numpy(padded)[:, None])[..., :72, :80]
    expected = logits.argmax(1).numpy()
    found = volseg_core.predict(trained.run, trained.volume, quality="low").labels
    assert (found == expected).mean() > 0.9999


@pytest.mark.parametrize("merge", ["mean", "max"])
def test_a_volume_of_one_plane_and_odd_size_is_segmented(trained, merge):
    data = read(trained.volume)[:1, :37, :41]
    found = volseg_core.predict(trained.run, data, quality="high", overrides=[f"predict.merge={merge}"])
    assert found.labels.shape == (1, 37, 41)


def test_a_file_and_an_array_give_the_same(trained, tmp_path):
    out = tmp_path / "seg.h5"
    volseg_core.predict(trained.run, trained.volume, output=out, quality="high", confidence=True, probabilities=True)
    arrays = volseg_core.predict(
        trained.run, read(trained.volume), quality="high", confidence=True, probabilities=True
    ).arrays
    for name in ("labels", "confidence", "probabilities"):
        np.testing.assert_array_equal(read(out, name), arrays[name])
    assert arrays["labels"].dtype == np.uint8
    assert arrays["confidence"].dtype == np.uint8
    assert arrays["probabilities"].dtype == np.float16
    np.testing.assert_allclose(arrays["probabilities"].astype(np.float32).sum(0), 1, atol=3e-3)
    winner = arrays["probabilities"].max(0).astype(np.float32)
    np.testing.assert_allclose(arrays["confidence"] / 255, winner, atol=6e-3)


VIEWS = ("z,y,x", "z,-x,y", "z,-y,-x", "z,x,-y")


@pytest.fixture(scope="module")
def alone(trained):
    """A small volume and what each of four directions says about it when predicted alone: (V, C, Z, Y, X)."""
    data = read(trained.volume)[:6, :40, :48]
    views = [
        volseg_core.predict(trained.run, data, probabilities=True, overrides=[f"predict.views=['{view}']"])
        for view in VIEWS
    ]
    return data, np.stack([view.arrays["probabilities"] for view in views]).astype(np.float32)


def test_entropy_and_variance_are_those_of_the_directions(trained, alone):
    data, views = alone
    found = volseg_core.predict(trained.run, data, quality="high", entropy=True, variance=True).arrays
    assert (found["entropy"].dtype, found["variance"].dtype) == (np.uint8, np.float16)
    mean = views.mean(0)
    entropy = -(mean * np.log(mean)).sum(0) / np.log(len(mean))
    np.testing.assert_allclose(found["entropy"] / 255, entropy, atol=4e-3)
    np.testing.assert_allclose(found["variance"].astype(float), views.var(0).sum(0), atol=1e-3)
    assert found["variance"].max() > 0.01


def test_the_command_writes_entropy_and_variance(trained, volseg, tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["data"] = read(trained.volume)[:4, :40, :48]
    out = tmp_path / "seg.h5"
    wishes = ("--entropy", "--variance", "--quality", "high")
    assert volseg("predict", trained.run, tmp_path / "scan.h5", "-o", out, "-q", *wishes).ok
    arrays = volseg_core.predict(trained.run, tmp_path / "scan.h5", quality="high", entropy=True, variance=True).arrays
    for name in ("labels", "entropy", "variance"):
        np.testing.assert_array_equal(read(out, name), arrays[name])
    single = volseg("predict", trained.run, tmp_path / "scan.h5", "-o", tmp_path / "one.h5", "--variance")
    assert single.code == 2
    assert "--variance: is 0 everywhere: there is one direction (z,y,x)" in single.err
    assert not (tmp_path / "one.h5").exists()


@pytest.mark.parametrize("merge", ["max", "mean", "vote", "entropy", "geometric", "staple"])
def test_every_merge_gets_every_direction_in_its_place(trained, alone, merge):
    """However batches cut the views into boxes, the labels are those of the directions predicted one by one."""
    data, views = alone
    catalog = load_registry().catalog
    context = {
        "views": VIEWS,
        "classes": ("background", "organelle", "granule"),
        "wanted": ("labels",),
        "task": "multiclass",
    }
    state = catalog.build(catalog.find("merge", merge), {}, context)
    state.start(data.shape, 3, 4)
    everywhere = (slice(None),) * 3
    for number, probabilities in enumerate(views):
        state.add(probabilities, everywhere, number)
    found = volseg_core.predict(
        trained.run, data, quality="high", overrides=[f"predict.merge={merge}", "predict.batch=4"]
    )
    assert found.record["merge"] == {"use": f"volseg/{merge}"}
    # views were rounded to 16 bits in between
    assert (found.labels == state.result(everywhere).labels).mean() > 0.99


def test_a_merge_that_lacks_its_parameters_says_how_to_get_them(trained, tmp_path):
    refused(
        RecipeErrors, "merge 'fusion' needs 'weights'. Run volseg fit-merge",
        trained.run, trained.volume, output=tmp_path / "seg.h5", overrides=["predict.merge=fusion"],
    )  # fmt: skip
    weights = "{use: fusion, weights: {'y,z,x': [1, 1, 1]}}"
    refused(
        UsageError, "has no weights for the direction 'z,y,x'; it has them for 'y,z,x'. .* volseg fit-merge RUN",
        trained.run, trained.volume, output=tmp_path / "seg.h5", overrides=[f"predict.merge={weights}"],
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_the_output_carries_grid_classes_and_provenance(trained, tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["data"] = read(trained.volume)
        file["data"].attrs["spacing"] = (4.0, 2.0, 2.0)
        file["data"].attrs["unit"] = "nm"
    volseg_core.predict(trained.run, tmp_path / "scan.h5", output=tmp_path / "seg.h5")
    with h5py.File(tmp_path / "seg.h5") as file:
        attributes = dict(file["labels"].attrs)
    assert tuple(attributes["spacing"]) == (4.0, 2.0, 2.0)
    assert attributes["unit"] == "nm"
    assert json.loads(attributes["classes"])[0]["name"] == "background"
    record = json.loads((tmp_path / "seg.predict.json").read_text())
    assert record["model_id"] == read_model(trained.run).id
    assert record["normalisation"]["channels"][0]["std"] > 0
    assert record["seconds"] > 0


def test_tiff_outputs_are_one_file_per_array(trained, tmp_path):
    volseg_core.predict(trained.run, trained.volume, output=tmp_path / "seg.tif", confidence=True)
    assert tifffile.imread(tmp_path / "seg.tif").shape == (24, 72, 80)
    assert tifffile.imread(tmp_path / "seg_confidence.tif").dtype == np.uint8


def test_windows_with_overlap_agree_with_whole_slices_of_a_pointwise_network(trained, tmp_path, monkeypatch):
    """With a network that sees one pixel at a time, any tiling must give what whole slices give."""
    monkeypatch.chdir(tmp_path)
    Path("pointwise.py").write_text(
        "from volseg_core.api import Architecture, hookimpl\n"
        "from torch import nn\n\n"
        "@hookimpl\n"
        "def volseg_architectures():\n"
        "    return [Architecture(name='pointwise', target='pointwise:make', summary='1 x 1 convolution', dims=(2,),\n"
        "            wants=('in_channels', 'num_classes'), divisor=8, min_size=8)]\n\n"
        "def make(*, in_channels, num_classes):\n"
        "    return nn.Conv2d(in_channels, num_classes, 1)\n"
    )
    Path("registry.yaml").write_text("version: 1\nplugins: {local: [./pointwise.py]}\n")
    registry = load_registry()
    volseg_core.train(
        {"name": "p", "model": "pointwise", "data": {"axes": "zyx"}, "train": {"epochs": 1, "steps": 2}},
        data=trained.volume, labels=trained.volume, output="run", registry=registry,
    )  # fmt: skip
    whole = volseg_core.predict("run", trained.volume, quality="high", probabilities=True, registry=registry)
    for blend in ("gaussian", "constant", "crop"):
        tiled = volseg_core.predict(
            "run", trained.volume, quality="high", probabilities=True, registry=registry,
            overrides=["predict.window=[24, 32]", "predict.overlap=0.4", f"predict.blend={blend}", "predict.batch=3"],
        )  # fmt: skip
        np.testing.assert_allclose(
            tiled.arrays["probabilities"].astype(float), whole.arrays["probabilities"].astype(float), atol=4e-3
        )


def test_views_that_the_network_was_not_trained_on_are_left_out_and_said(trained, caplog):
    with caplog.at_level("INFO", logger="volseg"):
        found = volseg_core.predict(trained.run, trained.volume, quality="high")
    assert [item["view"][0] for item in found.record["views"]] == ["z", "z", "z", "z"]
    assert "trained on slices along z only" in caplog.text
    named = volseg_core.predict(trained.run, trained.volume, overrides=["predict.views=[y, x]"])
    assert [item["view"] for item in named.record["views"]] == ["y,z,x", "x,z,y"]


def test_batches_do_not_change_the_result(trained):
    one = volseg_core.predict(trained.run, trained.volume, overrides=["predict.batch=1"]).labels
    five = volseg_core.predict(trained.run, trained.volume, overrides=["predict.batch=5"]).labels
    assert (one == five).mean() > 0.9999


def refused(error, text, *args, **kwargs):
    with pytest.raises(error, match=text) as caught:
        volseg_core.predict(*args, **kwargs)
    return caught.value


def test_what_the_merge_cannot_give_is_refused_before_work(trained, tmp_path):
    refused(
        UsageError, "--probabilities: merge 'max' gives labels, confidence, not probabilities",
        trained.run, trained.volume, output=tmp_path / "seg.h5", probabilities=True, overrides=["predict.merge=max"],
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept_unless_told(trained, tmp_path):
    out = tmp_path / "seg.h5"
    out.write_bytes(b"mine")
    refused(DataError, r"seg.h5: exists. Use --overwrite", trained.run, trained.volume, output=out)
    assert out.read_bytes() == b"mine"
    volseg_core.predict(trained.run, trained.volume, output=out, overwrite=True)
    assert read(out, "labels").shape == (24, 72, 80)


def test_a_gpu_that_is_absent_is_an_error_not_a_silent_cpu(trained):
    if torch.cuda.is_available():
        assert volseg_core.predict(trained.run, trained.volume, device="cuda").record["device"] == "cuda"
    else:
        error = refused(ResourceError, "cuda was asked for", trained.run, trained.volume, device="cuda")
        assert error.code == 5


def test_other_channels_than_in_training_are_refused(trained):
    refused(UsageError, "has 2 channels; the model was trained on 1", trained.run, np.zeros((2, 8, 40, 40), np.uint8))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: np.full((4, 40, 40), 7, np.uint8), "is constant: every voxel is 7"),
        (lambda: np.full((4, 40, 40), np.nan, np.float32), "6400 voxels that are NaN or infinite"),
        (lambda: np.zeros(40, np.uint8), "1 dimensions is not a volume"),
        (lambda: np.zeros((1, 1, 4, 40, 40), np.uint8), "5 dimensions is not a volume"),
    ],
)
def test_bad_volumes_are_refused(trained, make, text):
    refused(DataError, text, trained.run, make())


def test_bad_models_are_refused_and_nothing_in_them_runs(trained, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"model": Evil()}, tmp_path / "old.pytorch")
    refused(DataError, "is a pickle or archive", tmp_path / "old.pytorch", trained.volume)
    whole = (trained.run / "weights.safetensors").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(whole[:-100])
    refused(DataError, "is truncated", tmp_path / "short.safetensors", trained.volume)
    (tmp_path / "text.safetensors").write_text("not a model at all")
    refused(DataError, "is not a safetensors file", tmp_path / "text.safetensors", trained.volume)
    refused(DataError, "does not exist", tmp_path / "nothing", trained.volume)
    refused(DataError, "is not a finished run", tmp_path, trained.volume)
    assert not (tmp_path / "executed").exists()


def test_keys_that_belong_to_training_are_refused(trained):
    refused(UsageError, "prediction only takes keys of predict", trained.run, trained.volume, overrides=["train.lr=1"])
    refused(
        RecipeErrors,
        "Did you mean 'quality'[^$]*Did you mean 'mean'",
        trained.run,
        trained.volume,
        overrides=["predict.qualty=high", "predict.merge=meen"],
    )


def heed_ctrl_c() -> None:
    """Let a process receive Ctrl-C also when the tests run in the background, where shells ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_leaves_no_output(trained, tmp_path):
    with h5py.File(tmp_path / "big.h5", "w") as file:
        file["data"] = np.random.default_rng(0).integers(0, 255, (400, 128, 128), np.uint8)
    command = [VOLSEG, "predict", trained.run, tmp_path / "big.h5", "-o", tmp_path / "seg.h5", "-s", "predict.batch=1"]
    process = subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509  (no threads are started between fork and exec here)
    )
    end = time.monotonic() + 120
    while not list(tmp_path.glob(".seg*")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; nothing was written" in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.h5"]

"""Trainings of tasks that give no classes, from labels to predictions, as a user sees them."""

from __future__ import annotations

import csv
import json

import h5py
import numpy as np
import pytest

import volseg_core
from volseg_core.errors import RecipeErrors, UsageError
from volseg_core.model import read_model

SHAPE = (24, 32, 32)
TINY = {"use": "unet3d", "f_maps": 4, "num_levels": 2, "num_groups": 2}
PATCHES = {
    "dims": 3,
    "model": TINY,
    "data": {"window": [16, 16, 16], "sampler": "uniform", "axes": "zyx"},
    "train": {"epochs": 2, "steps": 4, "batch": 2, "lr": 5e-3, "device": "cpu"},
}
FLAT = {
    "model": {"use": "unet", "encoder": {"use": "resnet18", "weights": "none"}},
    "data": {"window": [32, 32], "axes": "z"},
    "train": {"epochs": 2, "steps": 3, "batch": 2, "device": "cpu"},
}


def spheres():
    """Return an image and the ids of its objects, two of which touch."""
    random = np.random.default_rng(0)
    z, y, x = np.indices(SHAPE)
    ids = np.zeros(SHAPE, np.int32)
    for number, centre in enumerate([(8, 8, 8), (8, 8, 20), (12, 22, 10), (16, 22, 24)], 1):
        ids[(z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < 40] = number * 5000
    image = 100 + 60 * (ids > 0) + random.normal(0, 8, SHAPE)
    return image.astype(np.float32), ids


IMAGE, IDS = spheres()


def waves():
    """Return a smooth volume around 1000, and the same with noise."""
    z, y, x = np.indices(SHAPE)
    clean = (1000 + 500 * np.sin(z / 5) * np.cos(y / 6) * np.sin(x / 7)).astype(np.float32)
    return clean, clean + np.random.default_rng(0).normal(0, 200, SHAPE).astype(np.float32)


def scores(run):
    """Return the rows of a run's table."""
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def with_train(recipe, **train):
    return {**recipe, "train": {**recipe["train"], **train}}


# --- regression ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def denoised(tmp_path_factory):
    clean, noisy = waves()
    run = tmp_path_factory.mktemp("denoised") / "run"
    recipe = {**with_train(PATCHES, epochs=4, steps=15, lr=1e-2), "task": "regression", "loss": ["mse"]}
    volseg_core.train(recipe, data=noisy, labels=clean, output=run)
    return run


def test_denoising_predicts_in_the_unit_of_the_labels(denoised):
    clean, noisy = waves()
    found = volseg_core.predict(denoised, noisy)
    assert list(found.arrays) == ["values"]
    values = found.arrays["values"]
    assert values.shape == (1, *SHAPE)
    assert values.dtype == np.float32
    assert abs(values.mean() - clean.mean()) < 50
    error, before = ((image - clean).std() for image in (values[0], noisy))
    assert error < 0.6 * before
    with pytest.raises(UsageError) as caught:
        _ = found.labels
    assert str(caught.value) == "labels: the prediction holds values. See arrays."


def test_scores_of_a_regression_are_in_the_unit_of_the_labels(denoised):
    rows = scores(denoised)
    assert {"val/loss", "val/mae", "val/psnr", "train/loss/mean-squared-error"} <= set(rows[-1])
    spec = read_model(denoised).spec
    clean, _ = waves()
    assert spec.heads[0].offset == pytest.approx((clean.mean(),), rel=1e-4)
    assert spec.heads[0].scale == pytest.approx((clean.std(),), rel=1e-4)
    assert float(rows[0]["val/mae"]) > 20, "of a thousand"
    assert float(rows[-1]["val/loss"]) < 2, "of what is learnt without a unit"


def test_the_best_epoch_of_a_regression_has_the_lowest_error(denoised):
    best = json.loads((denoised / "run.json").read_text())["best_epoch"]
    values = [float(row["val/mae"]) for row in scores(denoised)]
    assert best == values.index(min(values))


def test_directions_of_values_are_averaged(denoised):
    _, noisy = waves()
    views = ["z,y,x", "z,-y,x", "z,y,-x"]
    single = [
        volseg_core.predict(denoised, noisy, overrides=[f"predict.views=['{view}']"]).arrays["values"] for view in views
    ]
    together = volseg_core.predict(denoised, noisy, overrides=[f"predict.views={views}"]).arrays["values"]
    np.testing.assert_allclose(together, np.mean(single, axis=0), rtol=1e-4)
    assert np.abs(single[0] - single[1]).max() > 1


def test_a_regression_is_written_and_evaluated(denoised, tmp_path):
    clean, noisy = waves()
    out = tmp_path / "found.h5"
    found = volseg_core.predict(denoised, noisy, output=out)
    assert out in found.paths
    with h5py.File(out) as file:
        assert file["values"].shape == (1, *SHAPE)
        assert file["values"].dtype == np.float32
        assert "labels" not in file
    measured = volseg_core.evaluate(f"{out}:/values", clean[None], values=True, metrics=["mae"])
    assert measured["mae"] == pytest.approx(
        np.abs(volseg_core.predict(denoised, noisy).arrays["values"][0] - clean).mean(), rel=1e-4
    )


def test_values_are_kept_whatever_is_wanted_of_classes(denoised):
    with pytest.raises(UsageError) as caught:
        volseg_core.predict(denoised, IMAGE, entropy=True)
    assert str(caught.value) == (
        "--entropy: is for networks that give classes; this one gives values. Leave --entropy out."
    )
    assert list(volseg_core.predict(denoised, IMAGE, probabilities=True).arrays) == ["values"]


def test_an_exported_regression_gives_the_same_values(denoised, tmp_path):
    _, noisy = waves()
    file = tmp_path / "model.onnx"
    volseg_core.export(denoised, output=file)
    import onnxruntime

    assert [item.name for item in onnxruntime.InferenceSession(file).get_outputs()] == ["values"]
    ours, theirs = (volseg_core.predict(model, noisy, runtime=runtime).arrays["values"] for model, runtime in (
        (denoised, "torch"), (file, "auto"),
    ))  # fmt: skip
    np.testing.assert_allclose(theirs, ours, atol=0.05)
    assert volseg_core.verify(file)[0].good


def test_folds_of_a_regression_are_averaged(tmp_path):
    clean, noisy = waves()
    recipe = {**PATCHES, "task": "regression", "data": {**PATCHES["data"], "folds": 2}}
    result = volseg_core.train(recipe, data=noisy, labels=clean, output=tmp_path / "run")
    together = volseg_core.predict(tmp_path / "run", noisy).arrays["values"]
    members = [volseg_core.predict(tmp_path / "run" / f"fold-{fold}", noisy).arrays["values"] for fold in (1, 2)]
    np.testing.assert_allclose(together, np.mean(members, axis=0), rtol=1e-4)
    assert np.abs(members[0] - members[1]).max() > 1
    assert {"val/mae", "val/psnr"} <= set(result.scores)


# --- heads --------------------------------------------------------------------------------------------------------

HEADS = {
    "cells": {"task": "multilabel", "target": "foreground"},
    "rims": {"task": "multilabel", "target": "boundaries", "weight": 0.5, "metrics": ["boundary-adapted-rand", "dice"]},
    "distance": {"task": "regression", "target": "distance"},
}


@pytest.fixture(scope="module")
def headed(tmp_path_factory):
    run = tmp_path_factory.mktemp("headed") / "run"
    volseg_core.train({**PATCHES, "heads": HEADS}, data=IMAGE, labels=IDS, output=run)
    return run


def test_heads_are_trained_and_scored_by_name(headed):
    row = scores(headed)[-1]
    assert {
        "train/loss/cells/binary-cross-entropy",
        "train/loss/distance/mean-absolute-error",
        "val/cells/dice",
        "val/rims/dice",
        "val/distance/mae",
    } <= set(row)
    assert [key for key in row if key.startswith("val/rims/boundary-adapted-rand")]
    parts = {head: sum(float(value) for key, value in row.items() if f"train/loss/{head}/" in key) for head in HEADS}
    assert float(row["train/loss"]) == pytest.approx(parts["cells"] + 0.5 * parts["rims"] + parts["distance"], rel=1e-4)
    best = json.loads((headed / "run.json").read_text())["best_epoch"]
    losses = [float(row["val/loss"]) for row in scores(headed)]
    assert best == losses.index(min(losses))


def test_each_head_has_its_figure(headed):
    page = (headed / "report" / "index.html").read_text()
    for head in HEADS:
        assert (headed / "figures" / f"{head}_validation.png").stat().st_size > 0
        assert f"Held-out slices: {head}" in page


def test_arrays_of_heads_are_told_by_name(headed, tmp_path):
    found = volseg_core.predict(headed, IMAGE)
    assert {name: (array.shape, array.dtype.name) for name, array in found.arrays.items()} == {
        "cells_probabilities": ((1, *SHAPE), "float16"),
        "rims_probabilities": ((1, *SHAPE), "float16"),
        "distance_values": ((1, *SHAPE), "float32"),
    }
    cells = found.arrays["cells_probabilities"].astype(float)
    assert 0 <= cells.min() < cells.max() <= 1
    out = tmp_path / "found.h5"
    volseg_core.predict(headed, IMAGE, output=out)
    with h5py.File(out) as file:
        for name, array in found.arrays.items():
            np.testing.assert_array_equal(file[name], array)


def test_heads_are_exported_as_outputs_of_their_own(headed, tmp_path):
    import onnxruntime

    file = tmp_path / "model.onnx"
    done = volseg_core.export(headed, output=file)
    assert all(parity.good for parity in done.parity)
    session = onnxruntime.InferenceSession(file)
    assert [item.name for item in session.get_outputs()] == list(HEADS)
    assert read_model(file).spec.heads == read_model(headed).spec.heads
    ours, theirs = volseg_core.predict(headed, IMAGE, runtime="torch"), volseg_core.predict(file, IMAGE)
    assert list(theirs.arrays) == list(ours.arrays)
    for name, array in ours.arrays.items():
        np.testing.assert_allclose(theirs.arrays[name].astype(float), array.astype(float), atol=2e-3)
    parity, device = volseg_core.verify(file)
    assert parity.good
    assert device == "cpu"


def test_steps_make_objects_of_a_head_and_take_its_array(headed):
    steps = "postprocess=[{use: threshold, head: cells}, connected-components]"
    found = volseg_core.predict(headed, IMAGE, overrides=[steps, "postprocess.0.threshold=0.3"])
    assert "cells_instances" in found.arrays
    assert "cells_probabilities" not in found.arrays
    assert "distance_values" in found.arrays


def test_a_head_of_classes_stands_beside_targets(tmp_path):
    kinds = np.where(IDS > 0, 1 + (IDS > 10000), 0).astype(np.uint8)
    heads = {"kinds": {"task": "multiclass"}, "rims": HEADS["rims"]}
    volseg_core.train({**PATCHES, "heads": heads}, data=IMAGE, labels=kinds, output=tmp_path / "run")
    found = volseg_core.predict(tmp_path / "run", IMAGE, confidence=True)
    assert set(found.arrays) == {"kinds_labels", "kinds_confidence", "rims_probabilities"}
    assert set(np.unique(found.arrays["kinds_labels"])) <= {0, 1, 2}
    assert [head.title for head in read_model(tmp_path / "run").spec.heads] == ["kinds classes", "rims multilabel"]


def test_a_head_with_a_name_may_be_alone(tmp_path):
    heads = {"kinds": {"task": "multiclass"}}
    run = tmp_path / "run"
    volseg_core.train({**PATCHES, "heads": heads}, data=IMAGE, labels=(IDS > 0).astype(np.uint8), output=run)
    assert list(volseg_core.predict(run, IMAGE).arrays) == ["kinds_labels"]
    (box,) = volseg_core.suggest_labels(run, IMAGE, count=1, size=(16,))
    assert all(part.stop - part.start == 16 for part in box.box)
    volseg_core.export(run)
    assert list(volseg_core.predict(run / "model.onnx", IMAGE).arrays) == ["kinds_labels"]


# --- fine-tuning --------------------------------------------------------------------------------------------------


def test_fine_tuning_for_other_heads_replaces_the_last_layer(headed, tmp_path, caplog):
    heads = {"cells": HEADS["cells"]}
    with caplog.at_level("INFO", logger="volseg"):
        volseg_core.train(
            with_train({**PATCHES, "heads": heads}, epochs=1, steps=1),
            data=IMAGE,
            labels=IDS,
            output=tmp_path / "run",
            start_from=headed,
        )
    (line,) = [record.getMessage() for record in caplog.records if "fine-tuning" in record.getMessage()]
    assert "final_conv.weight" in line
    assert "start anew, their shapes differ from" in line
    assert read_model(tmp_path / "run").spec.out_channels == 1


def test_a_last_layer_that_fits_other_heads_goes_on_and_says_so(headed, tmp_path, caplog):
    heads = {"rims": HEADS["rims"], "cells": HEADS["cells"], "distance": HEADS["distance"]}
    with caplog.at_level("INFO", logger="volseg"):
        volseg_core.train(
            with_train({**PATCHES, "heads": heads}, epochs=1, steps=1),
            data=IMAGE,
            labels=IDS,
            output=tmp_path / "run",
            start_from=headed,
        )
    (line,) = [record.getMessage() for record in caplog.records if "fine-tuning" in record.getMessage()]
    assert line == (
        f"fine-tuning: the last layer goes on from {headed / 'weights.safetensors'} (cells multilabel: foreground; "
        "rims multilabel: boundary; distance regression: distance), though it is to learn rims multilabel: boundary; "
        "cells multilabel: foreground; distance regression: distance"
    )


# --- what needs one class for every voxel -------------------------------------------------------------------------

ONLY = "is for networks that give one class for every voxel; this one"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda run, _: volseg_core.fit_merge(run, data=IMAGE, labels=IDS), f"fit-merge: {ONLY} has task regression."),
        (lambda run, _: volseg_core.suggest_labels(run, IMAGE), f"suggest-labels: {ONLY} has task regression."),
        (
            lambda run, out: volseg_core.export(run, output=out / "a.onnx", fp16=True, on=IMAGE),
            f"--fp16: {ONLY} has task regression.",
        ),
        (
            lambda run, out: volseg_core.export(run, output=out / "b.onnx", int8=IMAGE),
            f"--int8: {ONLY} has task regression.",
        ),
    ],
)
def test_what_needs_classes_says_so(denoised, tmp_path, call, text):
    with pytest.raises(UsageError) as caught:
        call(denoised, tmp_path)
    assert str(caught.value) == text
    assert not list(tmp_path.iterdir())


# --- channels of labels, in slices --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    labels = np.stack([IDS > 0, IDS > 10000]).astype(np.int8)
    labels[1, :6] = -1
    run = tmp_path_factory.mktemp("tagged") / "run"
    recipe = {**FLAT, "task": "multilabel", "classes": ["cell", "late"]}
    volseg_core.train(recipe, data=IMAGE, labels=labels, output=run)
    return run


def test_channels_of_labels_are_learnt_in_slices(tagged):
    spec = read_model(tagged).spec
    assert spec.heads[0].classes.names == ("cell", "late")
    found = volseg_core.predict(tagged, IMAGE).arrays
    assert list(found) == ["probabilities"]
    assert found["probabilities"].shape == (2, *SHAPE)
    assert {"val/dice", "val/dice/cell", "val/dice/late", "train/loss/binary-cross-entropy"} <= set(scores(tagged)[-1])


def test_a_metric_of_objects_without_objects_is_refused_before_data_is_read(tmp_path):
    recipe = {**FLAT, "task": "multilabel", "metrics": ["boundary-adapted-rand"]}
    with pytest.raises(RecipeErrors, match="no head makes a target of such ids"):
        volseg_core.train(recipe, data="missing.h5", labels="missing.h5", output=tmp_path / "run")


# --- channels with a direction ------------------------------------------------------------------------------------


def test_affinities_are_predicted_for_the_pair_that_they_name(tmp_path):
    step = np.arange(SHAPE[0]) % 4  # slabs of four planes, each brighter than the one before
    image = np.broadcast_to(step[:, None, None] * 50.0, SHAPE).astype(np.float32)
    ids = np.broadcast_to(1 + np.arange(SHAPE[0])[:, None, None] // 4, SHAPE).astype(np.int32)
    image = image + np.random.default_rng(0).normal(0, 2, SHAPE).astype(np.float32)
    target = {"use": "affinities", "offsets": [[-1, 0, 0], [0, -1, 0]]}
    recipe = {**with_train(PATCHES, epochs=1, steps=30, lr=2e-2), "task": "multilabel", "target": target}
    run = tmp_path / "run"
    volseg_core.train(recipe, data=image, labels=ids, output=run, overrides=["data.augment=none"])
    assert read_model(run).spec.heads[0].directed
    along, across = volseg_core.predict(run, image).arrays["probabilities"].astype(float).mean((2, 3))
    parted = np.array([along[4:-4][step[4:-4] == number].mean() for number in range(4)])
    assert parted.argmin() == 0, "the first plane of a slab and the one before it are of two objects"
    assert parted[0] < 0.5 < parted[1:].min()
    assert across[4:-4].min() > 0.5
    with pytest.raises(UsageError) as caught:
        volseg_core.predict(run, image, overrides=["predict.quality=high"])
    assert str(caught.value) == (
        "--quality: high shows the network views in which affinity -1 0 0, affinity 0 -1 0 point elsewhere. "
        "Use --quality low, and no predict.views."
    )

"""A 3D network from the recipe to the ONNX file, with a tiny one that a local plugin brings."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import torch
import yaml

import volseg_core
from volseg_core.errors import UsageError
from volseg_core.exporting.header import read_header
from volseg_core.model import read_model
from volseg_core.registry import Registry, load_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Array = np.ndarray[Any, Any]

PLUGIN = '''
"""A tiny 3D network."""

from volseg_core.api import Architecture, hookimpl


@hookimpl
def volseg_architectures():
    return [
        Architecture(
            name="tiny3d", target="tiny3d:tiny", summary="Two convolutions and a head.", licence="MIT",
            wants=("in_channels", "num_classes"), dims=(3,), divisor=4, min_size=8,
        )
    ]


def tiny(*, in_channels, num_classes):
    from torch import nn

    layers = [nn.Conv3d(in_channels, 8, 3, padding=1), nn.ReLU(), nn.Conv3d(8, 8, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout3d(0.05), nn.Conv3d(8, num_classes, 1))
'''
TINY = (
    "model=tiny3d",
    "data.window=[8, 16, 16]",
    "data.augment=light",
    "train.epochs=3",
    "train.steps=25",
    "train.batch=4",
    "train.lr=2e-2",
    "train.deterministic=true",
)


def noisy_balls(shape: tuple[int, int, int] = (24, 40, 36), seed: int = 0) -> tuple[Array, Array]:
    """Balls in so much noise that a voxel by itself says little; its 3D neighbourhood tells."""
    random = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for _ in range(16):
        a, b, c = (int(random.integers(size)) for size in shape)
        labels[(z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2 <= random.integers(16, 40)] = 7
    return (100 + 40 * (labels > 0) + random.normal(0, 40, shape)).astype(np.float32), labels


def dice(found: Array, truth: Array) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


@dataclass(frozen=True)
class Run:
    """A finished run and what it was trained with."""

    folder: Path
    registry: Registry
    data: Array
    labels: Array


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "tiny3d.py").write_text(PLUGIN)
    (folder / "registry.yaml").write_text("version: 1\nplugins: {local: [tiny3d.py]}\n")
    return load_registry(folder / "registry.yaml")


@pytest.fixture(scope="module")
def run(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Run:
    data, labels = noisy_balls()
    folder = tmp_path_factory.mktemp("boxes") / "run"
    volseg_core.train("patches", data=data, labels=labels, output=folder, overrides=TINY, registry=registry)
    return Run(folder, registry, data, labels)


def test_it_learns_what_no_voxel_says_by_itself(run: Run) -> None:
    data, labels = noisy_balls(seed=1)
    truth = labels > 0
    best = max(dice(data > threshold, truth) for threshold in np.percentile(data, np.arange(1, 100)))
    found = volseg_core.predict(run.folder, data, registry=run.registry).labels
    assert set(np.unique(found)) == {0, 7}
    assert dice(found > 0, truth) > best + 0.15


def test_a_run_is_as_complete_as_one_of_slices(run: Run) -> None:
    for name in ("figures/validation.png", "report/index.html", "metrics.csv", "checkpoints/last.ckpt"):
        assert (run.folder / name).stat().st_size > 0, name
    spec = read_model(run.folder).spec
    assert (spec.dims, spec.axes, spec.sizes.divisor, spec.in_channels) == (3, "zyx", (4, 4, 4), 1)
    resolved = yaml.safe_load((run.folder / "resolved.yaml").read_text())
    assert resolved["dims"] == 3
    assert resolved["predict"]["window"] == [8, 16, 16], "as in training, and written down"


def test_a_run_that_was_stopped_resumes_to_the_weights_of_one_that_was_not(run: Run, tmp_path: Path) -> None:
    same: dict[str, Any] = {"data": run.data, "labels": run.labels, "overrides": TINY, "registry": run.registry}
    stopped = volseg_core.train("patches", output=tmp_path / "run", watch=lambda epoch, _: epoch == 0, **same)
    assert stopped.model_id != read_model(run.folder).id
    resumed = volseg_core.train("patches", output=tmp_path / "run", resume=True, **same)
    assert resumed.model_id == read_model(run.folder).id
    assert (tmp_path / "run" / "metrics.csv").read_text().count("\n") == 4


def test_data_workers_change_nothing(run: Run, tmp_path: Path) -> None:
    overrides = [*TINY, "train.workers=2"]
    done = volseg_core.train(
        "patches", data=run.data, labels=run.labels, output=tmp_path / "run", overrides=overrides, registry=run.registry
    )
    assert done.model_id == read_model(run.folder).id


def test_one_window_is_the_networks_own_argmax(run: Run) -> None:
    """Statistics are those of the volume; nothing but padding lies between network and labels."""
    from volseg_core.network import trained_network
    from volseg_core.recipe import resolve_recipe

    model = read_model(run.folder)
    network = trained_network(run.registry.catalog, resolve_recipe(run.registry, model.recipe), model)
    image = model.spec.normalisation.fit(run.data[None])(run.data[None])
    with torch.inference_mode():
        wanted = network(torch.from_numpy(image)[None])[0].argmax(0).numpy() * 7
    whole = ["predict.window=[24, 40, 36]"]
    found = volseg_core.predict(run.folder, run.data, overrides=whole, registry=run.registry)
    assert (found.labels == wanted).mean() > 0.9999
    windows = volseg_core.predict(run.folder, run.data, registry=run.registry)
    assert (windows.labels == wanted).mean() > 0.97, "only windows' borders differ"
    assert len(windows.record["views"]) == 1


@pytest.mark.parametrize("merge", ["mean", "max", "vote"])
def test_every_merge_takes_views_of_boxes(run: Run, merge: str) -> None:
    data = run.data[:9, :21, :18]
    found = volseg_core.predict(
        run.folder, data, quality="high", overrides=[f"predict.merge={merge}"], registry=run.registry
    )
    assert found.labels.shape == data.shape
    assert (found.labels == run.labels[:9, :21, :18]).mean() > 0.8
    assert len(found.record["views"]) == 8


@pytest.fixture(scope="module")
def exported(run: Run) -> Path:
    done = volseg_core.export(run.folder, registry=run.registry)
    assert done.attempt.free == ("batch", "depth", "height", "width"), done.failed
    assert len({item.shape for item in done.parity}) == 3
    return done.path


def test_an_exported_3d_network_leaves_all_sizes_free_and_verifies(exported: Path) -> None:
    header = read_header(exported)
    assert header.inputs == {"image": (None, 1, None, None, None)}
    assert header.outputs == {"logits": (None, 2, None, None, None)}
    parity, device = volseg_core.verify(exported, device="cpu")
    assert (parity.good, device) == (True, "cpu")


def test_the_file_alone_predicts_what_the_run_does(run: Run, exported: Path, tmp_path: Path) -> None:
    alone = tmp_path / "em.onnx"
    shutil.copy(exported, alone)
    wishes: dict[str, Any] = {"quality": "medium", "probabilities": True}
    before = volseg_core.predict(run.folder, run.data, runtime="torch", registry=run.registry, **wishes).arrays
    after = volseg_core.predict(alone, run.data, device="cpu", **wishes)
    assert after.record["runtime"]["use"] == "volseg/onnxruntime"
    np.testing.assert_allclose(after.arrays["probabilities"], before["probabilities"], atol=2e-3)
    assert (after.labels == before["labels"]).mean() >= 0.9999


def test_a_file_of_one_size_is_given_windows_of_that_size(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from volseg_core.exporting import convert

    monkeypatch.setitem(convert.ATTEMPTS, "auto", [convert.Attempt("legacy", convert.BATCH)])
    path = tmp_path / "fixed.onnx"
    assert volseg_core.export(run.folder, output=path, registry=run.registry).attempt.free == ("batch",)
    assert read_model(path).spec.window == (8, 16, 16)
    wanted = volseg_core.predict(run.folder, run.data, runtime="torch", registry=run.registry).labels
    assert (volseg_core.predict(path, run.data, device="cpu").labels == wanted).mean() >= 0.9999


def test_half_precision_loses_next_to_nothing(run: Run, tmp_path: Path) -> None:
    done = volseg_core.export(
        run.folder, output=tmp_path / "half.onnx", fp16=True, on=run.data, labels=run.labels, registry=run.registry
    )
    assert done.loss is not None
    assert abs(done.loss.lost) < 0.01


def test_a_foreign_3d_file_takes_its_facts_from_a_recipe(exported: Path, run: Run, tmp_path: Path) -> None:
    import onnx

    proto = onnx.load(exported)
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "foreign.onnx")
    recipe = {
        "dims": 3,
        "model": "tiny3d",
        "classes": {"ground": 0, "ball": 7},
        "predict": {"window": [8, 16, 16]},
    }
    found = volseg_core.predict(tmp_path / "foreign.onnx", run.data, recipe=recipe, device="cpu", registry=run.registry)
    wanted = volseg_core.predict(exported, run.data, device="cpu")
    np.testing.assert_array_equal(found.labels, wanted.labels)


def test_binary_tasks_and_several_channels_train_and_predict(registry: Registry, tmp_path: Path) -> None:
    data, labels = noisy_balls((16, 20, 24))
    channels = np.stack([data, -data])
    overrides = [*TINY, "train.epochs=1", "train.steps=3", "task=binary", "loss=[bce]", "data.axes=z"]
    done = volseg_core.train(
        "patches", data=channels, labels=labels, output=tmp_path / "run", overrides=overrides, registry=registry
    )
    spec = read_model(done.folder).spec
    assert (spec.in_channels, spec.out_channels, spec.axes) == (2, 1, "z")
    found = volseg_core.predict(done.folder, channels, quality="max", registry=registry)
    assert found.labels.shape == labels.shape
    assert len(found.record["views"]) == 16


def test_metrics_of_whole_images_see_one_box_at_a_time(registry: Registry, tmp_path: Path) -> None:
    data, labels = noisy_balls((16, 20, 40))
    overrides = [*TINY, "train.epochs=1", "train.steps=30", "train.batch=2", "metrics=[dice, hausdorff95]"]
    done = volseg_core.train(
        "patches", data=data, labels=labels, output=tmp_path / "run", overrides=overrides, registry=registry
    )
    assert np.isfinite(done.scores["val/hausdorff95"])


def test_single_and_independent_images_are_refused(registry: Registry, tmp_path: Path) -> None:
    data, labels = noisy_balls((1, 40, 40))
    with pytest.raises(UsageError) as caught:
        volseg_core.train(
            "patches", data=data, labels=labels, output=tmp_path / "run", overrides=TINY, registry=registry
        )
    assert str(caught.value) == (
        "dims: single or independent images have no depth for a 3D network to see. Use dims: 2 and a 2D network."
    )
    assert not (tmp_path / "run").exists()


def test_the_command_line_says_what_it_trains_on(
    run: Run, volseg: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny3d.py").write_text(PLUGIN)
    (tmp_path / "registry.yaml").write_text("version: 1\nplugins: {local: [tiny3d.py]}\n")
    with h5py.File("v.h5", "w") as file:
        file["data"], file["labels"] = run.data, run.labels
    sets = [word for item in (*TINY, "train.epochs=1") for word in ("-s", item)]
    result = volseg("train", "patches", "--data", "v.h5", "--labels", "v.h5", "-o", "run", *sets)
    assert result.ok, result.err
    assert "windows: 8 x 16 x 16" in result.err
    assert volseg("predict", "run", "v.h5", "-o", "seg.h5", "-q").ok
    assert "dimensions" in volseg("inspect", "run").out
    half = volseg("export", "run", "--fp16")
    assert half.ok, half.err
    assert "of Dice on v.h5 [z 0-23, y 32-39, x 0-35]" in half.out + half.err, "on the part that was held out"

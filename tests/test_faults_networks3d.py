"""Faults of pytorch-3dunet in data, training and prediction that we do not have, by their number in the list of them.

Those of its networks, losses, metrics and targets are tested beside ours.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import volseg_core
from volseg_core.data.labelled import read_labelled
from volseg_core.data.split import whole
from volseg_core.data.truth import teachers
from volseg_core.data.validation import validation_windows
from volseg_core.data.windows import BatchPlan, WindowDataset, window_groups, with_turns
from volseg_core.errors import DataError
from volseg_core.model import read_model
from volseg_core.prediction.blend import blend
from volseg_core.prediction.plan import Plan
from volseg_core.prediction.seams import VISIBLE, _Kept
from volseg_core.prediction.segment import Segmenter
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import Registry, load_registry
from volseg_core.training.loaders import make_batches, make_loaders
from volseg_core.training.run import prepare
from volseg_core.volume import SizeRule, Tiling, View

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

SMALL = ("model.use=unet3d", "model.f_maps=[4, 8]", "model.num_groups=2", "data.window=[8, 16, 16]", "train.batch=2")
RUN = (*SMALL, "data.augment=light", "train.epochs=3", "train.steps=5", "data.lazy=true", "train.deterministic=true")
STILL: dict[str, Any] = {"use": "standard", "flip": False, "rotate90": False, "p": 1.0} | dict.fromkeys(
    ("scale", "rotate", "elastic", "brightness", "contrast", "gamma", "noise", "shot", "blur"), 0
)
"""All steps of the augmentation at zero strength."""
WHOLE = {"kind": "range", "clip": [0, 1727]}
"""Normalisation of a volume of 12 x 12 x 12 voxels whose values are their numbers, to [-1, 1]."""


def balls(shape: tuple[int, int, int] = (20, 40, 36)) -> tuple[Array, Array]:
    """Bright balls in noise, labelled 1."""
    random = np.random.default_rng(0)
    labels = np.zeros(shape, np.uint8)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for _ in range(16):
        a, b, c = (int(random.integers(size)) for size in shape)
        labels[(z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2 <= 30] = 1
    return (100 + 40 * labels + random.normal(0, 10, shape)).astype(np.float32), labels


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(builtin_only=True)


@pytest.fixture(scope="module")
def augmentation(registry: Registry) -> Callable[..., Any]:
    """Make the standard augmentation of which only the given steps do anything."""

    def make(**params: Any) -> Any:
        recipe = resolve_recipe(registry, {"name": "test", "data": {"augment": STILL | params}})
        return registry.catalog.build(recipe.augment.provided, recipe.augment.params)

    return make


@pytest.fixture
def windows(registry: Registry) -> Callable[..., tuple[WindowDataset, BatchPlan]]:
    """Make the windows of arrays, and eight batches of two."""

    def make(data: Array, augment: Any, window: tuple[int, ...] = (4, 4, 4), **block: Any) -> Any:
        recipe = resolve_recipe(registry, {"name": "test", "data": block, "classes": ["a", "b"]})
        volumes, _ = read_labelled(registry.catalog, recipe, [data], [np.zeros(data.shape[-3:], np.uint8)])
        dims = len(window)
        groups = window_groups([whole(volumes[0])], "zyx", window, SizeRule.same(1, 1, dims))
        groups = with_turns(groups) if augment.turns else groups
        return WindowDataset(groups, augment, 0), BatchPlan(groups, 8, 2, 0)

    return make


@dataclass(frozen=True)
class Trained:
    """A run that read its data lazily from a file, and that file."""

    folder: Path
    file: Path
    digest: str


def metrics(folder: Path) -> list[dict[str, str]]:
    """The table of a run's epochs."""
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("faults")
    file = folder / "both.h5"
    data, labels = balls()
    with h5py.File(file, "w") as content:
        content["data"], content["labels"] = data, labels
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    volseg_core.train("patches", data=file, labels=file, output=folder / "run", overrides=RUN)
    return Trained(folder / "run", file, digest)


def test_b2_samples_epochs_and_workers_draw_differently(augmentation: Any, windows: Any) -> None:
    flat = np.full((12, 12, 12), 100, np.uint8)
    dataset, plan = windows(flat, augmentation(noise=0.1), normalise={"kind": "range", "clip": [0, 200]})
    found: dict[int, list[float]] = {}
    for workers in (0, 1, 2):
        loader = DataLoader(dataset, batch_sampler=plan, num_workers=workers, persistent_workers=workers > 0)
        found[workers] = []
        for epoch in range(2):
            plan.set_epoch(epoch)
            found[workers] += [float(image.std()) for images, _ in loader for image in images]
    assert len(set(found[0])) == 2 * 8 * 2
    assert found[0] == found[1] == found[2]


def test_b3_steps_of_one_window_fire_independently(augmentation: Any) -> None:
    """On a flat window contrast moves the mean alone, noise mostly the deviation."""
    steps = augmentation(brightness=0.2, noise=1e-4, p=0.3)
    flat, truth = np.full((1, 4, 4, 4), 0.5, np.float32), np.zeros((1, 4, 4, 4), np.int8)
    drawn = [steps.box(flat, truth, seed=seed)[0] for seed in range(3000)]
    shifted = np.array([abs(float(image.mean()) - 0.5) > 1e-4 for image in drawn])
    noisy = np.array([float(np.ptp(image)) > 0 for image in drawn])
    assert shifted.mean() == pytest.approx(0.3, abs=0.03)
    assert noisy.mean() == pytest.approx(0.3, abs=0.03)
    assert (shifted & noisy).mean() == pytest.approx(0.09, abs=0.02)


def test_b10_training_lazily_leaves_the_file_as_it_is(trained: Trained) -> None:
    assert hashlib.sha256(trained.file.read_bytes()).hexdigest() == trained.digest
    with h5py.File(trained.file) as content:
        assert set(content) == {"data", "labels"}


def test_b11_two_workers_read_the_file_and_change_nothing(trained: Trained, tmp_path: Path) -> None:
    overrides = [*RUN, "train.workers=2"]
    run = volseg_core.train(
        "patches", data=trained.file, labels=trained.file, output=tmp_path / "r", overrides=overrides
    )
    assert run.model_id == read_model(trained.folder).id


@pytest.mark.parametrize(("channels", "outputs"), [(3, 2), (1, 3), (2, 1)])
def test_b12_channels_of_data_and_labels_are_independent(
    channels: int, outputs: int, registry: Registry, augmentation: Any
) -> None:
    random = np.random.default_rng(0)
    data = random.random((channels, 6, 8, 10), np.float32)
    labels = random.integers(0, 2, (outputs, 6, 8, 10), np.uint8)
    block = {"normalise": {"kind": "none"}}
    recipe = resolve_recipe(
        registry, {"name": "t", "task": "multilabel", "dims": 3, "model": "unet3d", "metrics": [], "data": block}
    )
    volumes, heads = read_labelled(registry.catalog, recipe, [data], [labels])
    groups = window_groups([whole(volumes[0])], "zyx", (6, 8, 10), SizeRule.same(1, 1, 3))
    makers = teachers(registry.catalog, recipe, heads, None)
    image, (target,) = WindowDataset(groups, augmentation(), 0, teachers=makers)[0, 0, 0]
    np.testing.assert_allclose(image, data, atol=1e-6)
    np.testing.assert_array_equal(target, labels)


@pytest.mark.parametrize("step", [{"scale": 0.5}, {"brightness": 0.2}, {"noise": 0.1}, {"shot": 0.1}, {"gamma": 0.5}])
def test_b13_a_probability_of_a_tenth_changes_a_tenth_of_windows(step: dict[str, float], augmentation: Any) -> None:
    steps = augmentation(**step, p=0.1)
    image, truth = np.random.default_rng(0).random((1, 6, 6, 6), np.float32), np.zeros((1, 6, 6, 6), np.int8)
    boxes = [not np.array_equal(steps.box(image, truth, seed=seed)[0], image) for seed in range(1000)]
    assert np.mean(boxes) == pytest.approx(0.1, abs=0.035)
    plane, marks = image[0, 0, :, :, None], np.zeros((6, 6), np.int32)
    slices = [not np.array_equal(steps(plane, marks, seed=seed)[0], plane) for seed in range(1000)]
    assert np.mean(slices) == pytest.approx(0.1, abs=0.035)


@pytest.mark.parametrize("window", [(6, 7, 8), (6, 7)])
def test_b14_no_strength_means_no_interpolation(window: tuple[int, ...], augmentation: Any, windows: Any) -> None:
    data = np.random.default_rng(0).permutation(12 * 12 * 12).reshape(12, 12, 12).astype(np.float32)
    dataset, plan = windows(data, augmentation(flip=True, rotate90=True), window, normalise=WHOLE)
    for draw in (draw for batch in plan for draw in batch):
        places = (dataset[draw][0] + 1) / 2 * (data.size - 1)
        np.testing.assert_allclose(places, places.round(), atol=1e-2)
        assert len(np.unique(places.round())) == np.prod(window)


@pytest.mark.parametrize("strength", [{"contrast": 0.9}, {"brightness": 0.9}])
def test_b15_contrast_clips_nothing_of_standardised_boxes(strength: Any, augmentation: Any, windows: Any) -> None:
    data = np.random.default_rng(0).standard_t(3, (12, 12, 12)).astype(np.float32)
    dataset, plan = windows(data, augmentation(**strength), (8, 8, 8), normalise={"kind": "zscore", "clip": [0, 100]})
    plain = WindowDataset(dataset.groups, augmentation(), 0)
    beyond = 0
    for draw in (draw for batch in plan for draw in batch):
        changed, image = dataset[draw][0].ravel(), plain[draw][0].ravel()
        gain, shift = np.polyfit(image, changed, 1)
        assert abs(gain - 1) + abs(shift) > 1e-4
        np.testing.assert_allclose(changed, gain * image + shift, atol=1e-3)
        beyond += int((np.abs(changed) > 1).sum())
    assert beyond > 1000


@pytest.mark.parametrize("window", [(4, 64, 96), (64, 96), (6, 8, 8)])
def test_b31_oblong_windows_keep_their_shape_under_turns(
    window: tuple[int, ...], augmentation: Any, windows: Any
) -> None:
    data = np.random.default_rng(0).random((96, 96, 96), np.float32)
    dataset, plan = windows(data, augmentation(flip=True, rotate90=True, rotate=30, p=0.5), window)
    for images, (target,) in DataLoader(dataset, batch_sampler=plan):
        assert images.shape[0] == 2
        assert sorted(images.shape[2:]) == sorted(window)
        assert target.shape == (2, *images.shape[2:])


def test_b31_noise_of_counts_grows_with_the_signal(augmentation: Any) -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 16, dtype=np.float32), (1, 16, 16, 16))
    truth = np.zeros((1, 16, 16, 16), np.int8)
    steps = augmentation(shot=0.2)
    added = np.stack([steps.box(ramp, truth, seed=seed)[0] - ramp for seed in range(20)])
    variance = added.var(axis=(0, 1, 2, 3))
    assert variance[0] == 0
    assert np.corrcoef(variance, ramp[0, 0, 0])[0, 1] > 0.99


def test_b18_slices_train_and_predict_with_a_2d_network(tmp_path: Path) -> None:
    data, labels = balls((12, 48, 40))
    small = ["model.use=unet2d", "model.f_maps=[4, 8]", "model.num_groups=2", "data.window=[32, 32]", "data.axes=z"]
    small += ["data.augment=none", "train.epochs=1", "train.steps=40", "train.lr=3e-2"]
    run = volseg_core.train("slices", data=data, labels=labels, output=tmp_path / "run", overrides=small)
    found = volseg_core.predict(run.folder, data).labels
    assert found.shape == data.shape
    assert 2 * (found & labels).sum() / (found.sum() + labels.sum()) > 0.8


def test_b24_a_resumed_run_goes_on_with_the_schedule_in_the_same_folder(trained: Trained, tmp_path: Path) -> None:
    same: dict[str, Any] = {"data": trained.file, "labels": trained.file, "output": tmp_path / "run", "overrides": RUN}
    volseg_core.train("patches", watch=lambda epoch, _: epoch == 0, **same)
    assert len(metrics(tmp_path / "run")) == 1
    volseg_core.train("patches", resume=True, **same)
    rates = [row["lr"] for row in metrics(trained.folder)]
    assert [row["lr"] for row in metrics(tmp_path / "run")] == rates
    assert len(set(rates)) == 3
    assert read_model(tmp_path / "run").id == read_model(trained.folder).id


def test_b25_a_run_has_exactly_its_epochs_and_steps(trained: Trained) -> None:
    last = torch.load(trained.folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert [row["epoch"] for row in metrics(trained.folder)] == ["0", "1", "2"]
    assert last["global_step"] == 3 * 5
    assert {int(state["step"]) for state in last["optimizer_states"][0]["state"].values()} == {3 * 5}


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (2, 2), (3, 3), (1000, 18)])
def test_b25_validation_looks_at_no_more_windows_than_asked(limit: int, count: int, registry: Registry) -> None:
    data, labels = balls()
    recipe = resolve_recipe(registry, "patches", [*SMALL, "data.val.axis=z", "data.val.gap=0", "data.val.fraction=0.5"])
    prepared = prepare(registry, recipe, [data], [labels])
    found = validation_windows(prepared.held, prepared.spec, recipe.data.window, limit)
    assert len(found) == count
    assert len({str(item) for item in found}) == count


@pytest.mark.parametrize("rule", [("train.lr=1e-8", "train.schedule=constant"), ("train.lr=1e-5", "train.warmup=0.9")])
def test_b26_a_tiny_rate_does_not_end_the_training(rule: tuple[str, ...], tmp_path: Path) -> None:
    data, labels = balls((10, 20, 20))
    overrides = [*SMALL, "train.epochs=2", "train.steps=3", "data.augment=none", *rule]
    run = volseg_core.train("patches", data=data, labels=labels, output=tmp_path / "run", overrides=overrides)
    rows = metrics(run.folder)
    assert len(rows) == 2
    assert float(rows[0]["lr"]) < 1e-5
    assert torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 6


def test_b27_a_volume_smaller_than_the_patch_without_foreground_trains(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((5, 9, 11), np.float32)
    overrides = [*SMALL, "data.window=[16, 16, 16]", "data.sampler=foreground", "data.val.fraction=0"]
    overrides += ["classes={background: 0, cell: 1}", "train.epochs=1", "train.steps=2"]
    labels = np.zeros(data.shape, np.uint8)
    run = volseg_core.train("patches", data=data, labels=labels, output=tmp_path / "run", overrides=overrides)
    assert volseg_core.predict(run.folder, data).labels.shape == data.shape


def test_b27_a_grid_without_any_foreground_says_so(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((10, 20, 20), np.float32)
    overrides = [*SMALL, "data.sampler={kind: grid, foreground: 0.1}", "classes={background: 0, cell: 1}"]
    with pytest.raises(DataError, match=r"no window of 8 x 16 x 16 has .* foreground. Lower labelled or foreground"):
        volseg_core.train(
            "patches", data=data, labels=np.zeros(data.shape, np.uint8), output=tmp_path / "run", overrides=overrides
        )


def test_b30_figures_that_cannot_be_drawn_are_an_error(tmp_path: Path) -> None:
    run = tmp_path / "run"

    def block(epoch: int, score: float) -> bool:
        (run / "figures" / "validation.png").mkdir(parents=True)
        return False

    data, labels = balls((10, 20, 20))
    overrides = [*SMALL, "train.epochs=1", "train.steps=1"]
    with pytest.raises(IsADirectoryError, match="validation.png"):
        volseg_core.train("patches", data=data, labels=labels, output=run, overrides=overrides, watch=block)
    assert json.loads((run / "run.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda", True)])
def test_b33_memory_is_pinned_where_batches_go_to_a_gpu(device: str, pinned: bool, registry: Registry) -> None:
    data, labels = balls()
    recipe = resolve_recipe(registry, "patches", [*SMALL, "train.steps=1"])
    prepared = prepare(registry, recipe, [data], [labels])
    augment = registry.catalog.build(recipe.augment.provided, recipe.augment.params)
    makers = teachers(registry.catalog, recipe, prepared.spec.heads, None)
    train, held = make_loaders(prepared, make_batches(prepared, augment, makers), device, makers)
    assert held is not None
    assert (train.pin_memory, held.pin_memory) == (pinned, pinned)


@pytest.mark.parametrize("kind", ["gaussian", "constant", "crop"])
def test_b32_a_constant_network_gives_a_constant(kind: str) -> None:
    tiling = Tiling((11, 13, 17), (4, 8, 8), 0.5, kind)
    parts = [np.full((2, 4, 8, 8), 0.7, np.float32) for _ in tiling.boxes()]
    covered = 0
    for planes, values in blend(parts, tiling):
        np.testing.assert_allclose(values, 0.7, rtol=1e-5)
        covered += planes.stop - planes.start
    assert covered == 11


@pytest.mark.parametrize("kind", ["gaussian", "constant"])
def test_b32_windows_that_disagree_both_count(kind: str) -> None:
    tiling = Tiling((1, 12), (1, 8), 0.5, kind)
    row = next(blend([np.zeros((1, 1, 8), np.float32), np.ones((1, 1, 8), np.float32)], tiling))[1][0, 0]
    np.testing.assert_array_equal(row[:4], 0)
    assert ((row[4:8] > 0) & (row[4:8] < 1)).all()
    np.testing.assert_allclose(row[4:8] + row[7:3:-1], 1, rtol=1e-5)
    np.testing.assert_array_equal(row[8:], 1)


class Recording:
    """A network that keeps what it sees, voxel by voxel."""

    device = "cpu"

    def __init__(self) -> None:
        self.seen: list[Array] = []

    def run(self, batch: Array) -> Any:
        self.seen.append(batch.copy())
        return np.concatenate([-batch, batch], axis=1)

    def free_bytes(self) -> None:
        return None


def test_b34_the_network_sees_statistics_of_the_volume_wherever_windows_lie(
    trained: Trained, registry: Registry
) -> None:
    """A ramp: each window has a mean of its own, so that statistics of windows would show."""
    recipe = resolve_recipe(registry, "patches", SMALL)
    spec = read_model(trained.folder).spec
    data = np.arange(24 * 24 * 24, dtype=np.float32).reshape(1, 24, 24, 24)
    normaliser = spec.normalisation.fit(data)
    wanted = normaliser(data)
    found = []
    for window in ((8, 16, 16), (16, 8, 24), (24, 24, 24)):
        network, kept = Recording(), _Kept((slice(0, 24),) * 3)
        rule = recipe.predict.model_copy(update={"window": window})
        Segmenter(Plan(((View(), 1),), ("labels",), rule, spec), network, normaliser, lambda _: None).block(data, kept)
        seen = np.concatenate([batch.ravel() for batch in network.seen])
        assert np.isin(seen, wanted).all()
        found.append(kept.values)
    np.testing.assert_allclose(found[0], found[2], atol=1e-5)
    np.testing.assert_allclose(found[1], found[2], atol=1e-5)


def test_b34_what_group_norm_takes_from_the_window_is_measured_and_blended_away(trained: Trained) -> None:
    data, _ = balls((48, 64, 64))
    found = {}
    for name, rule in {"default": [], "apart": ["predict.overlap=0", "predict.blend=crop"]}.items():
        overrides = ["predict.window=[24, 32, 32]", *rule]
        seams = volseg_core.predict(trained.folder, data, seams=True, overrides=overrides).seams
        assert seams is not None
        assert seams.difference.inside > 1e-4, "windows do not quite agree"
        found[name] = seams.score
    assert found["default"] < VISIBLE
    assert found["apart"] > max(2 * VISIBLE, 3 * found["default"])

"""What metrics see of files and arrays: pieces, whole volumes, probabilities, instances, voxel sizes, parameters."""

from __future__ import annotations

import contextlib
import logging
import math
from pathlib import Path

import h5py
import numpy as np
import pytest

import volseg_core
from volseg_core.api import ArraySpec, Metric
from volseg_core.data.files import default_params, writer_for
from volseg_core.errors import DataError, PluginError, RecipeErrors, UsageError
from volseg_core.evaluation.comparison import Comparison, check_serves
from volseg_core.registry import load_registry
from volseg_core.volume import Grid, Volume

SHAPE = (20, 6, 7)
CLASSES = [{"id": 0, "name": "background"}, {"id": 3, "name": "cell"}, {"id": 9, "name": "vessel"}]
IDS = np.array([0, 3, 9], np.uint8)
CALIBRATION = "expected-calibration-error"


def make_probabilities(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Return random probabilities (3, *shape) whose winner is clear in half precision too."""
    random = np.random.default_rng(seed)
    chances = random.dirichlet([1, 1, 1], shape).astype(np.float16)
    return np.moveaxis(chances, -1, 0)


def make_truth(seed: int = 1, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return IDS[np.random.default_rng(seed).integers(0, 3, shape)]


def write(path: Path, arrays: dict[str, np.ndarray], **attributes: object) -> Path:
    """Write arrays as `predict` does, through the writer of the suffix."""
    catalog = load_registry().catalog
    writer = writer_for(catalog, path)
    specs = {
        name: ArraySpec(values.shape, values.dtype.name, "czyx" if values.ndim == 4 else "zyx")
        for name, values in arrays.items()
    }
    with catalog.build(writer, default_params(writer)).create(path, specs, attributes) as sink:
        for name, values in arrays.items():
            sink.write(name, tuple(slice(0, size) for size in values.shape), values)
        sink.commit()
    return path


def calibration_by_hand(chances: np.ndarray, truth: np.ndarray) -> float:
    confidence = chances.max(axis=0).astype(float)
    right = IDS[chances.argmax(axis=0)] == truth
    bins = np.ceil(confidence * 15)
    each = [abs((right[bins == number] - confidence[bins == number]).sum()) for number in range(1, 16)]
    return float(sum(each) / truth.size)


def test_metrics_of_surfaces_see_the_whole_volume_and_others_the_same_in_slabs():
    truth = np.zeros((40, 5, 5), np.uint8)
    found = truth.copy()
    truth[10, 2, 2] = found[30, 2, 2] = 1
    scores = volseg_core.evaluate(found, truth, metrics=["hausdorff95", "dice"])
    assert scores["hausdorff95/1"] == 20.0
    assert scores["dice/1"] == 0.0
    assert scores["dice/0"] == pytest.approx(998 / 999)


def test_a_single_plane_is_scored_as_a_slice():
    truth, found = np.zeros((2, 9, 9), np.uint8)
    truth[2:7, 2:7] = found[2:7, 3:8] = 1
    flat = volseg_core.evaluate(found, truth, metrics=["surface-dice"], overrides=["surface-dice.tolerance=0"])
    deep = volseg_core.evaluate(found[None], truth[None], metrics=["nsd"], overrides=["nsd.tolerance=0"])
    assert flat == deep
    # in a volume of one plane every voxel would be surface, and 20 of 25 would agree
    assert flat["surface-dice/1"] == pytest.approx((2 * 8) / (2 * 16))


def test_independent_images_are_scored_one_by_one(tmp_path):
    truth, found = np.zeros((2, 2, 5, 9), np.uint8)
    truth[0, 2, 2] = found[0, 2, 5] = 1
    truth[1, 2, 2] = found[1, 2, 3] = 1
    for name, values in {"found": found, "truth": truth}.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["labels"] = values
            file["labels"].attrs["axes"] = "nyx"
    images = tmp_path / "found.h5", tmp_path / "truth.h5"
    assert volseg_core.evaluate(*images, metrics=["hausdorff95"])["hausdorff95/1"] == (3 + 1) / 2
    assert volseg_core.evaluate(found, truth, metrics=["hausdorff95"])["hausdorff95/1"] == pytest.approx(2.9)


@pytest.mark.parametrize("name", ["seg.h5", "seg.tif", "seg.npy", "seg.npz"])
def test_probabilities_are_found_where_predict_puts_them(name, tmp_path):
    chances, truth = make_probabilities(), make_truth()
    found = IDS[chances.argmax(axis=0)]
    file = write(tmp_path / name, {"labels": found, "probabilities": chances}, classes=CLASSES)
    scores = volseg_core.evaluate(file, truth, metrics=[CALIBRATION, "accuracy"])
    assert scores[CALIBRATION] == pytest.approx(calibration_by_hand(chances, truth))
    assert scores["accuracy"] == (found == truth).mean()


def test_probabilities_are_found_beside_the_dataset_that_is_named(tmp_path):
    truth = make_truth()
    with h5py.File(tmp_path / "runs.h5", "w") as file:
        for number in range(2):
            chances = make_probabilities(number)
            file[f"run{number}/labels"] = IDS[chances.argmax(axis=0)]
            file[f"run{number}/probabilities"] = chances
    scores = volseg_core.evaluate(f"{tmp_path / 'runs.h5'}:/run1/labels", truth, metrics=[CALIBRATION])
    assert scores[CALIBRATION] == pytest.approx(calibration_by_hand(make_probabilities(1), truth))


def test_probabilities_may_be_an_array_a_file_or_a_dataset(tmp_path):
    chances, truth = make_probabilities(), make_truth()
    found = IDS[chances.argmax(axis=0)]
    with h5py.File(tmp_path / "more.h5", "w") as file:
        file["labels"], file["probabilities"], file["other"] = found, chances[::-1], chances
    alone = write(tmp_path / "alone.h5", {"anything": chances})
    places = {
        "array": chances,
        "volume": Volume(chances, Grid()),
        "file": alone,
        "dataset": f"{tmp_path / 'more.h5'}:/other",
    }
    for place in places.values():
        scores = volseg_core.evaluate(found, truth, metrics=[CALIBRATION], probabilities=place)
        assert scores[CALIBRATION] == pytest.approx(calibration_by_hand(chances, truth))
    scores = volseg_core.evaluate(found, truth, metrics=[CALIBRATION], probabilities=tmp_path / "more.h5")
    assert scores[CALIBRATION] == pytest.approx(calibration_by_hand(chances[::-1], truth))


def test_channels_belong_to_the_ids_that_the_file_names(tmp_path):
    chances, truth = make_probabilities(), make_truth()
    order = [2, 0, 1]
    file = write(
        tmp_path / "seg.h5",
        {"labels": IDS[chances.argmax(axis=0)], "probabilities": chances[order]},
        classes=[CLASSES[index] for index in order],
    )
    scores = volseg_core.evaluate(file, truth, metrics=[CALIBRATION])
    assert scores[CALIBRATION] == pytest.approx(calibration_by_hand(chances, truth))


def test_a_class_of_the_labels_that_the_network_does_not_know_is_a_miss(tmp_path):
    chances = np.zeros((2, 1, 2, 2), np.float32)
    chances[0] = 1
    file = write(
        tmp_path / "seg.h5",
        {"labels": np.zeros((1, 2, 2), np.uint8), "probabilities": chances},
        classes=CLASSES[:2],
    )
    truth = np.array([[[0, 0], [0, 9]]], np.uint8)
    assert volseg_core.evaluate(file, truth, metrics=[CALIBRATION])[CALIBRATION] == 0.25


def test_probabilities_that_do_not_fit_are_refused(tmp_path):
    chances, truth = make_probabilities(), make_truth()
    found = IDS[chances.argmax(axis=0)]
    with pytest.raises(DataError, match="array data: has 2 channels for 3 classes. Probabilities hold"):
        volseg_core.evaluate(found, truth, metrics=[CALIBRATION], probabilities=chances[:2])
    with pytest.raises(DataError, match="has shape 19 x 6 x 7 but the labels have 20 x 6 x 7"):
        volseg_core.evaluate(found, truth, metrics=[CALIBRATION], probabilities=chances[:, 1:])
    with pytest.raises(DataError, match="no-such.h5: does not exist"):
        volseg_core.evaluate(found, truth, metrics=[CALIBRATION], probabilities=tmp_path / "no-such.h5")


def test_missing_probabilities_are_an_error_that_says_how_to_make_them(tmp_path):
    truth = make_truth()
    file = write(tmp_path / "seg.h5", {"labels": truth}, classes=CLASSES)
    with pytest.raises(UsageError) as raised:
        volseg_core.evaluate(file, truth, metrics=["dice", "ece"])
    assert str(raised.value) == (
        f"metric 'expected-calibration-error': needs probabilities, and there are none beside {file}. "
        "Make them with volseg predict --probabilities, or say where they are with --probabilities FILE."
    )
    with pytest.raises(UsageError, match="needs probabilities, and there are none beside array labels"):
        volseg_core.evaluate(truth, truth, metrics=["ece"])
    with pytest.raises(UsageError, match="--probabilities: none of the metrics takes them: dice, iou."):
        volseg_core.evaluate(truth, truth, probabilities=make_probabilities())


def test_distances_are_in_the_unit_of_the_labels_else_of_the_prediction(caplog):
    truth, found = np.zeros((2, 1, 9, 9, 9), np.uint8)
    truth[0, 2:5, 2:5, 2:5] = found[0, 4:7, 2:5, 2:5] = 1
    fine, coarse = Grid((0.5, 1.0, 1.0), "um"), Grid((4.0, 1.0, 1.0), "um")
    metric = ["hausdorff95"]
    caplog.set_level(logging.INFO, "volseg")

    def distance(ours: Grid, theirs: Grid) -> float:
        caplog.clear()
        return volseg_core.evaluate(Volume(found, ours), Volume(truth, theirs), metrics=metric)["hausdorff95"]

    assert distance(Grid(), Grid()) == 2.0
    assert caplog.messages == ["no voxel size is known: distances are in voxels"]
    assert distance(coarse, Grid()) == 8.0
    assert caplog.messages == ["voxel size 4 x 1 x 1 um, from the prediction"]
    assert distance(coarse, fine) == 1.0
    assert caplog.messages[0] == "voxel sizes differ: labels 0.5 x 1 x 1 um, prediction 4 x 1 x 1 um"
    assert caplog.records[0].levelname == "WARNING"
    assert distance(Grid((0.5, 1.0, 1.0), "nm"), fine) == 1.0
    assert caplog.records[0].levelname == "WARNING"
    for same in (Grid((0.50001, 1.0, 1.0), "um"), Grid((500.0, 1000.0, 1000.0), "nm")):
        assert distance(same, fine) == 1.0
        assert caplog.messages == ["voxel size 0.5 x 1 x 1 um, from the labels"]


def test_voxel_sizes_are_nobodys_business_where_no_metric_asks(caplog):
    truth = np.zeros((1, 1, 3, 3), np.uint8)
    caplog.set_level(logging.INFO, "volseg")
    volseg_core.evaluate(Volume(truth, Grid((1, 1, 1), "um")), Volume(truth, Grid((2, 2, 2), "um")))
    assert caplog.messages == []


def test_instances_of_any_number_and_id_are_scored_by_their_ids():
    truth = np.arange(1, 4097, dtype=np.uint64).reshape(16, 16, 16) + np.uint64(2**63)
    truth[:8] = 5
    shifted = truth + np.uint64(17)
    scores = volseg_core.evaluate(shifted, truth, instances=True)
    assert scores["adapted-rand"] == 0.0
    assert scores["variation-of-information"] == 0.0
    halves = truth.copy()
    halves[:4] = 6
    scores = volseg_core.evaluate(halves, truth, instances=True)
    assert scores["adapted-rand/precision"] == 1.0
    assert scores["variation-of-information/merge"] == 0.0
    assert scores["variation-of-information/split"] == pytest.approx(0.5)


def test_touching_instances_of_one_class_are_told_apart_only_by_ids():
    truth = np.array([[[1, 1, 2, 2]]], np.uint8)
    assert volseg_core.evaluate(truth, truth, metrics=["adapted-rand"])["adapted-rand"] == 0.0
    merged = np.array([[[1, 1, 1, 1]]], np.uint8)
    assert volseg_core.evaluate(merged, truth, instances=True)["adapted-rand/precision"] == 4 / 12
    assert volseg_core.evaluate(merged, np.ones_like(truth), instances=True)["adapted-rand"] == 0.0


def test_ignored_ids_of_instances_do_not_count():
    truth = np.array([[[1, 1, 255, 255, 2]]], np.uint8)
    found = np.array([[[1, 1, 1, 2, 2]]], np.uint8)
    assert volseg_core.evaluate(found, truth, instances=True, ignore=[255, -1, 3000])["adapted-rand"] == 0.0
    assert volseg_core.evaluate(found, truth, instances=True)["adapted-rand"] > 0.0


def test_what_scores_classes_does_not_score_instances(hook_module):
    truth = np.ones((1, 2, 2), np.uint8)
    with pytest.raises(UsageError, match="metric 'dice': scores classes, not instances. Leave --instances out."):
        volseg_core.evaluate(truth, truth, metrics=["dice"], instances=True)
    with pytest.raises(DataError, match="array labels: holds float32 values; ids must be integers"):
        volseg_core.evaluate(truth, truth.astype(np.float32), instances=True)


def test_parameters_of_metrics_are_set_by_name_or_alias():
    truth = np.zeros((9, 9), np.uint8)
    truth[2:5, 2:5] = 1
    found = np.roll(truth, 2, axis=1)
    metrics = ["surface-dice", "hausdorff95"]

    def score(*overrides: str) -> dict[str, float]:
        return volseg_core.evaluate(found, truth, metrics=metrics, overrides=overrides)

    assert score("surface-dice.tolerance=2")["surface-dice"] == 1.0
    assert score("volseg/surface-dice.tolerance=1", "hd95.background=true")["surface-dice"] < 1.0
    assert "hausdorff95/0" in score("hd95.background=true")
    assert "hausdorff95/0" not in score()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("tolerance=2", "--set tolerance=2: is not METRIC.NAME=VALUE. For example: -s surface-dice.tolerance=2"),
        ("surface-dice.tolerance", "--set surface-dice.tolerance: is not METRIC.NAME=VALUE. "),
        ("surface-dise.tolerance=2", "no metric named 'surface-dise'. Did you mean 'surface-dice'?"),
        ("iou.background=false", "metric 'iou' is not among those asked for. Add --metric iou."),
        ("surface-dice.tolerence=2", "has no parameter 'tolerence'. Did you mean 'tolerance'?"),
        ("surface-dice.tolerance=-1", "'-1' is below the minimum 0|-1 is below the minimum 0"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_opened(assignment, message):
    with pytest.raises((UsageError, RecipeErrors)) as raised:
        volseg_core.evaluate("no-such.h5", "no-such.h5", metrics=["surface-dice"], overrides=[assignment])
    assert any(part in str(raised.value) for part in message.split("|"))


def test_a_foreground_that_is_no_class_is_refused():
    truth = np.zeros((1, 2, 2), np.uint8)
    with pytest.raises(UsageError, match="no class 'cell' for its foreground; the classes are 0."):
        volseg_core.evaluate(truth, truth, metrics=["adapted-rand"], overrides=["adapted-rand.foreground=cell"])


def test_a_foreground_may_be_an_id():
    truth = np.array([[0, 0, 7, 0, 0]], np.uint8)
    gap = np.zeros_like(truth)
    scores = volseg_core.evaluate(gap, truth, metrics=["voi"], overrides=["voi.foreground=0"])
    assert scores["variation-of-information/merge"] == 1.0


def test_a_metric_that_is_named_twice_is_computed_once():
    truth = np.zeros((1, 2, 2), np.uint8)
    assert list(volseg_core.evaluate(truth, truth, metrics=["dice", "volseg/dice"])) == ["dice", "dice/0"]


def test_a_prediction_without_a_class_where_there_is_a_label_is_refused():
    truth, found = np.array([[0, 1, 255]], np.uint8), np.array([[0, 255, 255]], np.uint8)
    with pytest.raises(DataError, match="holds an ignored id where the labels have a class"):
        volseg_core.evaluate(found, truth, ignore=[255])
    found[0, 1] = 1
    assert volseg_core.evaluate(found, truth, ignore=[255])["dice"] == 1.0


def test_the_error_of_a_plugins_metric_names_the_plugin(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from volseg_core.api import Metric, hookimpl\n"
        "@hookimpl\n"
        "def volseg_metrics():\n"
        "    common = {'summary': 'A metric.', 'licence': 'MIT'}\n"
        "    return [Metric(name='odd', target='mine:Odd', outputs=('odd',), **common),\n"
        "            Metric(name='flow', target='mine:Odd', outputs=('flow',), tasks=('regression',), **common)]\n"
        "class Odd:\n"
        "    def update(self, prediction, target, valid): raise ValueError('theta is odd')\n"
    )
    (tmp_path / "registry.yaml").write_text("version: 1\nplugins: {local: [./mine.py]}\n")
    monkeypatch.chdir(tmp_path)
    truth = np.zeros((1, 2, 2), np.uint8)
    with pytest.raises(PluginError, match=r"local/mine/odd.*theta is odd"):
        volseg_core.evaluate(truth, truth, metrics=["odd"])
    with pytest.raises(UsageError, match="metric 'flow': scores the task regression, not classes."):
        volseg_core.evaluate(truth, truth, metrics=["flow"])


def metrics_for(comparison: Comparison) -> list[Metric]:
    """Return the built-in metrics that can compare this."""
    found = []
    for provided in load_registry(builtin_only=True).catalog.all("metric"):
        with contextlib.suppress(UsageError):
            check_serves(provided.component, comparison)
            found.append(provided.component)
    return found


def test_every_metric_of_classes_scores_a_pair_of_volumes_in_one_call(tmp_path):
    chances, truth = make_probabilities(), make_truth()
    file = write(
        tmp_path / "seg.h5", {"labels": IDS[chances.argmax(axis=0)], "probabilities": chances}, classes=CLASSES
    )
    metrics = metrics_for(Comparison.CLASSES)
    scores = volseg_core.evaluate(file, truth, metrics=[metric.name for metric in metrics])
    assert {name for metric in metrics for name in metric.outputs} <= set(scores)
    assert all(math.isfinite(value) for value in scores.values())
    assert "cldice/vessel" in scores


def test_every_built_in_metric_scores_volumes_of_some_kind():
    names = [[metric.name for metric in metrics_for(comparison)] for comparison in Comparison]
    catalog = load_registry(builtin_only=True).catalog
    assert {name for each in names for name in each} == {item.component.name for item in catalog.all("metric")}
    dice = [comparison for comparison, each in zip(Comparison, names, strict=True) if "dice" in each]
    assert dice == [Comparison.CLASSES, Comparison.CHANNELS]
    for comparison, each in zip(Comparison, names, strict=True):
        assert comparison is Comparison.MAPS or set(comparison.metrics) <= set(each)

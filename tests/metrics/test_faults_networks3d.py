"""Faults of metrics that were found in pytorch-3dunet 1.9.6, by their numbers: each on an array that shows it."""

import re
from pathlib import Path

import numpy as np
import pytest

import volseg_core
from volseg_core.errors import UsageError
from volseg_core.registry import load_registry
from volseg_metrics.detection import AveragePrecision
from volseg_metrics.differences import PeakSignalToNoise
from volseg_metrics.maps import BoundaryAveragePrecision
from volseg_metrics.overlap import Dice, Iou

IDS = {"classes": (), "task": "instance"}
DENSE = np.arange(12).reshape(3, 4).repeat(3, axis=0).repeat(3, axis=1) + 1


def scored(metric, *arrays):
    metric.update(*map(np.asarray, arrays))
    return metric.compute()


def test_b1b_a_threshold_that_is_set_is_used_and_an_unknown_parameter_is_an_error():
    boundary = np.array([[[0.1, 0.45, 0.1]]])
    target = np.array([[1, 0, 2]])
    found = [
        scored(BoundaryAveragePrecision(threshold=threshold, classes=("b",)), boundary, target)
        for threshold in (0.5, 0.6)
    ]
    assert [scores["boundary-average-precision"] for scores in found] == [0.0, 1.0]
    with pytest.raises(UsageError, match="has no parameter 'use_first_input'"):
        volseg_core.evaluate(DENSE, DENSE, metrics=["iou"], overrides=["iou.use_first_input=true"])


def test_b5_no_object_is_dropped_where_there_is_no_background():
    permuted = np.array([0, *np.random.default_rng(0).permutation(12) + 1])[DENSE]
    assert scored(AveragePrecision(**IDS), permuted, DENSE)["average-precision"] == 1.0
    missing = np.where(permuted == permuted[0, 0], 0, permuted)
    assert scored(AveragePrecision(**IDS), missing, DENSE)["average-precision"] == pytest.approx(11 / 12)


def test_b6_nothing_found_where_there_is_nothing_scores_1():
    empty = np.zeros((4, 4), int)
    assert scored(AveragePrecision(**IDS), empty, empty)["average-precision"] == 1.0


def test_b7_absent_classes_do_not_count_as_found_and_ignored_voxels_do_not_count():
    metric = Iou(background=False, classes=("none", "a", "b"), task="multiclass")
    target = np.array([0, 1, 1, 0])
    assert scored(metric, [0, 1, 0, 0], target)["iou"] == 0.5
    metric.reset()
    assert scored(metric, [0, 1, 0, 0], [0, 1, -1, -1])["iou"] == 1.0


def test_b8_a_perfect_prediction_has_a_dice_of_1_for_each_class_as_probabilities_and_as_classes():
    classes = np.array([[[0, 1], [1, 1]], [[2, 2], [0, 0]]])
    chances = np.stack([classes == 1, classes == 2]) * 0.9
    found = scored(Dice(classes=("a", "b"), task="multilabel"), chances, (chances > 0).astype(float))
    assert found == {"dice": 1.0, "dice/a": 1.0, "dice/b": 1.0}
    found = scored(Dice(classes=("none", "a", "b"), task="multiclass"), classes, classes)
    assert found == {"dice": 1.0, "dice/none": 1.0, "dice/a": 1.0, "dice/b": 1.0}


def test_b9_one_channel_has_a_mean_iou():
    found = scored(Iou(classes=("cell",), task="multilabel"), [[0.9, 0.9, 0.1]], [[1.0, 0.0, 0.0]])
    assert found == {"iou": 0.5, "iou/cell": 0.5}


def test_b17_values_may_exceed_1():
    target = np.array([[0.0, 5000.0]])
    assert scored(PeakSignalToNoise(classes=("c",)), target + 50, target)["psnr"] == pytest.approx(40)


def test_b28_leaving_small_objects_out_changes_no_array():
    target = np.array([[1, 1, 0, 2]])
    target.flags.writeable = False
    scored(AveragePrecision(min_size=2, **IDS), target, target)


def test_b29_every_metric_of_the_reference_page_exists_and_every_one_that_exists_is_there():
    page = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    table = page.partition("| metric | definition |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    catalog = load_registry(builtin_only=True).catalog
    listed = {name for row in rows for name in re.findall("`([^`]+)`", row)}
    assert listed == {provided.component.name for provided in catalog.all("metric")}

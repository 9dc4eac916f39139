"""Values that pytorch-3dunet computes on given arrays: ours where they are right, something else where they are not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volseg_metrics.detection import OVERLAPS, AveragePrecision
from volseg_metrics.differences import MeanSquaredError, PeakSignalToNoise
from volseg_metrics.maps import BoundaryAdaptedRand, BoundaryAveragePrecision
from volseg_metrics.overlap import Dice, Iou
from volseg_metrics.partition import AdaptedRand
from volseg_metrics.soft_dice import SoftDice

Array = np.ndarray[Any, Any]
Case = dict[str, Any]

SHARED = Path(os.environ.get("VOLSEG_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
FOLDER = SHARED / "conformance" / "networks3d"
IDS: dict[str, Any] = {"classes": (), "task": "instance"}
THRESHOLDS = (0.3, 0.4, 0.5, 0.6)
"""Those among which the reference takes the best for each patch, by its truth."""


def cases(*names: str, quirk: bool = False) -> Any:
    """Return the cases of kinds or names as parameters of a test; one that is skipped where there are none."""
    if not FOLDER.is_dir():
        return [pytest.param({}, marks=pytest.mark.skip(reason="the shared cases are not here"))]
    found = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))["cases"]
    chosen = [case for case in found if case.get("name") in names or case["kind"] in names]
    return [pytest.param(case, id=case["id"]) for case in chosen if bool(case.get("quirk")) is quirk]


@pytest.fixture(scope="module")
def arrays() -> Callable[..., list[Array]]:
    """Return arrays of a case by their keys."""
    stored = np.load(FOLDER / "arrays.npz")
    return lambda case, *keys: [stored[case[key]] for key in keys]


def score(metric: Any, *given: Array) -> float:
    metric.update(*given)
    return float(metric.compute()[metric.name if hasattr(metric, "name") else "soft-dice"])


def names(size: int) -> list[str]:
    return [f"c{index}" for index in range(size)]


@pytest.mark.parametrize("case", cases("DiceCoefficient"))
def test_the_reference_s_dice_is_ours_of_probabilities(case: Case, arrays: Any) -> None:
    chances, target = (array.swapaxes(0, 1) for array in arrays(case, "input", "target"))
    found = score(SoftDice(classes=names(len(chances)), task="multilabel"), chances, target)
    assert found == pytest.approx(case["expected"], rel=1e-5)


def mean_iou(case: Case, chances: Array, target: Array) -> float:
    """Return the mean over samples of our score: of channels, or of classes without class 0."""
    background = not case["params"].get("skip_background", True)
    each = []
    for ours, theirs in zip(chances, target, strict=True):
        if target.ndim == chances.ndim:
            each.append(score(Iou(classes=names(len(ours)), task="multilabel"), ours, theirs))
        else:
            metric = Iou(background=background, classes=names(len(ours)), task="multiclass")
            each.append(score(metric, ours.argmax(axis=0), theirs))
    return float(np.mean(each))


@pytest.mark.parametrize("case", cases("MeanIoU"))
def test_mean_iou(case: Case, arrays: Any) -> None:
    assert mean_iou(case, *arrays(case, "input", "target")) == pytest.approx(case["expected"], rel=1e-5)


@pytest.mark.parametrize("case", cases("MeanIoU", quirk=True))
def test_absent_and_ignored_classes_of_mean_iou_are_left_out(case: Case, arrays: Any) -> None:
    chances, target = arrays(case, "input", "target")
    each = []
    for ours, theirs in zip(chances.argmax(axis=1), target, strict=True):
        kept = theirs != -1
        pairs = [((ours == index) & kept, theirs == index) for index in range(1, chances.shape[1])]
        each.append(np.mean([(one & two).sum() / (one | two).sum() for one, two in pairs if (one | two).any()]))
    found = mean_iou(case, chances, target)
    assert found == pytest.approx(np.mean(each), rel=1e-9)
    assert found != pytest.approx(case["expected"], rel=1e-3)


@pytest.mark.parametrize("case", cases("predictor_mean_iou", "predictor_dice"))
def test_scores_of_a_whole_prediction(case: Case, arrays: Any) -> None:
    prediction, target = arrays(case, "pred", "gt")
    if case["kind"] == "predictor_mean_iou":
        metric: Any = Iou(background=False, classes=names(case["n_classes"]), task="multiclass")
    else:
        metric = Dice(classes=names(len(prediction)), task="multilabel")
    metric.update(prediction, target)
    each = [value for key, value in metric.compute().items() if "/" in key and (key != "iou/c0")]
    assert each == pytest.approx(case["expected"], rel=1e-5)


@pytest.mark.parametrize("case", cases("AdaptedRandError"))
def test_adapted_rand_error_of_ids(case: Case, arrays: Any) -> None:
    prediction, target = (array[0] for array in arrays(case, "input", "target"))
    truth = target[-1]  # the last channel holds the ids where there are several
    assert score(AdaptedRand(**IDS), prediction[0], truth) == pytest.approx(case["expected"], rel=1e-5, abs=1e-9)


def maps_of(case: Case, chances: Array) -> list[tuple[str, bool, float]]:
    """Return channels that the reference tries, whether each is a boundary, and the threshold that its objects pass."""
    params = case["params"]
    boundary = params.get("invert_pmaps", True)
    inverted = params.get("invert_channels", range(len(chances)) if boundary else ())
    channels = params.get("input_channels", range(len(chances)))
    return [
        (f"c{channel}", channel in inverted, 1 - threshold if channel in inverted else threshold)
        for channel in channels
        for threshold in params.get("thresholds", THRESHOLDS)
    ]


@pytest.mark.parametrize("case", cases("BoundaryAdaptedRandError", "GenericAdaptedRandError"))
def test_adapted_rand_error_of_maps_is_the_lowest_of_ours_at_each_threshold(case: Case, arrays: Any) -> None:
    chances, target = (array[0] for array in arrays(case, "input", "target"))
    each = []
    for channel, boundary, threshold in maps_of(case, chances):
        inside = [] if boundary else [channel]
        metric = BoundaryAdaptedRand(
            threshold=threshold, channels=[channel], inside=inside, classes=names(len(chances))
        )
        each.append(score(metric, chances, target[-1].astype(np.int64)))
    assert min(each) == pytest.approx(case["expected"], rel=1e-5)


@pytest.mark.parametrize("case", cases("BlobsAveragePrecision", "BlobsBoundaryAveragePrecision"))
def test_average_precision_of_maps_is_the_highest_of_ours_at_each_threshold(case: Case, arrays: Any) -> None:
    chances, target = (array[0] for array in arrays(case, "input", "target"))
    params = case["params"]
    both: dict[str, Any] = {"channels": ["c0"], "inside": ["c0"]}
    if case["name"] == "BlobsBoundaryAveragePrecision":
        both = {"channels": ["c1"], "foreground": "c0"}
    each = []
    for threshold in params.get("thresholds", THRESHOLDS):
        metric = BoundaryAveragePrecision(
            threshold=threshold,
            overlaps=[0.5] if params.get("metric") == "acc" else OVERLAPS,
            min_size=params.get("min_instance_size", 0),
            classes=names(len(chances)),
            **both,
        )
        each.append(score(metric, chances, target[-1].astype(np.int64)))
    assert max(each) == pytest.approx(case["expected"], rel=1e-5)


def most_matches(prediction: Array, target: Array, overlap: float) -> int:
    """Return how many objects of the other segmentation an object overlaps by more than that, at most."""
    ours, theirs = ([array == number for number in np.unique(array) if number] for array in (prediction, target))
    shares = np.array([[(one & other).sum() / (one | other).sum() for one in ours] for other in theirs])
    return max((shares > overlap).sum(axis).max() for axis in (0, 1))


@pytest.mark.parametrize("case", cases("instance_metrics"))
def test_scores_of_objects_at_low_overlaps_but_for_those_that_the_reference_counts_twice(
    case: Case, arrays: Any
) -> None:
    """Below 0.5 both parts of a split object, and both objects of a merged one, are found there; here one of them."""
    target, prediction = arrays(case, "gt", "seg")
    found, expected = detection_scores(prediction, target, [0.3]), case["expected"]["0.3"]
    if most_matches(prediction, target, 0.3) > 1:
        assert found["accuracy"] < expected["accuracy"]
    else:
        assert found == pytest.approx(expected, rel=1e-5)


def padded(array: Array, value: float) -> Array:
    """Add a border to a volume, as background is around objects."""
    return np.pad(array, [(0, 0)] * (array.ndim - 3) + [(1, 1)] * 3, constant_values=value)


@pytest.mark.parametrize("case", cases("BoundaryAveragePrecision", quirk=True))
def test_average_precision_of_maps_of_dense_tissue_counts_its_first_object(case: Case, arrays: Any) -> None:
    chances, target = (array[0] for array in arrays(case, "input", "target"))
    ids = target[-1].astype(np.int64)
    assert ids.min() > 0
    each = []
    for channel, _, threshold in maps_of(case, chances):
        params = {"threshold": threshold, "min_size": case["params"].get("min_instance_size", 0)}
        one, two = (
            score(BoundaryAveragePrecision(channels=[channel], classes=names(len(chances)), **params), *given)
            for given in ((chances, ids), (padded(chances, 1), padded(ids, 0)))
        )
        assert one == two
        each.append(one)
    assert max(each) != pytest.approx(case["expected"], rel=1e-3)


def detection_scores(prediction: Array, target: Array, overlaps: Any) -> dict[str, float]:
    metric = AveragePrecision(overlaps=overlaps, **IDS)
    metric.update(prediction, target)
    return {
        name: metric.compute()[f"average-precision{part}"]
        for name, part in {"accuracy": "", "precision": "/precision", "recall": "/recall", "f1": "/f1"}.items()
    }


@pytest.mark.parametrize("case", cases("instance_metrics"))
def test_scores_of_objects(case: Case, arrays: Any) -> None:
    target, prediction = arrays(case, "gt", "seg")
    expected = case["expected"]
    for overlap in ("0.5", "0.75", "0.9"):
        assert detection_scores(prediction, target, [float(overlap)]) == pytest.approx(expected[overlap], rel=1e-5)
    average = detection_scores(prediction, target, OVERLAPS)["accuracy"]
    assert average == pytest.approx(expected["AveragePrecision"], rel=1e-5)
    half = detection_scores(prediction, target, [0.5])["accuracy"]
    assert half == pytest.approx(expected["Accuracy@0.5"], rel=1e-5)


@pytest.mark.parametrize("case", cases("instance_metrics", quirk=True))
def test_scores_of_objects_of_dense_tissue_are_those_with_a_border_of_background(case: Case, arrays: Any) -> None:
    target, prediction = arrays(case, "gt", "seg")
    found = detection_scores(prediction, target, OVERLAPS)
    assert found == detection_scores(padded(prediction, 0), padded(target, 0), OVERLAPS)
    assert found["accuracy"] != pytest.approx(case["expected"]["AveragePrecision"], rel=1e-3)
    if case["note"].startswith("permute"):
        assert set(found.values()) == {1.0}


@pytest.mark.parametrize("case", cases("PSNR"))
def test_signal_to_noise(case: Case, arrays: Any) -> None:
    prediction, target = arrays(case, "input", "target")
    width = 2 if target.min() < 0 else 1  # what scikit-image takes for numbers of one type
    found = score(PeakSignalToNoise(range=width, classes=["c"]), prediction[0], target[0])
    assert found == pytest.approx(case["expected"], rel=1e-5)


@pytest.mark.parametrize("case", cases("PSNR", quirk=True))
def test_signal_to_noise_of_values_above_one(case: Case, arrays: Any) -> None:
    prediction, target = arrays(case, "input", "target")
    assert "ValueError" in case["raises"]
    expected = 10 * np.log10(np.ptp(target).astype(float) ** 2 / np.mean((prediction - target).astype(float) ** 2))
    assert score(PeakSignalToNoise(classes=["c"]), prediction[0], target[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("case", cases("MSE"))
def test_mean_squared_error(case: Case, arrays: Any) -> None:
    prediction, target = arrays(case, "input", "target")
    found = score(MeanSquaredError(classes=["c"]), prediction[0], target[0])
    assert found == pytest.approx(case["expected"], rel=1e-5)

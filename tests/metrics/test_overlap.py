import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.api import DataError, UsageError
from volseg_metrics.overlap import Dice, Iou, Overlap, Precision, Recall

NAMES = ("background", "cell", "vessel", "wall")
TASK = "multiclass"
each_metric = pytest.mark.parametrize("kind", [Dice, Iou, Precision, Recall])


class Case(NamedTuple):
    prediction: np.ndarray
    target: np.ndarray
    valid: np.ndarray


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    highest = draw(st.integers(1, 4))
    prediction, target = random.integers(0, highest, (2, *shape))
    target[random.random(shape) < 0.1] = -1
    return Case(prediction, target, random.random(shape) < draw(st.sampled_from([0.3, 0.9, 1.0])))


def score(metric: Overlap, *arrays: np.ndarray) -> dict[str, float]:
    metric.reset()
    metric.update(*arrays)
    return metric.compute()


def brute_force(kind: type[Overlap], case: Case) -> dict[str, float]:
    """Score sets of voxel positions, one class at a time."""
    kept = case.valid & (case.target != -1)
    scores = {}
    for index, name in enumerate(NAMES):
        predicted = set(np.flatnonzero((case.prediction == index) & kept))
        true = set(np.flatnonzero((case.target == index) & kept))
        common, either = len(predicted & true), len(predicted | true)
        above, below = {
            Dice: (2 * common, len(predicted) + len(true)),
            Iou: (common, either),
            Precision: (common, len(predicted)),
            Recall: (common, len(true)),
        }[kind]
        scores[f"{kind.name}/{name}"] = math.nan if not either else above and above / below
    known = [value for value in scores.values() if value == value]  # noqa: PLR0124 - nan is what differs from itself
    return {kind.name: sum(known) / len(known) if known else math.nan} | scores


@each_metric
@settings(max_examples=60)
@given(case=cases())
def test_scores_are_those_of_sets_of_voxels(kind: type[Overlap], case: Case) -> None:
    assert score(kind(classes=NAMES, task=TASK), *case) == pytest.approx(brute_force(kind, case), nan_ok=True)


@each_metric
@settings(max_examples=40)
@given(case=cases(), random=st.randoms(use_true_random=False))
def test_pieces_in_any_order_score_as_the_whole(kind: type[Overlap], case: Case, random: object) -> None:
    order = np.arange(case.target.size)
    random.shuffle(order)  # type: ignore[attr-defined]
    flat = [array.ravel()[order] for array in case]
    metric = kind(classes=NAMES, task=TASK)
    for piece in zip(*(np.array_split(array, 3) for array in flat), strict=True):
        metric.update(*piece)
    np.testing.assert_equal(metric.compute(), score(kind(classes=NAMES, task=TASK), *case))


@each_metric
@settings(max_examples=40)
@given(case=cases())
def test_ignored_voxels_are_as_if_they_were_not_there(kind: type[Overlap], case: Case) -> None:
    kept = case.valid & (case.target != -1)
    alone = score(kind(classes=NAMES, task=TASK), case.prediction[kept], case.target[kept])
    np.testing.assert_equal(score(kind(classes=NAMES, task=TASK), *case), alone)


@settings(max_examples=40)
@given(case=cases())
def test_dice_follows_from_iou(case: Case) -> None:
    dice, iou = (score(kind(classes=NAMES, task=TASK), *case) for kind in (Dice, Iou))
    for name in NAMES:
        overlap = iou[f"iou/{name}"]
        assert dice[f"dice/{name}"] == pytest.approx(2 * overlap / (1 + overlap), nan_ok=True)


def test_values_by_hand() -> None:
    prediction, target = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    assert score(Dice(classes=NAMES[:2], task=TASK), prediction, target) == pytest.approx(
        {"dice": (1 / 2 + 2 / 3) / 2, "dice/background": 1 / 2, "dice/cell": 2 / 3}
    )
    assert score(Iou(classes=NAMES[:2], task=TASK), prediction, target) == pytest.approx(
        {"iou": (1 / 3 + 1 / 2) / 2, "iou/background": 1 / 3, "iou/cell": 1 / 2}
    )
    prediction, target = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 1, 1, 0])
    assert score(Precision(classes=NAMES[:2], task=TASK), prediction, target) == pytest.approx(
        {"precision": (1 / 3 + 1 / 2) / 2, "precision/background": 1 / 3, "precision/cell": 1 / 2}
    )
    assert score(Recall(classes=NAMES[:2], task=TASK), prediction, target) == pytest.approx(
        {"recall": (1 / 2 + 1 / 3) / 2, "recall/background": 1 / 2, "recall/cell": 1 / 3}
    )


def test_not_to_predict_a_class_does_not_raise_the_mean_precision() -> None:
    scores = score(Precision(classes=NAMES[:2], task=TASK), np.array([0, 0, 0]), np.array([0, 0, 1]))
    assert scores["precision/cell"] == 0.0
    assert scores["precision"] == pytest.approx((2 / 3 + 0) / 2)


@each_metric
def test_a_perfect_prediction_with_a_class_absent_is_exactly_one(kind: type[Overlap]) -> None:
    target = np.array([[0, 2], [2, 3]])
    scores = score(kind(classes=NAMES, task=TASK), target, target)
    assert scores[kind.name] == 1.0
    assert math.isnan(scores[f"{kind.name}/cell"])


@each_metric
def test_a_class_that_is_only_predicted_scores_zero(kind: type[Overlap]) -> None:
    scores = score(kind(classes=NAMES[:2], task=TASK), np.array([0, 0, 1]), np.array([0, 0, 0]))
    assert scores[f"{kind.name}/cell"] == 0.0
    assert scores[kind.name] == scores[f"{kind.name}/background"] / 2


@settings(max_examples=40)
@given(case=cases())
def test_dice_is_the_harmonic_mean_of_precision_and_recall(case: Case) -> None:
    dice, precision, recall = (score(kind(classes=NAMES, task=TASK), *case) for kind in (Dice, Precision, Recall))
    for name in NAMES:
        p, r = precision[f"precision/{name}"], recall[f"recall/{name}"]
        assert dice[f"dice/{name}"] == pytest.approx(2 * p * r / (p + r) if p + r else p, nan_ok=True)


@each_metric
def test_the_background_may_be_left_out_of_the_mean(kind: type[Overlap]) -> None:
    prediction, target = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    scores = score(kind(classes=NAMES, background=False, task=TASK), prediction, target)
    assert scores[kind.name] == scores[f"{kind.name}/cell"] != scores[f"{kind.name}/background"]


@each_metric
def test_without_a_class_there_is_no_mean(kind: type[Overlap]) -> None:
    fresh = kind(classes=NAMES, task=TASK)
    assert all(math.isnan(value) for value in fresh.compute().values())
    nothing_but_background = score(kind(classes=NAMES, background=False, task=TASK), np.zeros(3, int), np.zeros(3, int))
    assert math.isnan(nothing_but_background[kind.name])
    assert nothing_but_background[f"{kind.name}/background"] == 1.0


@each_metric
def test_reset_forgets(kind: type[Overlap]) -> None:
    metric = kind(classes=NAMES, task=TASK)
    metric.update(np.array([1]), np.array([0]))
    metric.reset()
    metric.update(np.array([1]), np.array([1]))
    assert metric.compute()[kind.name] == 1.0


@each_metric
@settings(max_examples=40)
@given(case=cases())
def test_each_channel_of_a_multilabel_task_is_a_binary_one(kind: type[Overlap], case: Case) -> None:
    """A channel's score is that of class 1 where the other class is the rest."""
    members = [np.stack([array == index for index in (1, 2)]) for array in (case.prediction, case.target)]
    chances, target = np.where(members[0], 0.9, 0.2), members[1].astype(np.float32)
    valid = np.stack([case.valid & (case.target != -1)] * 2)
    found = score(kind(classes=NAMES[1:3], task="multilabel"), chances, target, valid)
    for channel, name in enumerate(NAMES[1:3]):
        alone = kind(classes=("rest", name), background=False, task="binary")
        expected = score(alone, members[0][channel].astype(int), members[1][channel].astype(int), valid[channel])
        assert found[f"{kind.name}/{name}"] == pytest.approx(expected[kind.name], nan_ok=True)


def test_the_threshold_of_probabilities_is_the_one_that_is_set() -> None:
    chances, target = np.array([[0.3, 0.5, 0.7, 0.9]]), np.array([[0.0, 1.0, 1.0, 1.0]])
    scores = {
        each: score(Recall(classes=("edge",), threshold=each, task="multilabel"), chances, target)["recall"]
        for each in (0.2, 0.5, 0.8)
    }
    assert scores == {0.2: 1.0, 0.5: 2 / 3, 0.8: 1 / 3}


def test_channels_may_know_different_voxels() -> None:
    chances, target = np.array([[0.9, 0.1], [0.9, 0.9]]), np.array([[1.0, 1.0], [0.0, 1.0]])
    valid = np.array([[True, False], [False, True]])
    assert score(Dice(classes=("a", "b"), task="multilabel"), chances, target, valid)["dice"] == 1.0
    assert score(Dice(classes=("a", "b"), task="multilabel"), chances, target)["dice"] == pytest.approx(2 / 3)


def test_what_says_nothing_of_a_task_is_refused() -> None:
    with pytest.raises(UsageError) as raised:
        Dice(background=False, classes=("a",), task="multilabel")
    assert str(raised.value) == "metric 'dice': background=false says nothing of a multilabel task. Leave it out."
    with pytest.raises(UsageError, match="metric 'iou': threshold=0.3 says nothing of classes. Leave it out."):
        Iou(threshold=0.3, classes=NAMES, task=TASK)


def test_values_that_are_no_probabilities_are_refused() -> None:
    metric = Dice(classes=("a",), task="multilabel")
    with pytest.raises(DataError, match="metric: the prediction holds values that are no probabilities. They must lie"):
        metric.update(np.array([[0.5, 3.0]]), np.array([[0.0, 1.0]]))
    with pytest.raises(DataError, match="float64 of shape .2, 2.. It must hold floats for each of 1 channels, .K, .S."):
        metric.update(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(DataError, match="metric: the target is of type int64. It must hold floats"):
        metric.update(np.zeros((1, 2)), np.zeros((1, 2), int))

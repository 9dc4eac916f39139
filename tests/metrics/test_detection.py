import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.api import UsageError
from volseg_metrics.detection import OVERLAPS, AveragePrecision, Detection, PanopticQuality

IDS = {"classes": (), "task": "instance"}
CLASSES = {"classes": ("background", "cell", "vessel"), "task": "multiclass"}
each_metric = pytest.mark.parametrize("kind", [AveragePrecision, PanopticQuality])


def scored(metric: Detection, *images: tuple[Any, ...]) -> dict[str, float]:
    for arrays in images:
        metric.update(*map(np.asarray, arrays))
    return metric.compute()


@st.composite
def segmentations(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Ids in blocks; the prediction has some of the blocks run together, moved or lost."""
    shape = draw(st.sampled_from([(8, 9), (4, 6, 6)]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    target = np.kron(random.integers(0, 9, [-(-size // 3) for size in shape]), np.ones([3] * len(shape), int))
    target = target[tuple(slice(0, size) for size in shape)]
    prediction = np.where(random.random(shape) < draw(st.sampled_from([0, 0.1, 0.4])), 0, target)
    return random.permutation(np.arange(12))[prediction] * (prediction > 0), target


def brute_force(prediction: np.ndarray, target: np.ndarray, overlap: float) -> tuple[int, int, int, float]:
    """Compare every true object with every predicted one as sets of voxels."""
    ours, theirs = (
        [set(np.flatnonzero(array == number)) for number in np.unique(array) if number]
        for array in (prediction, target)
    )
    shares = [len(one & other) / len(one | other) for one in ours for other in theirs]
    matches = [share for share in shares if share > overlap]
    return len(matches), len(ours) - len(matches), len(theirs) - len(matches), sum(matches)


@settings(max_examples=60)
@given(case=segmentations())
def test_average_precision_is_that_of_sets_of_voxels(case: Any) -> None:
    counts = [brute_force(*case, overlap) for overlap in OVERLAPS]
    expected = [hits / (hits + extra + missed) if hits + extra + missed else 1 for hits, extra, missed, _ in counts]
    assert scored(AveragePrecision(**IDS), case)["average-precision"] == pytest.approx(np.mean(expected))


@settings(max_examples=60)
@given(case=segmentations())
def test_panoptic_quality_is_that_of_sets_of_voxels(case: Any) -> None:
    hits, extra, missed, total = brute_force(*case, 0.5)
    weight = hits + (extra + missed) / 2
    scores = scored(PanopticQuality(**IDS), case)
    assert scores["panoptic-quality"] == pytest.approx(total / weight if weight else 1)
    parts = scores["panoptic-quality/segmentation"] * scores["panoptic-quality/recognition"]
    assert scores["panoptic-quality"] == pytest.approx(parts)


TRUE = [[1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 3]]
PREDICTED = [[7, 7, 7, 7, 0, 0, 8, 8, 0, 0, 9, 9]]


def test_below_a_half_an_object_is_matched_once_with_what_it_overlaps_most() -> None:
    """One predicted object over two true ones, by 3/7 and 4/7, and one true object in two halves: two matches."""
    true, predicted = [[1, 1, 1, 2, 2, 2, 2, 0, 3, 3, 3, 3]], [[7, 7, 7, 7, 7, 7, 7, 0, 8, 8, 9, 9]]
    metric = AveragePrecision(overlaps=(0.3,), **IDS)
    scores = scored(metric, (predicted, true))
    assert scores["average-precision"] == pytest.approx(2 / (2 + 1 + 1))
    assert scores == pytest.approx(scored(metric, (true, predicted)))
    quality = scored(PanopticQuality(**IDS), (predicted, true))
    assert quality["panoptic-quality"] == pytest.approx(4 / 7 / 3), "of those above 0.5 alone"


def test_scores_by_hand() -> None:
    """Objects of overlap 4/5, 1/2 and 1/2; only the first exceeds 0.5."""
    scores = scored(AveragePrecision(overlaps=(0.5, 0.75, 0.9), **IDS), (PREDICTED, TRUE))
    assert scores == pytest.approx(
        {
            "average-precision": (1 / 5 + 1 / 5 + 0) / 3,
            "average-precision/precision": (1 / 3 + 1 / 3 + 0) / 3,
            "average-precision/recall": (1 / 3 + 1 / 3 + 0) / 3,
            "average-precision/f1": (1 / 3 + 1 / 3 + 0) / 3,
        }
    )
    scores = scored(PanopticQuality(**IDS), (PREDICTED, TRUE))
    assert scores["panoptic-quality"] == pytest.approx(0.8 / (1 + 2 / 2 + 2 / 2))
    assert scores["panoptic-quality/segmentation"] == pytest.approx(0.8)
    assert scores["panoptic-quality/recognition"] == pytest.approx(1 / 3)


def test_precision_and_recall_tell_false_objects_from_missed_ones() -> None:
    one, two = [[1, 1, 0, 0]], [[1, 1, 0, 2]]
    more, fewer = scored(AveragePrecision(**IDS), (two, one)), scored(AveragePrecision(**IDS), (one, two))
    assert (more["average-precision/precision"], more["average-precision/recall"]) == (0.5, 1.0)
    assert (fewer["average-precision/precision"], fewer["average-precision/recall"]) == (1.0, 0.5)
    assert more["average-precision/f1"] == fewer["average-precision/f1"] == pytest.approx(2 / 3)


@each_metric
def test_dense_tissue_without_background_is_perfect_whatever_its_ids(kind: type[Detection]) -> None:
    target = np.arange(4).repeat(6).reshape(4, 6) + 1
    for ids in ([1, 2, 3, 4], [4, 3, 2, 1], [101, 2**40, 7, 1]):
        assert scored(kind(**IDS), (np.array([0, *ids])[target], target))[kind.name] == 1.0


@each_metric
def test_background_beside_the_objects_changes_nothing(kind: type[Detection]) -> None:
    random = np.random.default_rng(4)
    target = random.integers(1, 4, (5, 6)).repeat(3, axis=1)
    prediction = np.where(random.random(target.shape) < 0.2, 1, target)
    padded = [np.pad(array, 2) for array in (prediction, target)]
    found = scored(kind(**IDS), (prediction, target))
    assert found == scored(kind(**IDS), padded)
    assert 0 < found[kind.name] < 1


@each_metric
def test_nothing_found_where_there_is_nothing_is_right_and_nothing_seen_is_unknown(kind: type[Detection]) -> None:
    empty, object_ = np.zeros((4, 4), int), np.eye(4, dtype=int)
    assert set(scored(kind(**IDS), (empty, empty)).values()) == {1.0}
    assert set(scored(kind(**CLASSES), (empty, empty)).values()) == {1.0}
    assert set(scored(kind(classes=("only",), task="multiclass"), (empty, empty)).values()) == {1.0}
    assert set(scored(kind(**IDS), (object_, empty)).values()) == {0.0}
    assert set(scored(kind(**IDS), (empty, object_)).values()) == {0.0}
    assert all(math.isnan(value) for value in scored(kind(**IDS), (empty, empty - 1)).values())


@each_metric
def test_objects_of_all_images_are_pooled(kind: type[Detection]) -> None:
    empty = np.zeros((3, 4), int)
    one, three = np.array([[1, 0, 0, 0]]), np.array([[1, 0, 2, 3]])
    scores = scored(kind(**IDS), (one, one), (empty, empty), (np.zeros_like(three), three))
    # one match, three missed: 1 / 4 and 1 / 2.5; a mean over images would be (1 + 1 + 0) / 3
    assert scores[kind.name] == pytest.approx({AveragePrecision: 1 / 4, PanopticQuality: 1 / 2.5}[kind])


@each_metric
def test_an_object_matches_only_objects_of_its_class(kind: type[Detection]) -> None:
    target = np.array([[1, 1, 0, 2, 2]])
    assert scored(kind(**CLASSES), (target, target))[kind.name] == 1.0
    assert scored(kind(**CLASSES), (np.array([[1, 1, 0, 1, 1]]), target))[kind.name] < 0.5
    assert scored(kind(foreground="cell", **CLASSES), (np.array([[1, 1, 0, 0, 0]]), target))[kind.name] == 1.0
    # of a class that is in neither nothing is said
    assert scored(kind(**CLASSES), (target % 2, target % 2))[kind.name] == 1.0


@each_metric
def test_small_objects_may_be_left_out_and_the_arrays_stay_as_they_are(kind: type[Detection]) -> None:
    target, prediction = np.array([[1, 1, 1, 0, 2, 0, 3]]), np.array([[4, 4, 4, 5, 0, 0, 6]])
    before = target.copy(), prediction.copy()
    assert scored(kind(min_size=2, **IDS), (prediction, target))[kind.name] == 1.0
    assert scored(kind(**IDS), (prediction, target))[kind.name] < 1.0
    assert all(map(np.array_equal, (target, prediction), before))


@each_metric
def test_a_foreground_that_is_no_class_is_refused(kind: type[Detection]) -> None:
    with pytest.raises(
        UsageError, match=f"metric {kind.name!r}: no class 'x' for its foreground; the classes are back"
    ):
        kind(foreground="x", **CLASSES)
    with pytest.raises(UsageError, match="instances have no classes"):
        kind(foreground="x", **IDS)

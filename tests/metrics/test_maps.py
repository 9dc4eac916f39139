from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from volseg_core.api import DataError, UsageError
from volseg_metrics.detection import AveragePrecision
from volseg_metrics.maps import BoundaryAdaptedRand, BoundaryAveragePrecision, OfMaps
from volseg_metrics.partition import AdaptedRand

each_metric = pytest.mark.parametrize("kind", [BoundaryAdaptedRand, BoundaryAveragePrecision])
INNER = {BoundaryAdaptedRand: AdaptedRand, BoundaryAveragePrecision: AveragePrecision}


def scored(metric: Any, *arrays: Any) -> dict[str, float]:
    metric.update(*map(np.asarray, arrays))
    return metric.compute()


def of_ids(kind: type[OfMaps], mask: np.ndarray, target: np.ndarray) -> float:
    metric = INNER[kind](classes=(), task="instance")
    return scored(metric, ndimage.label(mask)[0], target)[metric.name]


@pytest.fixture
def cells() -> tuple[np.ndarray, np.ndarray]:
    """Return four cells side by side without background, and a map (*S) of boundaries of three strengths."""
    target = np.tile(np.arange(1, 5).repeat(6), (5, 1))
    boundary = np.full(target.shape, 0.1)
    boundary[:, 5::6] = 0.4, 0.55, 0.7, 0.1
    return target, boundary


@each_metric
@pytest.mark.parametrize("threshold", [0.35, 0.5, 0.65])
def test_objects_are_cut_out_at_the_threshold_that_is_set_whatever_scores_best(
    kind: type[OfMaps], threshold: float, cells: Any
) -> None:
    target, boundary = cells
    scores = scored(kind(threshold=threshold, classes=("edge",)), boundary[None], target)
    assert scores[kind.name] == scores[f"{kind.name}/edge"] == of_ids(kind, 1 - boundary > threshold, target)
    others = {of_ids(kind, 1 - boundary > other, target) for other in (0.35, 0.5, 0.65)}
    assert len(others) == 3


@each_metric
def test_each_channel_is_scored_and_the_mean(kind: type[OfMaps], cells: Any) -> None:
    target, boundary = cells
    maps = np.stack([boundary, boundary**2, 1 - boundary])
    names = ("edge", "faint", "affinity")
    scores = scored(kind(inside=["affinity"], classes=names), maps, target)
    each = [of_ids(kind, mask, target) for mask in (boundary < 0.5, boundary**2 < 0.5, 1 - boundary > 0.5)]
    assert [scores[f"{kind.name}/{name}"] for name in names] == each
    assert scores[kind.name] == pytest.approx(np.mean(each))
    assert len(set(each)) == 2
    chosen = scored(kind(channels=["faint"], classes=names), maps, target)
    assert chosen[kind.name] == each[1]
    assert f"{kind.name}/edge" not in chosen


@each_metric
def test_a_foreground_keeps_objects_apart_from_what_is_none(kind: type[OfMaps], cells: Any) -> None:
    target, boundary = cells
    target = np.where(target > 2, target, 0)
    there = np.clip((target > 0) + 0.1, 0, 1) * 0.9
    scores = scored(
        kind(foreground="cell", threshold=0.3, classes=("cell", "edge")), np.stack([there, boundary]), target
    )
    assert scores[kind.name] == of_ids(kind, there - boundary > 0.3, target)
    assert f"{kind.name}/cell" not in scores


@each_metric
def test_a_map_without_an_error_is_perfect(kind: type[OfMaps]) -> None:
    target = np.array([[5, 5, 0, 9, 9], [5, 5, 0, 9, 9]])
    scores = scored(kind(classes=("edge",)), (target == 0)[None].astype(np.float16), target)
    assert scores[kind.name] == (0.0 if kind is BoundaryAdaptedRand else 1.0)
    assert scores[f"{kind.name}/precision"] == scores[f"{kind.name}/recall"] == 1.0


def test_sizes_and_overlaps_are_those_of_average_precision() -> None:
    target = np.array([[1, 1, 1, 1, 0, 2]])
    boundary = np.array([[[0, 0, 0, 1, 1, 1.0]]])
    name = "boundary-average-precision"
    assert scored(BoundaryAveragePrecision(overlaps=[0.7], classes=("e",)), boundary, target)[name] == 0.5
    assert scored(BoundaryAveragePrecision(overlaps=[0.8], classes=("e",)), boundary, target)[name] == 0.0
    assert scored(BoundaryAveragePrecision(overlaps=[0.7], min_size=2, classes=("e",)), boundary, target)[name] == 1.0


@each_metric
def test_wrong_names_and_arrays_are_refused(kind: type[OfMaps]) -> None:
    with pytest.raises(UsageError) as raised:
        kind(channels=["edges"], classes=("edge", "cell"))
    assert str(raised.value) == f"metric {kind.name!r}: no channel 'edges'; the channels are edge, cell."
    for wrong in ({"inside": ["x"]}, {"foreground": "x"}):
        with pytest.raises(UsageError, match="no channel 'x'; the channels are edge."):
            kind(classes=("edge",), **wrong)
    with pytest.raises(UsageError, match="no channel makes objects. Name one in channels."):
        kind(foreground="cell", classes=("cell",))
    with pytest.raises(DataError, match="is no image"):
        kind(classes=("edge",)).update(np.zeros((1, 4)), np.zeros(4, int))

"""What a metric is given in each task, of the same small image of classes."""

import numpy as np
import pytest

from volseg_core.api import Metric
from volseg_core.testing.scenes import scenes

PREDICTION, TARGET = np.array([[0, 1, 2, 2]]), np.array([[0, 1, 1, -1]])


def scene(task: str, **fields: object):
    metric = Metric(name="m", target="m:M", summary="A metric.", tasks=(task,), **fields)
    return next(item for item in scenes(metric, 2) if item.task == task)


def test_a_metric_is_examined_in_each_task_that_it_may_serve():
    def tasks(**fields: object) -> list[str]:
        metric = Metric(name="m", target="m:M", summary="A metric.", **fields)
        return [item.task for item in scenes(metric, 3)]

    assert tasks() == ["multiclass", "multilabel"]
    assert tasks(tasks=("binary", "instance")) == ["multiclass", "instance"]
    assert tasks(tasks=("multilabel",)) == ["multilabel"]
    assert tasks(tasks=("regression",), inputs="values") == ["regression"]


def test_classes_and_their_probabilities():
    assert scene("multiclass").image(PREDICTION, TARGET) == (PREDICTION, TARGET, None)
    chances, target, valid = scene("multiclass", inputs="probabilities").image(PREDICTION, TARGET, sure=0.8)
    low, high = pytest.approx(0.1), pytest.approx(0.8)
    assert chances[:, 0].tolist() == [[high, low, low, low], [low, high, low, low], [low, low, high, high]]
    assert target is TARGET
    assert valid is None


def test_channels_have_a_target_and_a_mask_each():
    chances, target, valid = scene("multilabel").image(PREDICTION, TARGET, sure=1.0)
    assert chances[:, 0].tolist() == [[0, 1, 0, 0], [0, 0, 1, 1]]
    assert target[:, 0].tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]
    assert valid[:, 0].tolist() == [[True, True, True, False]] * 2


def test_a_boundary_map_is_high_where_there_is_no_object_and_the_truth_are_ids():
    chances, target, valid = scene("multilabel", inputs="probabilities", truth="instances").image(
        PREDICTION, TARGET, np.array([[True, True, False, True]]), sure=1.0
    )
    assert chances.tolist() == [[[1, 0, 0, 0]]]
    assert target.tolist() == [[0, 7, 7, -1]]
    assert valid.tolist() == [[True, True, False, True]]


def test_values_differ_where_the_classes_do():
    values, target, valid = scene("regression", inputs="values").image(PREDICTION, TARGET)
    assert (values == target)[valid].tolist() == [True, True, False] * 2
    assert target[~valid].tolist() == [0, 0]
    assert values.dtype == target.dtype == np.float32

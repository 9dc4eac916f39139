"""Scoring heads: what metrics of each task are given, in which unit, and against which truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from volseg_core.api import Metric
from volseg_core.model import HeadSpec
from volseg_core.training.scores import Scorer
from volseg_core.volume import ClassMap, ClassName


class Seeing:
    """A metric that keeps what it is given."""

    def __init__(self):
        self.seen = []

    def reset(self):
        self.seen = []

    def update(self, prediction, target, valid):
        self.seen.append((prediction, target, valid))

    def compute(self):
        return {"count": len(self.seen)}


def head(task, count, name="", **scaling):
    return HeadSpec(task, ClassMap(tuple(ClassName(number, f"{number}") for number in range(count))), name, **scaling)


def scorer(made, **descriptor):
    metric = Seeing()
    return Scorer(made, [(Metric(name="seeing", target="m:f", summary="", **descriptor), metric)]), metric


RANDOM = torch.Generator().manual_seed(0)
OUTPUT = torch.randn(2, 3, 4, 5, generator=RANDOM)
CLASSES = torch.randint(-1, 3, (2, 4, 5), generator=RANDOM)


def test_classes_and_probabilities_of_a_class_task():
    judge, metric = scorer(head("multiclass", 3))
    judge.update(OUTPUT, CLASSES)
    ((prediction, target, valid),) = metric.seen
    np.testing.assert_array_equal(prediction, OUTPUT.argmax(1))
    np.testing.assert_array_equal(target, CLASSES)
    np.testing.assert_array_equal(valid, CLASSES >= 0)
    judge, metric = scorer(head("multiclass", 3), inputs="probabilities")
    judge.update(OUTPUT, CLASSES)
    np.testing.assert_allclose(metric.seen[0][0], OUTPUT.softmax(1).transpose(0, 1), atol=1e-6)


def test_a_binary_task_gives_the_probabilities_of_both_classes():
    judge, metric = scorer(head("binary", 2), inputs="probabilities")
    judge.update(OUTPUT[:, :1], CLASSES)
    assert metric.seen[0][0].shape == (2, 2, 4, 5)
    np.testing.assert_allclose(metric.seen[0][0][1], OUTPUT[:, 0].sigmoid(), atol=1e-6)


@pytest.mark.parametrize("inputs", ["classes", "probabilities"])
def test_a_multilabel_task_gives_probabilities_for_classes_too(inputs):
    target = torch.rand(2, 3, 4, 5, generator=RANDOM).round()
    target[0, 1, 2] = float("nan")
    judge, metric = scorer(head("multilabel", 3), inputs=inputs)
    judge.update(OUTPUT, target)
    ((prediction, truth, valid),) = metric.seen
    np.testing.assert_allclose(prediction, OUTPUT.sigmoid().transpose(0, 1), atol=1e-6)
    assert not valid[1, 0, 2].any()
    assert valid.sum() == target.numel() - 5
    np.testing.assert_array_equal(truth, np.nan_to_num(target).swapaxes(0, 1))


def test_a_regression_is_judged_in_the_unit_of_its_labels():
    made = head("regression", 3, offset=(100.0, 0.0, -1.0), scale=(10.0, 1.0, 0.5))
    target = torch.zeros(2, 3, 4, 5)
    target[1, 0, 0, 0] = float("nan")
    judge, metric = scorer(made, inputs="values")
    judge.update(OUTPUT, target)
    ((prediction, truth, valid),) = metric.seen
    np.testing.assert_allclose(prediction[0], OUTPUT[:, 0] * 10 + 100, rtol=1e-5)
    np.testing.assert_allclose(prediction[2], OUTPUT[:, 2] * 0.5 - 1, rtol=1e-5, atol=1e-6)
    assert truth[0, 1, 0, 0] == 0
    assert not valid[0, 1, 0, 0]
    assert (truth[0][valid[0]] == 100).all()


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
@pytest.mark.parametrize(
    ("task", "inputs", "image"), [("multiclass", "classes", 0), ("multilabel", "probabilities", 1)]
)
def test_metrics_of_whole_images_get_them_one_by_one(shape, task, inputs, image):
    output = torch.randn(2, 3, *shape, generator=RANDOM)
    target = output.argmax(1) if task == "multiclass" else output.sigmoid()
    judge, metric = scorer(head(task, 3), inputs=inputs, streaming=False)
    judge.update(output, target)
    assert len(metric.seen) == 2
    for number, (prediction, truth, valid) in enumerate(metric.seen):
        assert prediction.shape == truth.shape == valid.shape == ((3,) * image + shape)
        np.testing.assert_allclose(truth, target[number])
        np.testing.assert_allclose(prediction, truth, atol=1e-6)


@pytest.mark.parametrize("streaming", [True, False])
def test_objects_are_the_truth_of_metrics_that_ask_for_them(streaming):
    ids = torch.tensor([[[0, 7], [-1, 7]], [[1, 2], [3, -1]]])
    judge, metric = scorer(head("multilabel", 1), inputs="probabilities", truth="instances", streaming=streaming)
    assert judge.looks_at_objects
    judge.update(torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2), ids)
    if streaming:
        ((prediction, truth, valid),) = metric.seen
        assert prediction.shape == (1, 2, 2, 2)
        np.testing.assert_array_equal(truth, ids)
        np.testing.assert_array_equal(valid, ids >= 0)
    else:
        np.testing.assert_array_equal(metric.seen[1][1], ids[1])
        assert metric.seen[1][0].shape == (1, 2, 2)
    assert not scorer(head("multilabel", 1))[0].looks_at_objects


def test_scores_of_named_heads_have_their_name_and_are_forgotten():
    judge, _ = scorer(head("multiclass", 3, "cells"))
    judge.update(OUTPUT, CLASSES)
    assert judge.compute() == {"cells/count": 1.0}
    judge.reset()
    assert judge.compute() == {"cells/count": 0.0}
    assert list(scorer(head("multiclass", 3))[0].compute()) == ["count"]

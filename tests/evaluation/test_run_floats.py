"""Scores of channels of probabilities, boundary maps and values; and what does not go together."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

import volseg_core
from volseg_core.errors import DataError, UsageError

SHAPE = (20, 6, 7)


def test_floats_are_probabilities_of_channels_each_with_labels_of_its_own(tmp_path):
    random = np.random.default_rng(0)
    chances = random.random((2, *SHAPE)).astype(np.float16)
    labels = random.integers(-1, 2, (2, *SHAPE)).astype(np.int8)
    expected = {}
    for index, name in enumerate(("edge", "cell")):
        known, found, true = labels[index] >= 0, chances[index] > 0.5, labels[index] == 1
        hits = (found & true & known).sum()
        expected[f"iou/{name}"] = hits / ((found | true) & known).sum()
    names = [{"id": 1, "name": "edge"}, {"id": 2, "name": "cell"}]
    file = tmp_path / "seg.h5"
    with h5py.File(file, "w") as opened:
        opened["probabilities"] = chances
        opened["probabilities"].attrs.update(axes="czyx", classes=json.dumps(names))
    scores = volseg_core.evaluate(file, labels)
    assert {key: scores[key] for key in expected} == pytest.approx(expected)
    assert scores["iou"] == pytest.approx(np.mean(list(expected.values())))
    assert list(volseg_core.evaluate(chances, labels)) == ["dice", "dice/0", "dice/1", "iou", "iou/0", "iou/1"]
    sure = volseg_core.evaluate(chances, labels, metrics=["recall"], overrides=["recall.threshold=0.9"])
    assert 0 < sure["recall"] < 0.2
    soft = volseg_core.evaluate(chances, np.maximum(labels, 0).astype(np.float32), metrics=["soft-dice"])
    assert 0.4 < soft["soft-dice"] < 0.8


def test_boundary_maps_are_compared_with_ids():
    truth = np.zeros((3, 5, 7), np.uint16)
    truth[:, :, :3], truth[:, :, 4:] = 7, 300
    maps = np.stack([truth == 0, np.zeros_like(truth)]).astype(np.float32)
    metrics = ["boundary-average-precision", "boundary-adapted-rand"]
    scores = volseg_core.evaluate(maps, truth, metrics=metrics)
    assert (scores["boundary-average-precision/0"], scores["boundary-adapted-rand/0"]) == (1.0, 0.0)
    assert (scores["boundary-average-precision/1"], scores["boundary-adapted-rand/1"]) == (
        0.0,
        pytest.approx(1 / 3, 0.1),
    )
    one = volseg_core.evaluate(maps, truth, metrics=metrics[:1], overrides=[f"{metrics[0]}.channels=[0]"])
    assert one["boundary-average-precision"] == 1.0
    ignored = np.where(truth == 300, 255, truth)
    assert volseg_core.evaluate(maps[:1], ignored, metrics=metrics[:1], ignore=[255])[metrics[0]] == 1.0
    plane = volseg_core.evaluate(maps[0, :1], truth[0], metrics=metrics[:1])
    assert plane[metrics[0]] == 1.0


def test_values_are_compared_with_values():
    random = np.random.default_rng(0)
    truth = random.normal(100, 50, (2, 20, 9, 8)).astype(np.float32)
    found = truth + random.normal(0, 1, truth.shape).astype(np.float32)
    error = ((found - truth).astype(float) ** 2).mean(axis=(1, 2, 3))
    scores = volseg_core.evaluate(found, truth, values=True)
    assert [name for name in scores if "/" not in name] == ["psnr", "ssim", "mse"]
    assert [scores["mse/0"], scores["mse/1"]] == pytest.approx(error)
    ranges = [np.ptp(channel) for channel in truth]
    assert scores["psnr"] == pytest.approx(np.mean(10 * np.log10(np.square(ranges) / error)))
    assert 0.9 < scores["ssim"] < 1
    hole = truth.copy()
    hole[:, :5] = np.nan
    part = volseg_core.evaluate(found, hole, metrics=["mse"])
    assert part["mse/0"] == pytest.approx(((found - truth)[0, 5:].astype(float) ** 2).mean())


def test_values_may_be_integers_and_metrics_of_values_need_no_flag():
    truth = np.arange(40, dtype=np.uint8).reshape(2, 4, 5)
    assert volseg_core.evaluate(truth.astype(np.int64) - 3, truth, metrics=["mae"])["mae"] == 3.0
    large = np.full((1, 2, 2), 2**24 + 1, np.int32)
    assert volseg_core.evaluate(large - 1, large, metrics=["mae"])["mae"] == 1.0


INTEGERS, FLOATS = np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 4), np.float32)


@pytest.mark.parametrize(
    ("prediction", "labels", "given", "message"),
    [
        (INTEGERS, INTEGERS, {"metrics": ["dice", "mse"]}, "metric 'dice': scores classes, not values. Score what is"),
        (INTEGERS, INTEGERS, {"metrics": ["dice"], "values": True}, "metric 'dice': scores classes, not values."),
        (INTEGERS, INTEGERS, {"metrics": ["mse"], "instances": True}, "metric 'mse': scores values, not instances."),
        (INTEGERS, INTEGERS, {"instances": True, "values": True}, "--instances: does not go with --values. Ids are"),
        (FLOATS, INTEGERS, {"metrics": ["hausdorff95"]}, "scores classes, not channels of probabilities. The pre"),
        (FLOATS, INTEGERS, {"metrics": ["iou", "boundary-adapted-rand"]}, "scores classes, not boundary maps. Score"),
        (FLOATS, INTEGERS, {"metrics": ["boundary-adapted-rand"], "instances": True}, "scores boundary maps, not inst"),
        (FLOATS, INTEGERS, {"probabilities": FLOATS}, "--probabilities: are for scores of classes, not of channels of"),
        (INTEGERS, INTEGERS, {"metrics": ["boundary-adapted-rand"]}, "holds uint8 values; probabilities are floats."),
        (FLOATS, FLOATS, {"metrics": ["boundary-adapted-rand"]}, "holds float32 values; ids must be integers"),
        (FLOATS, INTEGERS + 2, {}, "array labels: holds 2 where 0 or 1 is expected, beside probabilities. Labels of"),
        (FLOATS, FLOATS - 0.5, {}, "array labels: holds -0.5 where 0 or 1 is expected"),
        (np.stack([FLOATS] * 2), INTEGERS, {}, "array labels: has 2 channels but the labels have 1. Each channel"),
        (np.stack([FLOATS] * 2), FLOATS, {"values": True}, "array labels: has 2 channels but the labels have 1."),
        (np.stack([INTEGERS] * 2), INTEGERS, {}, "array labels: has 2 channels; ids have one. Several channels are"),
        (INTEGERS, np.stack([INTEGERS] * 2), {"instances": True}, "array labels: has 2 channels; ids have one."),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_an_error_of_a_line(prediction, labels, given, message):
    with pytest.raises((UsageError, DataError)) as raised:
        volseg_core.evaluate(prediction, labels, **given)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)

import math

import numpy as np
import pytest

from volseg_metrics.voxels import Accuracy, VolumeDifference

NAMES = ("background", "cell", "vessel")


def volumes(prediction: list[int], target: list[int], *, background: bool = True) -> dict[str, float]:
    metric = VolumeDifference(background=background, classes=NAMES)
    metric.update(np.array(prediction), np.array(target))
    return metric.compute()


def test_accuracy_is_the_share_of_voxels_that_are_right() -> None:
    metric = Accuracy(classes=NAMES)
    metric.update(np.array([[0, 1, 2, 2]]), np.array([[0, 1, 1, -1]]))
    assert metric.compute() == {"accuracy": 2 / 3}
    metric.update(np.array([0]), np.array([2]))
    assert metric.compute() == {"accuracy": 2 / 4}


def test_volumes_by_hand_are_signed_and_their_mean_is_not() -> None:
    assert volumes([0, 1, 1, 1, 1, 2], [0, 0, 1, 1, 2, 2]) == {
        "volume-difference": pytest.approx((0.5 + 1 + 0.5) / 3),
        "volume-difference/background": -0.5,
        "volume-difference/cell": 1.0,
        "volume-difference/vessel": -0.5,
    }


def test_volumes_are_those_of_all_updates_together() -> None:
    metric = VolumeDifference(classes=NAMES)
    metric.update(np.array([1, 1]), np.array([1, 0]))
    metric.update(np.array([0, 0]), np.array([1, 0]))
    assert metric.compute()["volume-difference"] == 0.0


def test_a_class_that_is_never_predicted_has_lost_all_its_volume() -> None:
    assert volumes([0, 0], [0, 1])["volume-difference/cell"] == -1.0


def test_a_class_that_is_only_predicted_is_infinitely_too_large_and_an_absent_one_has_no_score() -> None:
    scores = volumes([0, 1], [0, 0])
    assert scores["volume-difference/cell"] == math.inf
    assert scores["volume-difference"] == math.inf
    assert math.isnan(scores["volume-difference/vessel"])


def test_the_background_may_be_left_out_of_the_mean_of_volumes() -> None:
    scores = volumes([0, 0, 0, 1], [0, 0, 1, 1], background=False)
    assert scores["volume-difference"] == 0.5
    assert scores["volume-difference/background"] == 0.5
    assert volumes([0, 0, 1], [0, 1, 1], background=False)["volume-difference/background"] == 1.0

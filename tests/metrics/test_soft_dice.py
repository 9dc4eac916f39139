import math

import numpy as np
import pytest

from volseg_core.api import UsageError
from volseg_metrics.soft_dice import SoftDice

NAMES = ("background", "cell", "vessel")


def scored(metric: SoftDice, *arrays: np.ndarray) -> dict[str, float]:
    metric.update(*arrays)
    return metric.compute()


def test_values_by_hand() -> None:
    chances = np.array([[0.8, 0.4, 0.1], [0.2, 0.6, 0.9]])
    target = np.array([0, 0, 1])
    scores = scored(SoftDice(classes=NAMES[:2], task="multiclass"), chances, target)
    background = 2 * (0.8 + 0.4) / (0.64 + 0.16 + 0.01 + 2)
    cell = 2 * 0.9 / (0.04 + 0.36 + 0.81 + 1)
    assert scores == pytest.approx(
        {"soft-dice": (background + cell) / 2, "soft-dice/background": background, "soft-dice/cell": cell}
    )
    alone = scored(SoftDice(background=False, classes=NAMES[:2], task="multiclass"), chances, target)
    assert alone["soft-dice"] == pytest.approx(cell)


def test_a_class_that_the_target_lacks_has_no_score() -> None:
    chances = np.array([[0.98, 0.98], [0.01, 0.01], [0.01, 0.01]])
    scores = scored(SoftDice(classes=NAMES, task="multiclass"), chances, np.array([0, 0]))
    assert math.isnan(scores["soft-dice/cell"])
    assert scores["soft-dice"] == scores["soft-dice/background"] > 0.99


def test_channels_of_a_multilabel_task_have_targets_and_masks_of_their_own() -> None:
    chances, target = np.array([[0.5, 0.9], [0.5, 0.9]]), np.array([[1.0, 0.0], [0.0, 0.5]])
    valid = np.array([[True, False], [False, True]])
    scores = scored(SoftDice(classes=NAMES[1:], task="multilabel"), chances, target, valid)
    assert scores["soft-dice/cell"] == pytest.approx(2 * 0.5 / (0.25 + 1))
    assert scores["soft-dice/vessel"] == pytest.approx(2 * 0.45 / (0.81 + 0.25))


def test_a_multilabel_task_has_no_background_to_leave_out() -> None:
    with pytest.raises(UsageError, match="metric 'soft-dice': background=false says nothing of a multilabel task."):
        SoftDice(background=False, classes=NAMES, task="multilabel")

"""Losses and metrics: each with its parameters, or named."""

from __future__ import annotations

from typing import Any

import pytest

from volseg_core.migration.pytorch_3dunet.losses import carry_loss, carry_metric


@pytest.mark.parametrize(
    ("content", "loss"),
    [
        ({"name": "BCEDiceLoss"}, ["bce", {"use": "dice", "squared": True}]),
        ({"name": "BCEDiceLoss", "alpha": 0.5}, ["bce", {"use": "dice", "squared": True, "weight": 0.5}]),
        ({"name": "DiceLoss"}, [{"use": "dice", "squared": True}]),
        ({"name": "GeneralizedDiceLoss"}, ["generalised-dice"]),
        ({"name": "BCEWithLogitsLoss", "pos_weight": 3.0}, [{"use": "bce", "pos_weight": 3.0}]),
        ({"name": "CrossEntropyLoss", "weight": [1, 2]}, [{"use": "cross-entropy", "weights": [1, 2]}]),
        ({"name": "WeightedCrossEntropyLoss"}, [{"use": "cross-entropy", "weights": "auto"}]),
        ({"name": "PixelWiseCrossEntropyLoss"}, ["cross-entropy"]),
        ({"name": "MSELoss"}, ["mse"]),
        ({"name": "L1Loss"}, ["l1"]),
        ({"name": "SmoothL1Loss"}, ["smooth-l1"]),
    ],
)
def test_losses(carried: Any, content: dict[str, Any], loss: list[Any]) -> None:
    recipe, left, _ = carried(carry_loss, content)
    assert (recipe, left) == ({"loss": loss}, {})


def test_what_a_loss_does_not_take_is_named(carried: Any) -> None:
    content = {"name": "DiceLoss", "weight": [1, 2], "skip_last_target": True, "normalization": "softmax", "beta": 1}
    _, left, _ = carried(carry_loss, content)
    assert left == {
        "weight": "without effect on DiceLoss",
        "skip_last_target": "labels that a metric needs are not channels of the target here",
        "normalization": "follows from the task",
        "beta": "without effect on DiceLoss",
    }


def test_an_unknown_loss_is_named_with_its_keys_and_the_task_chooses(carried: Any) -> None:
    recipe, left, _ = carried(carry_loss, {"name": "DiceLos", "alpha": 1})
    assert recipe == {"loss": None}
    assert left["name"] == "DiceLos has no equivalent here. Did you mean 'DiceLoss'?"
    assert "alpha" in left


@pytest.mark.parametrize(
    ("name", "task", "metrics"),
    [
        ("DiceCoefficient", "binary", ["dice"]),
        ("MeanIoU", "multiclass", ["iou"]),
        ("AdaptedRandError", "multiclass", ["adapted-rand"]),
        ("PSNR", "regression", ["psnr"]),
        ("MSE", "regression", ["mse"]),
    ],
)
def test_metrics(carried: Any, name: str, task: str, metrics: list[Any]) -> None:
    recipe, left, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, task), {"name": name})
    assert (recipe, left) == ({"metrics": metrics}, {})


def test_fault_b1b_a_threshold_that_is_ignored_there_counts(carried: Any) -> None:
    content = {"name": "BoundaryAdaptedRandError", "threshold": 0.4, "use_first_input": True, "thresholds": [0.3, 0.4]}
    recipe, left, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, "multilabel"), content)
    assert recipe["metrics"][0]["threshold"] == 0.4
    assert left["use_first_input"] == "pytorch-3dunet ignores it"
    assert "thresholds" in left


@pytest.mark.parametrize(
    ("name", "task", "why"),
    [
        ("PSNR", "binary", "no metric here scores binary as PSNR does"),
        ("AveragePrecision", "binary", "has no equivalent here. Did you mean 'BlobsAveragePrecision'?"),
    ],
)
def test_a_metric_that_does_not_serve_the_task_is_named_and_the_task_chooses(
    carried: Any, name: str, task: str, why: str
) -> None:
    content = {"name": name, "epsilon": 1}
    recipe, left, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, task), content)
    assert recipe == {"metrics": None}
    assert left["name"].endswith(why)
    assert "epsilon" in left

"""Losses and metrics: each with its parameters, or named."""

from __future__ import annotations

from typing import Any

import pytest

from volseg_core.migration.pytorch_3dunet.losses import carry_loss, carry_metric, has_softmax
from volseg_core.migration.settings import Settings, Transfer
from volseg_core.registry import load_registry

DICE = {"use": "dice", "squared": True, "smooth": 0, "absent": "count"}
CATALOG = load_registry(builtin_only=True).catalog


def check(kind: str, items: list[Any], task: str) -> None:
    """Check that components take the parameters that they are given, and serve a task."""
    for item in items:
        given = dict(item) if isinstance(item, dict) else {"use": item}
        component = CATALOG.find(kind, given.pop("use")).component
        assert task in component.tasks
        given.pop("weight", None)
        for name, value in given.items():
            component.params[name].coerce(value)


@pytest.mark.parametrize(
    ("content", "loss", "task"),
    [
        ({"name": "BCEDiceLoss"}, ["bce", DICE], "multilabel"),
        ({"name": "BCEDiceLoss", "alpha": 0.5}, ["bce", {**DICE, "weight": 0.5}], "binary"),
        ({"name": "DiceLoss"}, [DICE], "multilabel"),
        ({"name": "DiceLoss", "weight": [1, 2]}, [{**DICE, "weights": [1, 2], "scale_weights": False}], "multiclass"),
        ({"name": "GeneralizedDiceLoss"}, [{"use": "generalised-dice", "absent": "count"}], "multilabel"),
        ({"name": "BCEWithLogitsLoss", "pos_weight": 3.0}, [{"use": "bce", "pos_weight": 3.0}], "multilabel"),
        ({"name": "CrossEntropyLoss", "weight": [1, 2]}, [{"use": "cross-entropy", "weights": [1, 2]}], "multiclass"),
        ({"name": "WeightedCrossEntropyLoss"}, ["weighted-cross-entropy"], "multiclass"),
        ({"name": "PixelWiseCrossEntropyLoss"}, ["border-weighted-cross-entropy"], "multiclass"),
        ({"name": "MSELoss"}, ["mse"], "regression"),
        ({"name": "L1Loss"}, ["l1"], "regression"),
        ({"name": "SmoothL1Loss"}, ["smooth-l1"], "regression"),
        (
            {"name": "WeightedSmoothL1Loss", "threshold": 0.2, "initial_weight": 0.5, "apply_below_threshold": False},
            [{"use": "weighted-smooth-l1", "threshold": 0.2, "factor": 0.5, "side": "above"}],
            "regression",
        ),
        (
            {"name": "WeightedSmoothL1Loss", "threshold": 0.2, "initial_weight": 0.5},
            [{"use": "weighted-smooth-l1", "threshold": 0.2, "factor": 0.5, "side": "below"}],
            "regression",
        ),
    ],
)
def test_losses(carried: Any, content: dict[str, Any], loss: list[Any], task: str) -> None:
    recipe, left, _ = carried(carry_loss, content)
    assert (recipe, left) == ({"loss": loss}, {})
    check("loss", loss, task)


def test_what_a_loss_does_not_take_is_named(carried: Any) -> None:
    content = {
        "name": "GeneralizedDiceLoss",
        "weight": [1, 2],
        "skip_last_target": True,
        "beta": 1,
    }
    _, left, _ = carried(carry_loss, content)
    assert left == {
        "weight": "without effect on GeneralizedDiceLoss",
        "skip_last_target": "labels that a metric needs are not channels of the target here",
        "beta": "without effect on GeneralizedDiceLoss",
    }


@pytest.mark.parametrize(
    ("content", "found", "left"),
    [
        ({"name": "DiceLoss"}, False, {}),
        ({"name": "DiceLoss", "normalization": "sigmoid"}, False, {}),
        ({"name": "GeneralizedDiceLoss", "normalization": "softmax"}, True, {}),
        (
            {"name": "BCEDiceLoss", "normalization": "softmax"},
            False,
            {"normalization": "without effect on BCEDiceLoss"},
        ),
        (
            {"name": "DiceLoss", "normalization": "none"},
            False,
            {"normalization": "'none'; here outputs pass the sigmoid of their task"},
        ),
    ],
)
def test_how_a_loss_takes_its_probabilities(
    carried: Any, content: dict[str, Any], found: bool, left: dict[str, str]
) -> None:
    def carry(settings: Settings, transfer: Transfer) -> bool:
        softmax = has_softmax(settings)
        carry_loss(settings, transfer)
        return softmax

    _, named, softmax = carried(carry, content)
    assert (softmax, named) == (found, left)


def test_an_unknown_loss_is_named_with_its_keys_and_the_task_chooses(carried: Any) -> None:
    recipe, left, _ = carried(carry_loss, {"name": "DiceLos", "alpha": 1})
    assert recipe == {"loss": None}
    assert left["name"] == "DiceLos has no equivalent here. Did you mean 'DiceLoss'?"
    assert "alpha" in left


MAPS = "boundary-average-precision"


@pytest.mark.parametrize(
    ("name", "task", "metrics"),
    [
        ("DiceCoefficient", "binary", ["soft-dice"]),
        ("MeanIoU", "multiclass", [{"use": "iou", "background": False}]),
        ("MeanIoU", "multilabel", ["iou"]),
        ("AdaptedRandError", "multiclass", ["adapted-rand"]),
        ("BoundaryAdaptedRandError", "multilabel", ["boundary-adapted-rand"]),
        ("GenericAdaptedRandError", "multilabel", ["boundary-adapted-rand"]),
        ("BlobsAveragePrecision", "multilabel", [{"use": MAPS, "channels": ["foreground"], "inside": ["foreground"]}]),
        ("BlobsAveragePrecision", "binary", ["average-precision"]),
        (
            "BlobsBoundaryAveragePrecision",
            "multilabel",
            [{"use": MAPS, "channels": ["boundary"], "foreground": "foreground"}],
        ),
        ("BoundaryAveragePrecision", "multilabel", [MAPS]),
        ("PSNR", "regression", ["psnr"]),
        ("MSE", "regression", ["mse"]),
    ],
)
def test_metrics(carried: Any, name: str, task: str, metrics: list[Any]) -> None:
    recipe, left, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, task), {"name": name})
    assert (recipe, left) == ({"metrics": metrics}, {})
    check("metric", metrics, task)


def test_the_least_object_is_carried(carried: Any) -> None:
    content = {"name": "BoundaryAveragePrecision", "min_instance_size": 20}
    recipe, _, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, "multilabel"), content)
    assert recipe == {"metrics": [{"use": MAPS, "min_size": 20}]}
    check("metric", recipe["metrics"], "multilabel")


def test_fault_b1b_a_threshold_that_is_ignored_there_counts(carried: Any) -> None:
    content = {"name": "BoundaryAdaptedRandError", "threshold": 0.4, "use_first_input": True, "thresholds": [0.3, 0.4]}
    recipe, left, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, "multilabel"), content)
    assert recipe["metrics"] == [{"use": "boundary-adapted-rand", "threshold": 0.6}], "of 1 - p, which objects exceed"
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

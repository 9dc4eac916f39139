"""Losses and metrics: each with its parameters, or named."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from volseg_core.migration.pytorch_3dunet.losses import carry_loss, carry_metric, has_softmax
from volseg_core.migration.pytorch_3dunet.task import Task
from volseg_core.migration.pytorch_3dunet.transforms import Made
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


MAPS, RAND = "boundary-average-precision", "boundary-adapted-rand"


def of(task: str, *names: str) -> Task:
    """Return a task of classes, or of channels that are made of ids."""
    names = names or ("foreground", "boundary")
    return Task(task, "", names, Made({}, names, "") if task == "multilabel" else None)


@pytest.mark.parametrize(
    ("content", "names", "metric", "left"),
    [
        ({"name": "BoundaryAdaptedRandError", "input_channel": 1}, "abc", {"use": RAND, "channels": ["b"]}, ()),
        ({"name": "BoundaryAdaptedRandError", "input_channel": -1}, "abc", {"use": RAND, "channels": ["c"]}, ()),
        ({"name": "BoundaryAdaptedRandError", "input_channel": 0}, "a", RAND, ()),
        ({"name": "BoundaryAdaptedRandError", "input_channel": 3}, "abc", RAND, ("input_channel",)),
        ({"name": "BoundaryAdaptedRandError", "invert_pmaps": True}, "ab", RAND, ()),
        ({"name": "BoundaryAdaptedRandError", "invert_pmaps": False}, "ab", {"use": RAND, "inside": ["a", "b"]}, ()),
        (
            {"name": "BoundaryAdaptedRandError", "invert_pmaps": False, "input_channel": 1, "threshold": 0.4},
            "ab",
            {"use": RAND, "channels": ["b"], "inside": ["b"], "threshold": 0.4},
            (),
        ),
        (
            {"name": "GenericAdaptedRandError", "input_channels": [0, 2], "invert_channels": [2]},
            "abc",
            {"use": RAND, "channels": ["a", "c"], "inside": ["a"]},
            (),
        ),
        (
            {"name": "GenericAdaptedRandError", "input_channels": [0, 1], "invert_channels": [0, 1]},
            "ab",
            RAND,
            (),
        ),
        (
            {"name": "GenericAdaptedRandError", "input_channels": [0, 4], "invert_channels": 1},
            "ab",
            {"use": RAND, "inside": ["a", "b"]},
            ("input_channels", "invert_channels"),
        ),
        (
            {"name": "BlobsAveragePrecision", "input_channel": 1, "metric": "acc"},
            "ab",
            {"use": MAPS, "channels": ["b"], "inside": ["b"], "overlaps": [0.5]},
            (),
        ),
        ({"name": "BlobsAveragePrecision", "metric": "ap"}, "a", {"use": MAPS, "inside": ["a"]}, ()),
        ({"name": "BlobsAveragePrecision", "metric": "f1"}, "a", {"use": MAPS, "inside": ["a"]}, ("metric",)),
        (
            {"name": "BlobsBoundaryAveragePrecision", "metric": "acc"},
            "abc",
            {"use": MAPS, "channels": ["b"], "foreground": "a", "overlaps": [0.5]},
            (),
        ),
        (
            {"name": "BoundaryAveragePrecision", "input_channel": 1, "metric": "acc", "invert_pmaps": False},
            "ab",
            {"use": MAPS, "channels": ["b"]},
            ("metric", "invert_pmaps"),
        ),
    ],
)
def test_channels_of_maps_are_carried_by_their_names(
    carried: Any, content: dict[str, Any], names: str, metric: Any, left: tuple[str, ...]
) -> None:
    def carry(settings: Settings, transfer: Transfer) -> None:
        carry_metric(settings, transfer, of("multilabel", *names))

    recipe, named, _ = carried(carry, content)
    assert (recipe["metrics"], set(named)) == ([metric], set(left))
    check("metric", [metric], "multilabel")
    params = {key: value for key, value in recipe_item(metric).items() if key != "use"}
    CATALOG.build(CATALOG.find("metric", recipe_item(metric)["use"]), params, {"classes": tuple(names)})


def recipe_item(item: Any) -> dict[str, Any]:
    return dict(item) if isinstance(item, dict) else {"use": item}


@pytest.mark.parametrize("name", ["BoundaryAdaptedRandError", "BlobsAveragePrecision"])
def test_objects_need_ids_in_the_labels(carried: Any, name: str) -> None:
    task = Task("multilabel", "", ("channel 0", "channel 1"))
    recipe, left, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, task), {"name": name})
    assert recipe == {"metrics": None}
    assert left == {"name": f"no metric here scores multilabel as {name} does, for labels hold no ids of objects"}


def test_a_pair_of_channels_needs_two(carried: Any) -> None:
    content = {"name": "BlobsBoundaryAveragePrecision", "metric": "acc"}
    recipe, left, _ = carried(
        lambda settings, transfer: carry_metric(settings, transfer, of("multilabel", "a")), content
    )
    assert recipe == {"metrics": None}
    assert set(left) == {"name", "metric"}


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_matches_of_classes_are_counted_at_one_overlap_too(carried: Any, task: str) -> None:
    content = {"name": "BlobsAveragePrecision", "metric": "acc", "input_channel": 0}
    recipe, left, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, of(task)), content)
    assert recipe == {"metrics": [{"use": "average-precision", "overlaps": [0.5]}]}
    assert left == {"input_channel": "each class is scored, all but the first where it counts"}
    check("metric", recipe["metrics"], task)


@pytest.mark.parametrize("content", [{"name": "DiceLoss"}, {"name": "BCEDiceLoss"}, {"name": "GeneralizedDiceLoss"}])
def test_faults_that_are_kept_are_named_with_what_to_delete(content: dict[str, Any]) -> None:
    """Fault B22: an absent channel costs 1 even where the prediction is perfect; the recipe says how to mend it."""
    transfer = Transfer()
    carry_loss(Settings(content, transfer), transfer)
    (choice,) = transfer.choices
    item = choice.value[-1]
    doomed = [key for key in ("smooth", "absent") if f"{key}: {item.get(key)}" in choice.why]
    assert doomed
    assert "a fault of theirs is kept" in choice.why
    output, target = torch.full((1, 2, 2, 2, 2), -6.0), torch.zeros(1, 2, 2, 2, 2)
    output[:, 1], target[:, 1] = 20, 1
    assert cost(item, output, target) > 0.49
    assert cost({key: value for key, value in item.items() if key not in doomed}, output, target) < 0.01


def test_weights_that_are_not_divided_are_named() -> None:
    transfer = Transfer()
    carry_loss(Settings({"name": "DiceLoss", "weight": [3, 4]}, transfer), transfer)
    (choice,) = transfer.choices
    assert "the loss can be negative; delete scale_weights: false for the sound form" in choice.why
    (item,) = choice.value
    output, target = torch.full((1, 2, 2, 2, 2), 20.0), torch.ones(1, 2, 2, 2, 2)
    assert cost(item, output, target) < 0
    assert 0 <= cost({key: value for key, value in item.items() if key != "scale_weights"}, output, target) < 1e-3


def cost(item: dict[str, Any], output: torch.Tensor, target: torch.Tensor) -> float:
    """Return what a loss of a multilabel task costs."""
    params = {key: value for key, value in item.items() if key not in ("use", "weight")}
    found = CATALOG.find("loss", item["use"])
    loss = CATALOG.build(found, params, {"task": "multilabel", "num_classes": 2})
    return float(loss(output, target))


@pytest.mark.parametrize(
    ("name", "task", "metrics"),
    [
        ("DiceCoefficient", "binary", ["soft-dice"]),
        ("MeanIoU", "multiclass", [{"use": "iou", "background": False}]),
        ("MeanIoU", "multilabel", ["iou"]),
        ("AdaptedRandError", "multiclass", ["adapted-rand"]),
        ("BoundaryAdaptedRandError", "multilabel", ["boundary-adapted-rand"]),
        ("GenericAdaptedRandError", "multilabel", [{"use": RAND, "inside": ["foreground", "boundary"]}]),
        ("BlobsAveragePrecision", "multilabel", [{"use": MAPS, "channels": ["foreground"], "inside": ["foreground"]}]),
        ("BoundaryAveragePrecision", "multilabel", [{"use": MAPS, "channels": ["foreground"]}]),
        ("BlobsAveragePrecision", "binary", ["average-precision"]),
        (
            "BlobsBoundaryAveragePrecision",
            "multilabel",
            [{"use": MAPS, "channels": ["boundary"], "foreground": "foreground"}],
        ),
        ("PSNR", "regression", ["psnr"]),
        ("MSE", "regression", ["mse"]),
    ],
)
def test_metrics(carried: Any, name: str, task: str, metrics: list[Any]) -> None:
    recipe, left, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, of(task)), {"name": name})
    assert (recipe, left) == ({"metrics": metrics}, {})
    check("metric", metrics, task)


def test_the_least_object_is_carried(carried: Any) -> None:
    content = {"name": "BoundaryAveragePrecision", "min_instance_size": 20}
    recipe, _, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, of("multilabel")), content)
    assert recipe == {"metrics": [{"use": MAPS, "channels": ["foreground"], "min_size": 20}]}
    check("metric", recipe["metrics"], "multilabel")


def test_fault_b1b_a_threshold_that_is_ignored_there_counts(carried: Any) -> None:
    content = {"name": "BoundaryAdaptedRandError", "threshold": 0.4, "use_first_input": True, "thresholds": [0.3, 0.4]}
    recipe, left, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, of("multilabel")), content)
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
    recipe, left, _ = carried(lambda settings, transfer: carry_metric(settings, transfer, of(task)), content)
    assert recipe == {"metrics": None}
    assert left["name"].endswith(why)
    assert "epsilon" in left

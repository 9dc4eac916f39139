"""Losses of pytorch-3dunet 1.9.6 on the conformance cases: the same value and gradient, or on purpose another."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from volseg_losses.binary_cross_entropy import BinaryCrossEntropyLoss
from volseg_losses.cross_entropy import CrossEntropyLoss, PredictionWeightedCrossEntropyLoss
from volseg_losses.dice import DiceLoss, GeneralisedDiceLoss
from volseg_losses.regression import AbsoluteErrorLoss, SmoothL1Loss, SquaredErrorLoss, WeightedSmoothL1Loss

SHARED = Path(os.environ.get("VOLSEG_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
FOLDER = SHARED / "conformance" / "networks3d"
REFERENCE_DICE: dict[str, Any] = {"smooth": 0.0, "squared": True, "absent": "count", "scale_weights": False}

Config = dict[str, Any]
Evaluate = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def cases(chosen: Callable[[Config], bool]) -> list[Any]:
    if not FOLDER.is_dir():
        return [pytest.param({}, marks=pytest.mark.skip(reason="no conformance cases here"))]
    found = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))["cases"]
    losses = [case for case in found if case["kind"] == "loss" and chosen(case)]
    return [pytest.param(case, id=f"{case['id']}-{case['config']['name']}") for case in losses]


@pytest.fixture(scope="session")
def arrays() -> Any:
    with np.load(FOLDER / "arrays.npz") as stored:
        return {key: stored[key] for key in stored if key.startswith("loss_")}


def as_logits(output: Tensor, normalization: str) -> Tensor:
    """Return the logits whose sigmoids are the probabilities that a case means.

    There a loss chooses what makes probabilities, here the task does, of prediction too. So cases of ``none`` (outputs
    that are probabilities already) and of ``softmax`` (whose targets are several classes at once) show that the formula
    is the same of given probabilities, not that a recipe has this combination; exclusive classes are tested below.
    """
    if normalization == "sigmoid":
        return output
    return torch.logit(output.softmax(1) if normalization == "softmax" else output, eps=1e-12)


def sigmoids(build: Callable[[str, int], Any], normalization: str = "sigmoid") -> Evaluate:
    def evaluate(output: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        loss = build("binary" if output.shape[1] == 1 else "multilabel", output.shape[1])
        return loss(as_logits(output, normalization), target, valid)

    return evaluate


def bce(config: Config) -> Evaluate:
    weight = config.get("pos_weight")
    return sigmoids(
        lambda task, num: BinaryCrossEntropyLoss(pos_weight=weight, task=task, num_classes=num, class_counts=None)
    )


def dice(config: Config) -> Evaluate:
    given = {**REFERENCE_DICE, "weights": config.get("weight")}
    return sigmoids(
        lambda task, num: DiceLoss(task=task, num_classes=num, **given), config.get("normalization", "sigmoid")
    )


def generalised_dice(config: Config) -> Evaluate:
    return sigmoids(
        lambda task, _: GeneralisedDiceLoss(absent="count", task=task), config.get("normalization", "sigmoid")
    )


def bce_dice(config: Config) -> Evaluate:
    terms = (1.0, bce(config)), (config.get("alpha", 1.0), dice(config))
    return lambda *given: torch.stack([weight * term(*given) for weight, term in terms]).sum()


def cross_entropy(config: Config) -> Evaluate:
    def evaluate(output: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        loss = CrossEntropyLoss(
            weights=config.get("weight"), task="multiclass", num_classes=output.shape[1], class_counts=None
        )
        return loss(output, target, valid)

    return evaluate


def weighted_smooth_l1(config: Config) -> Evaluate:
    side = "below" if config.get("apply_below_threshold", True) else "above"
    return WeightedSmoothL1Loss(threshold=config["threshold"], factor=config["initial_weight"], side=side)


OURS: dict[str, Callable[[Config], Evaluate]] = {
    "BCEWithLogitsLoss": bce,
    "DiceLoss": dice,
    "GeneralizedDiceLoss": generalised_dice,
    "BCEDiceLoss": bce_dice,
    "CrossEntropyLoss": cross_entropy,
    "WeightedCrossEntropyLoss": lambda _: PredictionWeightedCrossEntropyLoss(task="multiclass"),
    "MSELoss": lambda _: SquaredErrorLoss(),
    "L1Loss": lambda _: AbsoluteErrorLoss(),
    "SmoothL1Loss": lambda _: SmoothL1Loss(),
    "WeightedSmoothL1Loss": weighted_smooth_l1,
}


def inputs_of(case: Config, arrays: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return output, target and mask of a case in double precision; a last channel that it skips is cut off."""
    config = case["config"]
    output, target = (torch.from_numpy(arrays[case[key]]) for key in ("input", "target"))
    if config.get("skip_last_target"):
        target = target[:, :-1]
    if config.get("squeeze_channel"):
        target = target.squeeze(1)
    target = target.double() if target.is_floating_point() else target
    valid = target != config["ignore_index"] if "ignore_index" in config else None
    return output.double(), target, valid


def evaluate(case: Config, arrays: dict[str, Any]) -> tuple[float, Tensor]:
    output, target, valid = inputs_of(case, arrays)
    leaf = output.requires_grad_()
    value = OURS[case["config"]["name"]](case["config"])(leaf, target, valid)
    value.backward()
    return value.item(), leaf.grad


def is_quirk(case: Config) -> bool:
    """Tell whether the value that is recorded is one that must differ: flagged, or not a number."""
    return "quirk" in case or math.isnan(case["expected"])


def in_reference_form(case: Config) -> bool:
    """Tell whether parameters that say so bring back what the reference does to weights and absent classes."""
    config = case["config"]
    return config["name"] == "DiceLoss" and "ignore_index" not in config


@pytest.mark.parametrize("case", cases(lambda case: not is_quirk(case)))
def test_value_and_gradient_are_those_of_the_reference(case: Config, arrays: dict[str, Any]) -> None:
    value, gradient = evaluate(case, arrays)
    assert value == pytest.approx(case["expected"], rel=1e-5)
    torch.testing.assert_close(gradient, torch.from_numpy(arrays[case["expected_grad"]]).double(), rtol=1e-5, atol=1e-7)


def is_softmax(case: Config) -> bool:
    """Tell whether a case has a softmax of several channels: that of a single one is 1, without a gradient."""
    return case["config"].get("normalization") == "softmax" and case["grad_l1"] > 0


@pytest.mark.parametrize("case", cases(is_softmax))
def test_a_softmax_of_classes_that_exclude_one_another_is_the_task_multiclass(case: Config, arrays: Any) -> None:
    """The class is the first of those that a case's target has at once."""
    config = case["config"]
    output, target, _ = inputs_of(case, arrays)
    labels, channels = target.argmax(1), output.shape[1]
    truth = torch.nn.functional.one_hot(labels, channels).movedim(-1, 1).double()
    known: Config = {"task": "multiclass", "num_classes": channels}
    loss = (
        DiceLoss(**REFERENCE_DICE, weights=config.get("weight"), **known)
        if config["name"] == "DiceLoss"
        else GeneralisedDiceLoss(absent="count", task="multiclass")
    )
    assert len(labels.unique()) > 1
    expected = OURS[config["name"]](config)(output, truth, None)
    torch.testing.assert_close(loss(output, labels), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", cases(lambda case: is_quirk(case) and not in_reference_form(case)))
def test_quirks_of_the_reference_are_not_ours(case: Config, arrays: dict[str, Any]) -> None:
    value, gradient = evaluate(case, arrays)
    assert math.isfinite(value)
    assert gradient.isfinite().all()
    assert value != pytest.approx(case["expected"], rel=1e-4)


@pytest.mark.parametrize("case", cases(lambda case: is_quirk(case) and in_reference_form(case)))
def test_quirks_of_its_dice_need_parameters_that_ask_for_them(case: Config, arrays: dict[str, Any]) -> None:
    assert evaluate(case, arrays)[0] == pytest.approx(case["expected"], rel=1e-5)
    output, target, _ = inputs_of(case, arrays)
    build = sigmoids(
        lambda task, num: DiceLoss(weights=case["config"].get("weight"), task=task, num_classes=num),
        case["config"].get("normalization", "sigmoid"),
    )
    value = build(output, target, None).item()
    assert 0 <= value <= 1
    assert value != pytest.approx(case["expected"], rel=1e-4)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no conformance cases here")
def test_every_loss_of_the_reference_and_both_sorts_of_case_occur() -> None:
    found = [case.values[0] for case in cases(lambda _: True)]
    assert {case["config"]["name"] for case in found} == set(OURS)
    assert sum(map(is_quirk, found)) >= 30
    assert sum(not is_quirk(case) for case in found) >= 70

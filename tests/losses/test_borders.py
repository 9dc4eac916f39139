import math

import pytest
import torch

from volseg_core.api import UsageError
from volseg_losses.borders import BorderWeightedCrossEntropyLoss, BoundaryWeightedDiceLoss
from volseg_losses.cross_entropy import CrossEntropyLoss
from volseg_losses.dice import DiceLoss

# a row 0 0 1 1 1 of probabilities 1/4 and 3/4, all right; distances to the border 3/2, 1/2, 1/2, 3/2, 5/2
ROW = torch.tensor([0.0, 0, 1, 1, 1]).reshape(1, 1, 1, 5)
LOGIT = (math.log(3) * torch.tensor([1.0, -1, 1, -1, -1], dtype=torch.float64)).reshape(1, 1, 1, 5)
COSTS = [math.log(4), math.log(4 / 3), math.log(4 / 3), math.log(4), math.log(4)]
NEAR = [math.exp(-(d**2) / 8) for d in (1.5, 0.5, 0.5, 1.5, 2.5)]


def border(*, task: str, num_classes: int = 2, weights: list[float] | None = None) -> BorderWeightedCrossEntropyLoss:
    return BorderWeightedCrossEntropyLoss(
        border_weight=3.0, sigma=2.0, weights=weights, task=task, num_classes=num_classes, class_counts=None
    )


def weighted_mean(weights: list[float]) -> float:
    return sum(w * cost for w, cost in zip(weights, COSTS, strict=True)) / sum(weights)


def test_voxels_weigh_more_the_nearer_they_are_to_the_border() -> None:
    expected = weighted_mean([1 + 3 * near for near in NEAR])
    assert border(task="binary")(LOGIT, ROW).item() == pytest.approx(expected)


def test_two_classes_are_the_binary_problem() -> None:
    both = torch.cat([torch.zeros_like(LOGIT), LOGIT], dim=1)
    value = border(task="multiclass")(both, ROW.squeeze(1).long())
    torch.testing.assert_close(value, border(task="binary")(LOGIT, ROW))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_weights_of_the_classes_are_added_to(task: str) -> None:
    loss = border(task=task, weights=[1.0, 4.0])
    expected = weighted_mean([w + 3 * near for w, near in zip((1, 1, 4, 4, 4), NEAR, strict=True)])
    if task == "binary":
        assert loss(LOGIT, ROW).item() == pytest.approx(expected)
    else:
        both = torch.cat([torch.zeros_like(LOGIT), LOGIT], dim=1)
        assert loss(both, ROW.squeeze(1).long()).item() == pytest.approx(expected)


def test_channels_have_borders_and_weights_of_their_own() -> None:
    logits, target = torch.cat([LOGIT, LOGIT], dim=1), torch.cat([ROW, 0 * ROW], dim=1)
    first, second = [2 + 3 * near for near in NEAR], [0.5] * 5
    wrong = [math.log(4), math.log(4 / 3), math.log(4), math.log(4 / 3), math.log(4 / 3)]
    above = weighted_mean(first) * sum(first) + 0.5 * sum(wrong)
    value = border(task="multilabel", weights=[2.0, 0.5])(logits, target)
    assert value.item() == pytest.approx(above / (sum(first) + sum(second)))


def test_a_window_of_one_class_has_no_border() -> None:
    plain = CrossEntropyLoss(task="binary", num_classes=2, class_counts=None)
    for target in (torch.zeros_like(ROW), torch.ones_like(ROW)):
        torch.testing.assert_close(border(task="binary")(LOGIT, target), plain(LOGIT, target))


def test_a_border_beside_an_ignored_region_is_none() -> None:
    valid = torch.tensor([False, False, True, True, True]).reshape(1, 1, 1, 5)
    plain = CrossEntropyLoss(task="binary", num_classes=2, class_counts=None)
    torch.testing.assert_close(border(task="binary")(LOGIT, ROW, valid), plain(LOGIT, ROW, valid))


def test_the_weights_are_checked() -> None:
    with pytest.raises(UsageError, match=r"loss 'border-weighted-cross-entropy': weights \[1.0\] has 1 items"):
        border(task="multilabel", weights=[1.0])


def flylobe_case() -> tuple[torch.Tensor, torch.Tensor]:
    return (
        torch.linspace(-3, 3, 64).reshape(1, 1, 4, 4, 4), (torch.arange(64) % 5 == 0).float().reshape(1, 1, 4, 4, 4)
    )  # fmt: skip


def cube_case() -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.zeros(1, 1, 4, 4, 4)
    target[..., 1:3, 1:3, 1:3] = 1
    return flylobe_case()[0], target


@pytest.mark.parametrize(("case", "expected"), [(flylobe_case(), 0.9146885), (cube_case(), 0.9395973)])
def test_values_are_those_of_flylobe(case: tuple[torch.Tensor, torch.Tensor], expected: float) -> None:
    loss = BoundaryWeightedDiceLoss(smooth=1.0, absent="count", task="binary")
    assert loss(*case).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("case", "expected"), [(flylobe_case(), 0.7075719), (cube_case(), 0.7804878)])
def test_of_weight_one_it_is_dice_and_that_of_flylobe(case: tuple[torch.Tensor, torch.Tensor], expected: float) -> None:
    weighted = BoundaryWeightedDiceLoss(border_weight=1.0, smooth=1.0, task="binary")(*case)
    torch.testing.assert_close(weighted, DiceLoss(smooth=1.0, task="binary", num_classes=2)(*case))
    assert weighted.item() == pytest.approx(expected, rel=1e-6)


def test_the_shell_lies_outside_the_label_along_the_axes() -> None:
    target = torch.zeros(1, 1, 5, 5)
    target[..., 2, 2] = 1
    logits = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    for thickness, shell in ((1, 4), (2, 8), (9, 8)):
        loss = BoundaryWeightedDiceLoss(border_weight=3.0, thickness=thickness, smooth=0.0, task="binary")
        assert loss(logits, target).item() == pytest.approx(1 - 1 / ((25 + 2 * shell) / 2 + 1))


def test_each_class_has_a_shell_of_its_own() -> None:
    both = torch.cat([torch.zeros_like(LOGIT), LOGIT], dim=1)
    value = BoundaryWeightedDiceLoss(border_weight=3.0, smooth=0.0, task="multiclass")(both, ROW.squeeze(1).long())
    # background: p = 1/4 3/4 1/4 3/4 3/4, the third voxel weighs 3; foreground: the second does
    background = 2 * (0.25 + 0.75) / (0.25 + 0.75 + 3 * 0.25 + 0.75 + 0.75 + 2)
    foreground = 2 * (0.75 + 0.25 + 0.25) / (0.75 + 3 * 0.25 + 0.75 + 0.25 + 0.25 + 3)
    assert value.item() == pytest.approx(1 - (background + foreground) / 2)


def test_a_window_without_the_class_costs_its_mean_probability() -> None:
    value = BoundaryWeightedDiceLoss(task="binary")(LOGIT, 0 * ROW)
    assert value.item() == pytest.approx((2 * 0.75 + 3 * 0.25) / 5)

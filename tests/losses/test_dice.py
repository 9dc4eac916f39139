import math
from typing import Any

import pytest
import torch

from volseg_core.api import UsageError
from volseg_losses.dice import DiceLoss, GeneralisedDiceLoss

# four voxels whose foreground probabilities are 3/4, 3/4, 1/4, 1/4
LOGIT = (math.log(3) * torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)).reshape(1, 1, 2, 2)
TWO_CLASSES = torch.cat([torch.zeros_like(LOGIT), LOGIT], dim=1)
TRUTH = torch.tensor([[[1, 1], [1, 0]]])
BINARY_TRUTH = TRUTH.unsqueeze(1).float()
# the second channel holds nothing
TWO_CHANNELS = torch.cat([LOGIT, -LOGIT], dim=1)
TWO_TRUTHS = torch.cat([BINARY_TRUTH, 0 * BINARY_TRUTH], dim=1)


def dice(*, task: str, num_classes: int = 2, **params: Any) -> DiceLoss:
    return DiceLoss(task=task, num_classes=num_classes, **params)


def test_binary_by_hand() -> None:
    value = dice(task="binary", smooth=0.0)(LOGIT, BINARY_TRUTH)
    assert value.item() == pytest.approx(1 - 2 * 1.75 / (2 + 3))


def test_smooth_is_added_above_and_below() -> None:
    value = dice(task="binary", smooth=1.0)(LOGIT, BINARY_TRUTH)
    assert value.item() == pytest.approx(1 - (2 * 1.75 + 1) / (2 + 3 + 1))


def test_squared_squares_the_denominator() -> None:
    value = dice(task="binary", smooth=0.0, squared=True)(LOGIT, BINARY_TRUTH)
    assert value.item() == pytest.approx(1 - 2 * 1.75 / (4 * 0.3125 + 3))


def test_multiclass_is_the_mean_over_classes() -> None:
    value = dice(task="multiclass", smooth=0.0)(TWO_CLASSES, TRUTH)
    assert value.item() == pytest.approx(((1 - 3.5 / 5) + (1 - 2 * 0.75 / (2 + 1))) / 2)


def test_foreground_leaves_the_first_class_out() -> None:
    value = dice(task="multiclass", smooth=0.0, classes="foreground")(TWO_CLASSES, TRUTH)
    binary = dice(task="binary", smooth=0.0)(LOGIT, BINARY_TRUTH)
    torch.testing.assert_close(value, binary)


def test_batch_sums_before_the_ratio_and_sample_after_it() -> None:
    logits = torch.cat([LOGIT, -LOGIT])
    target = torch.cat([BINARY_TRUTH, BINARY_TRUTH])
    first, second = 1 - 3.5 / 5, 1 - 2 * 1.25 / 5
    whole = 1 - 2 * (1.75 + 1.25) / 10
    assert dice(task="binary", smooth=0.0)(logits, target).item() == pytest.approx(whole)
    by_sample = dice(task="binary", smooth=0.0, average="sample")
    assert by_sample(logits, target).item() == pytest.approx((first + second) / 2)


def test_batch_is_that_volume_stacked() -> None:
    logits, target = torch.cat([LOGIT, -LOGIT]), torch.cat([BINARY_TRUTH, 1 - BINARY_TRUTH])
    stacked = dice(task="binary")(torch.cat([LOGIT, -LOGIT], dim=2), torch.cat([*target.split(1)], dim=2))
    torch.testing.assert_close(dice(task="binary")(logits, target), stacked)


def test_a_sample_without_labels_leaves_the_mean_of_samples() -> None:
    by_sample = dice(task="binary", average="sample")
    logits, target = torch.cat([LOGIT, -LOGIT]), torch.cat([BINARY_TRUTH, BINARY_TRUTH])
    valid = torch.tensor([True, False]).reshape(2, 1, 1, 1).expand_as(target)
    torch.testing.assert_close(by_sample(logits, target, valid), by_sample(LOGIT, BINARY_TRUTH))


def test_a_class_that_is_not_there_is_left_out_of_the_mean() -> None:
    absent = torch.full_like(LOGIT, -20.0)
    three = dice(task="multiclass")(torch.cat([TWO_CLASSES, absent], dim=1), TRUTH)
    torch.testing.assert_close(three, dice(task="multiclass")(TWO_CLASSES, TRUTH), rtol=0, atol=1e-6)


def test_predicting_a_class_that_is_not_there_still_costs() -> None:
    loss = dice(task="multiclass")
    quiet, loud = (torch.cat([TWO_CLASSES, torch.full_like(LOGIT, height)], dim=1) for height in (-20.0, 2.0))
    assert loss(loud, TRUTH) > loss(quiet, TRUTH) + 0.1


def test_without_foreground_the_loss_is_its_mean_probability() -> None:
    empty = torch.zeros_like(BINARY_TRUTH)
    assert dice(task="binary")(LOGIT, empty).item() == pytest.approx(0.5)
    assert dice(task="binary", squared=True)(LOGIT, empty).item() == pytest.approx(0.3125)
    masked = torch.tensor([True, True, True, False]).reshape(1, 1, 2, 2)
    assert dice(task="binary")(LOGIT, empty, masked).item() == pytest.approx(1.75 / 3)


def test_sums_beyond_half_precision_keep_their_ratio() -> None:
    logits = torch.full((1, 1, 64, 64, 64), 8.0, dtype=torch.bfloat16)
    value = dice(task="binary")(logits, torch.ones(1, 1, 64, 64, 64))
    probability = 1 / (1 + math.exp(-8))
    assert value.item() == pytest.approx(1 - 2 * probability / (1 + probability), abs=1e-5)


def test_channels_of_a_multilabel_task_are_so_many_binary_tasks() -> None:
    value = dice(task="multilabel", smooth=0.0)(TWO_CHANNELS, torch.cat([BINARY_TRUTH, BINARY_TRUTH], dim=1))
    assert value.item() == pytest.approx(((1 - 3.5 / 5) + (1 - 2 * 1.25 / 5)) / 2)


def test_a_channel_without_voxels_costs_its_mean_probability() -> None:
    value = dice(task="multilabel", smooth=0.0)(TWO_CHANNELS, TWO_TRUTHS)
    assert value.item() == pytest.approx(((1 - 3.5 / 5) + 0.5) / 2)


def test_a_channel_without_labels_leaves_the_mean() -> None:
    valid = torch.tensor([True, False]).reshape(1, 2, 1, 1).expand_as(TWO_CHANNELS)
    value = dice(task="multilabel", smooth=0.0)(TWO_CHANNELS, TWO_TRUTHS, valid)
    assert value.item() == pytest.approx(1 - 3.5 / 5)


@pytest.mark.parametrize(("smooth", "expected"), [(0.0, 1.0), (1.0, 1 - 1 / 3)])
def test_an_absent_class_can_count_with_what_the_formula_gives(smooth: float, expected: float) -> None:
    loss = dice(task="binary", smooth=smooth, absent="count")
    assert loss(LOGIT, 0 * BINARY_TRUTH).item() == pytest.approx(expected)


def test_absent_classes_that_count_enter_the_mean_of_a_multiclass_task() -> None:
    three = torch.cat([TWO_CLASSES, torch.full_like(LOGIT, -60.0)], dim=1)
    present = dice(task="multiclass", smooth=0.0)(TWO_CLASSES, TRUTH)
    value = dice(task="multiclass", num_classes=3, smooth=0.0, absent="count")(three, TRUTH)
    torch.testing.assert_close(value, (2 * present + 1) / 3)


def test_weights_weigh_the_classes_in_the_mean() -> None:
    background, foreground = 1 - 2 * 0.75 / (2 + 1), 1 - 3.5 / 5
    for weights in ([1, 3], [10, 30]):
        value = dice(task="multiclass", smooth=0.0, weights=weights)(TWO_CLASSES, TRUTH)
        assert value.item() == pytest.approx((background + 3 * foreground) / 4)


def test_weights_that_are_not_scaled_multiply_each_dice() -> None:
    value = dice(task="multiclass", smooth=0.0, weights=[1, 3], scale_weights=False)(TWO_CLASSES, TRUTH)
    assert value.item() == pytest.approx(1 - (2 * 0.75 / (2 + 1) + 3 * 3.5 / 5) / 2)


def test_weights_are_those_of_the_classes_that_count() -> None:
    loss = dice(task="multiclass", num_classes=3, classes="foreground", weights=[1, 2])
    assert loss.weights is not None
    assert loss.weights.tolist() == [1, 2]
    with pytest.raises(UsageError, match=r"loss 'dice': weights \[1.0, 2.0\] has 2 items. Give one per class: 3"):
        dice(task="multilabel", num_classes=3, weights=[1, 2])


def test_the_form_of_pytorch_3dunet() -> None:
    loss = dice(task="multilabel", smooth=0.0, squared=True, absent="count", scale_weights=False)
    value = loss(TWO_CHANNELS, TWO_TRUTHS)
    assert value.item() == pytest.approx(1 - (2 * 1.75 / (4 * 0.3125 + 3) + 0) / 2)


def test_the_weights_are_no_part_of_a_checkpoint() -> None:
    assert not dice(task="multiclass", weights=[1, 3]).state_dict()
    assert not dice(task="multiclass", weights=[1, 3], scale_weights=False).state_dict()


def test_generalised_dice_is_one_ratio_over_the_channels_of_a_multilabel_task() -> None:
    truth = torch.cat([BINARY_TRUTH, torch.tensor([[[[0.0, 0], [1, 0]]]])], dim=1)
    value = GeneralisedDiceLoss(task="multilabel")(TWO_CHANNELS, truth)
    above = 2 * (1.75 / 9 + 0.75)
    below = (2 + 3) / 9 + (2 + 1)
    assert value.item() == pytest.approx(1 - above / below)


def test_generalised_dice_has_a_mask_for_each_channel() -> None:
    truth = torch.cat([BINARY_TRUTH, torch.tensor([[[[0.0, 0], [1, 0]]]])], dim=1)
    valid = torch.tensor([[[[True, True], [True, True]], [[False, True], [True, False]]]])
    value = GeneralisedDiceLoss(task="multilabel")(TWO_CHANNELS, truth, valid)
    above = 2 * (1.75 / 9 + 0.75)
    below = (2 + 3) / 9 + (0.25 + 0.75 + 1)
    assert value.item() == pytest.approx(1 - above / below)


def test_generalised_dice_takes_the_mean_probability_of_a_channel_without_voxels() -> None:
    value = GeneralisedDiceLoss(task="multilabel")(TWO_CHANNELS, TWO_TRUTHS)
    assert value.item() == pytest.approx(((1 - 3.5 / 5) + 0.5) / 2)


def test_generalised_dice_can_weigh_an_absent_class_as_a_thousandth_of_a_voxel() -> None:
    value = GeneralisedDiceLoss(task="binary", absent="count")(LOGIT, 0 * BINARY_TRUTH)
    above, below = 2 * 2 / 16, (2 + 4) / 16 + 1e6 * 2
    assert value.item() == pytest.approx(1 - above / below)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_generalised_dice_is_one_ratio_of_weighted_classes(power: float) -> None:
    value = GeneralisedDiceLoss(task="multiclass", power=power)(TWO_CLASSES, TRUTH)
    background, foreground = 1.0, 3.0**-power
    above = 2 * (background * 0.75 + foreground * 1.75)
    below = background * (2 + 1) + foreground * (2 + 3)
    assert value.item() == pytest.approx(1 - above / below)


def test_generalised_dice_of_a_binary_task_is_that_of_two_classes() -> None:
    pair = GeneralisedDiceLoss(task="multiclass")(TWO_CLASSES, TRUTH)
    torch.testing.assert_close(GeneralisedDiceLoss(task="binary")(LOGIT, BINARY_TRUTH), pair)


def test_generalised_dice_has_no_weight_for_an_absent_class() -> None:
    three = torch.cat([TWO_CLASSES, torch.full_like(LOGIT, -30.0)], dim=1)
    pair = GeneralisedDiceLoss(task="multiclass")(TWO_CLASSES, TRUTH)
    torch.testing.assert_close(GeneralisedDiceLoss(task="multiclass")(three, TRUTH), pair)


def test_generalised_dice_by_sample_is_the_mean_of_the_samples() -> None:
    loss = GeneralisedDiceLoss(task="multiclass", average="sample")
    both = loss(torch.cat([TWO_CLASSES, -TWO_CLASSES]), torch.cat([TRUTH, TRUTH]))
    torch.testing.assert_close(both, (loss(TWO_CLASSES, TRUTH) + loss(-TWO_CLASSES, TRUTH)) / 2)


def test_generalised_dice_of_large_windows_does_not_underflow() -> None:
    target = torch.zeros(1, 64, 64, 64, dtype=torch.int64)
    target[0, 0, 0, :8] = 1
    value = GeneralisedDiceLoss(task="multiclass")(torch.zeros(1, 2, 64, 64, 64), target)
    voxels, few = 64**3, 8
    weights = (voxels - few) ** -2.0, few**-2.0
    above = weights[0] * (voxels - few) + weights[1] * few
    below = weights[0] * (1.5 * voxels - few) + weights[1] * (voxels / 2 + few)
    assert value.item() == pytest.approx(1 - above / below, rel=1e-5)

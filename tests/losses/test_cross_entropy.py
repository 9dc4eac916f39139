import math
from typing import Any

import pytest
import torch

from volseg_core.api import UsageError
from volseg_losses.cross_entropy import CrossEntropyLoss, PredictionWeightedCrossEntropyLoss

# two voxels of two classes: p = (3/4, 1/4) and (1/5, 4/5)
LOGITS = torch.tensor([[[math.log(3), 0.0], [0.0, math.log(4)]]], dtype=torch.float64).reshape(1, 2, 1, 2)
TARGET = torch.tensor([[[0, 0]]])


def cross_entropy(
    *, task: str, num_classes: int, class_counts: list[int] | None = None, **params: Any
) -> CrossEntropyLoss:
    return CrossEntropyLoss(task=task, num_classes=num_classes, class_counts=class_counts, **params)


def test_the_value_is_the_mean_negative_log_probability() -> None:
    loss = cross_entropy(task="multiclass", num_classes=2)
    assert loss(LOGITS, TARGET).item() == pytest.approx((math.log(4 / 3) + math.log(5)) / 2)


def test_the_mean_is_over_labelled_voxels_only() -> None:
    loss = cross_entropy(task="multiclass", num_classes=2)
    assert loss(LOGITS, torch.tensor([[[0, -1]]])).item() == pytest.approx(math.log(4 / 3))


def test_weights_count_voxels_by_their_class() -> None:
    loss = cross_entropy(task="multiclass", num_classes=2, weights=[1, 3])
    expected = (math.log(4 / 3) + 3 * math.log(5 / 4)) / 4
    assert loss(LOGITS, torch.tensor([[[0, 1]]])).item() == pytest.approx(expected)


def test_smoothing_shares_the_target() -> None:
    loss = cross_entropy(task="multiclass", num_classes=2, label_smoothing=0.2)
    first = 0.9 * math.log(4 / 3) + 0.1 * math.log(4)
    second = 0.9 * math.log(5) + 0.1 * math.log(5 / 4)
    assert loss(LOGITS, TARGET).item() == pytest.approx((first + second) / 2)


def test_a_class_of_weight_zero_alone_gives_zero() -> None:
    loss = cross_entropy(task="multiclass", num_classes=2, weights=[0, 1], label_smoothing=0.1)
    logits = LOGITS.clone().requires_grad_()
    value = loss(logits, TARGET)
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


def test_binary_by_hand() -> None:
    logits = torch.tensor([math.log(3), -math.log(4)]).reshape(1, 1, 1, 2)
    target = torch.tensor([1.0, 1.0]).reshape(1, 1, 1, 2)
    loss = cross_entropy(task="binary", num_classes=1)
    assert loss(logits, target).item() == pytest.approx((math.log(4 / 3) + math.log(5)) / 2)


@pytest.mark.parametrize("weights", [None, [0.5, 2.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_binary_is_the_two_class_problem(weights: list[float] | None, smoothing: float) -> None:
    random = torch.Generator().manual_seed(3)
    logit = 4 * torch.randn(2, 1, 3, 4, 5, generator=random, dtype=torch.float64)
    target = torch.randint(0, 2, (2, 3, 4, 5), generator=random)
    valid = torch.rand(2, 3, 4, 5, generator=random) < 0.7
    options = {"label_smoothing": smoothing, "weights": weights}
    binary = cross_entropy(task="binary", num_classes=1, **options)
    pair = cross_entropy(task="multiclass", num_classes=2, **options)
    both = torch.cat([torch.zeros_like(logit), logit], dim=1)
    value = binary(logit, target.unsqueeze(1).float(), valid.unsqueeze(1))
    torch.testing.assert_close(value, pair(both, target, valid))


def test_extreme_binary_logits_stay_finite() -> None:
    loss = cross_entropy(task="binary", num_classes=1)
    logits = torch.tensor([1e4, -1e4]).reshape(1, 1, 1, 2).requires_grad_()
    value = loss(logits, torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2))
    value.backward()
    assert value.item() == pytest.approx(1e4)
    assert logits.grad.isfinite().all()


def test_the_weights_are_no_part_of_a_checkpoint() -> None:
    loss = cross_entropy(task="multiclass", num_classes=2, weights=[1, 3])
    assert not loss.state_dict()


def test_auto_weights_are_those_of_the_training_voxels() -> None:
    counted = cross_entropy(task="multiclass", num_classes=2, weights="auto", class_counts=[900, 100])
    given = cross_entropy(task="multiclass", num_classes=2, weights=[1, 3])
    target = torch.tensor([[[0, 1]]])
    torch.testing.assert_close(counted(LOGITS, target), given(LOGITS, target))


def test_auto_weights_of_a_binary_task_are_those_of_background_and_foreground() -> None:
    loss = cross_entropy(task="binary", num_classes=1, weights="auto", class_counts=[900, 100])
    assert loss.weights is not None
    assert loss.weights.tolist() == pytest.approx([0.5, 1.5])


@pytest.mark.parametrize(("task", "expected"), [("multiclass", 3), ("binary", 2)])
def test_the_number_of_weights_is_checked(task: str, expected: int) -> None:
    with pytest.raises(UsageError) as raised:
        cross_entropy(task=task, num_classes=3, weights=[1.0])
    text = f"loss 'cross-entropy': weights [1.0] has 1 items. Give one per class: {expected}"
    assert str(raised.value) == text


def test_weights_from_the_prediction_are_the_odds_against_each_class() -> None:
    # sums of probabilities 19/20 and 21/20 over two voxels
    weights = ((2 - 0.95) / 0.95, (2 - 1.05) / 1.05)
    loss = PredictionWeightedCrossEntropyLoss(task="multiclass")
    value = loss(LOGITS, torch.tensor([[[0, 1]]]))
    expected = (weights[0] * math.log(4 / 3) + weights[1] * math.log(5 / 4)) / sum(weights)
    assert value.item() == pytest.approx(expected)


def test_weights_from_the_prediction_know_nothing_of_ignored_voxels() -> None:
    loss = PredictionWeightedCrossEntropyLoss(task="multiclass")
    more = torch.cat([LOGITS, torch.tensor([9.0, -9.0]).reshape(1, 2, 1, 1)], dim=3)
    torch.testing.assert_close(loss(more, torch.tensor([[[0, 1, -1]]])), loss(LOGITS, torch.tensor([[[0, 1]]])))


def test_no_gradient_passes_through_weights_from_the_prediction() -> None:
    logits = LOGITS.clone().requires_grad_()
    target = torch.tensor([[[0, 1]]])
    PredictionWeightedCrossEntropyLoss(task="multiclass")(logits, target).backward()
    fixed = LOGITS.clone().requires_grad_()
    cross_entropy(task="multiclass", num_classes=2, weights=[1.05 / 0.95, 0.95 / 1.05])(fixed, target).backward()
    torch.testing.assert_close(logits.grad, fixed.grad, rtol=1e-6, atol=1e-8)


def test_weights_from_a_prediction_of_one_class_alone_are_finite() -> None:
    logits = torch.tensor([200.0, -200.0]).reshape(1, 2, 1, 1).expand(1, 2, 2, 2).clone().requires_grad_()
    value = PredictionWeightedCrossEntropyLoss(task="multiclass")(logits, torch.tensor([[[0, 1], [1, 1]]]))
    value.backward()
    assert value.item() == pytest.approx(400, rel=1e-4)
    assert logits.grad.isfinite().all()

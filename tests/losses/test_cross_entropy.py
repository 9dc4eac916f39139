import math

import pytest
import torch

from volseg_core.api import UsageError
from volseg_losses.cross_entropy import CrossEntropyLoss

# two voxels of two classes: p = (3/4, 1/4) and (1/5, 4/5)
LOGITS = torch.tensor([[[math.log(3), 0.0], [0.0, math.log(4)]]], dtype=torch.float64).reshape(1, 2, 1, 2)
TARGET = torch.tensor([[[0, 0]]])


def test_the_value_is_the_mean_negative_log_probability() -> None:
    loss = CrossEntropyLoss(task="multiclass", num_classes=2)
    assert loss(LOGITS, TARGET).item() == pytest.approx((math.log(4 / 3) + math.log(5)) / 2)


def test_the_mean_is_over_labelled_voxels_only() -> None:
    loss = CrossEntropyLoss(task="multiclass", num_classes=2)
    assert loss(LOGITS, torch.tensor([[[0, -1]]])).item() == pytest.approx(math.log(4 / 3))


def test_weights_count_voxels_by_their_class() -> None:
    loss = CrossEntropyLoss(task="multiclass", num_classes=2, class_weights=[1, 3])
    expected = (math.log(4 / 3) + 3 * math.log(5 / 4)) / 4
    assert loss(LOGITS, torch.tensor([[[0, 1]]])).item() == pytest.approx(expected)


def test_smoothing_shares_the_target() -> None:
    loss = CrossEntropyLoss(task="multiclass", num_classes=2, label_smoothing=0.2)
    first = 0.9 * math.log(4 / 3) + 0.1 * math.log(4)
    second = 0.9 * math.log(5) + 0.1 * math.log(5 / 4)
    assert loss(LOGITS, TARGET).item() == pytest.approx((first + second) / 2)


def test_a_class_of_weight_zero_alone_gives_zero() -> None:
    loss = CrossEntropyLoss(task="multiclass", num_classes=2, class_weights=[0, 1], label_smoothing=0.1)
    logits = LOGITS.clone().requires_grad_()
    value = loss(logits, TARGET)
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


def test_binary_by_hand() -> None:
    logits = torch.tensor([math.log(3), -math.log(4)]).reshape(1, 1, 1, 2)
    target = torch.tensor([1.0, 1.0]).reshape(1, 1, 1, 2)
    loss = CrossEntropyLoss(task="binary", num_classes=1)
    assert loss(logits, target).item() == pytest.approx((math.log(4 / 3) + math.log(5)) / 2)


@pytest.mark.parametrize("weights", [None, [0.5, 2.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_binary_is_the_two_class_problem(weights: list[float] | None, smoothing: float) -> None:
    random = torch.Generator().manual_seed(3)
    logit = 4 * torch.randn(2, 1, 3, 4, 5, generator=random, dtype=torch.float64)
    target = torch.randint(0, 2, (2, 3, 4, 5), generator=random)
    valid = torch.rand(2, 3, 4, 5, generator=random) < 0.7
    options = {"label_smoothing": smoothing, "class_weights": weights}
    binary = CrossEntropyLoss(task="binary", num_classes=1, **options)
    pair = CrossEntropyLoss(task="multiclass", num_classes=2, **options)
    both = torch.cat([torch.zeros_like(logit), logit], dim=1)
    value = binary(logit, target.unsqueeze(1).float(), valid.unsqueeze(1))
    torch.testing.assert_close(value, pair(both, target, valid))


def test_extreme_binary_logits_stay_finite() -> None:
    loss = CrossEntropyLoss(task="binary", num_classes=1)
    logits = torch.tensor([1e4, -1e4]).reshape(1, 1, 1, 2).requires_grad_()
    value = loss(logits, torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2))
    value.backward()
    assert value.item() == pytest.approx(1e4)
    assert logits.grad.isfinite().all()


def test_the_weights_are_no_part_of_a_checkpoint() -> None:
    loss = CrossEntropyLoss(task="multiclass", num_classes=2, class_weights=[1, 3])
    assert not loss.state_dict()


@pytest.mark.parametrize(("task", "expected"), [("multiclass", 3), ("binary", 2)])
def test_the_number_of_weights_is_checked(task: str, expected: int) -> None:
    with pytest.raises(UsageError) as raised:
        CrossEntropyLoss(task=task, num_classes=3, class_weights=[1.0])
    text = f"loss 'cross-entropy': class_weights [1.0] has 1 items. Give one per class: {expected}"
    assert str(raised.value) == text


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(UsageError, match="leave nothing to learn"):
        CrossEntropyLoss(task="multiclass", num_classes=2, class_weights=[0, 0])

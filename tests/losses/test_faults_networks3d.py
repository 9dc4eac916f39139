"""Faults of pytorch-3dunet 1.9.6 in small: what ignores, weights and pos_weight must not do."""

from typing import Any

import pytest
import torch
from torch import Tensor

from volseg_core.api import UsageError
from volseg_losses.binary_cross_entropy import BinaryCrossEntropyLoss
from volseg_losses.dice import DiceLoss, GeneralisedDiceLoss
from volseg_losses.regression import SquaredErrorLoss

RANDOM = torch.Generator().manual_seed(2)
LOGITS = 2 * torch.randn(1, 1, 10, 10, generator=RANDOM, dtype=torch.float64)
TARGET = torch.randint(0, 2, LOGITS.shape, generator=RANDOM).double()


def bce(pos_weight: Any = None, *, task: str = "binary", num_classes: int = 2) -> BinaryCrossEntropyLoss:
    return BinaryCrossEntropyLoss(pos_weight=pos_weight, task=task, num_classes=num_classes, class_counts=None)


@pytest.mark.parametrize(
    "loss",
    [
        DiceLoss(task="binary", num_classes=2, squared=True, smooth=0.0),
        GeneralisedDiceLoss(task="binary"),
        bce(),
        SquaredErrorLoss(),
    ],
)
def test_b4_nine_tenths_ignored_is_the_other_tenth_alone(loss: Any) -> None:
    valid = torch.zeros_like(TARGET, dtype=torch.bool)
    valid[..., :1, :] = True
    masked = loss(LOGITS, TARGET, valid)
    torch.testing.assert_close(masked, loss(LOGITS[..., :1, :], TARGET[..., :1, :]))
    as_theirs = loss(LOGITS * valid, TARGET * valid)
    assert not torch.isclose(masked, as_theirs, rtol=0.05)


@pytest.mark.parametrize("weights", [[0.2, 0.3, 0.5], [2.0, 3.0, 5.0], [20.0, 30.0, 50.0]])
def test_b22_weights_of_dice_do_not_make_it_negative(weights: list[float]) -> None:
    target = torch.arange(100).reshape(1, 10, 10) % 3
    right = 20 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).double()
    loss = DiceLoss(task="multiclass", num_classes=3, weights=weights)
    assert 0 <= loss(right, target) < 1e-5
    theirs = DiceLoss(task="multiclass", num_classes=3, weights=weights, scale_weights=False)
    assert theirs(right, target).item() == pytest.approx(1 - sum(weights) / 3, abs=1e-4)


def near_perfect(task: str) -> tuple[Tensor, Tensor]:
    """Return logits and target in which class 2 does not occur and hardly is predicted."""
    target = torch.arange(100).reshape(1, 10, 10) % 2
    onehot = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).double()
    return 16 * onehot - 8, onehot if task == "multilabel" else target


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_b22_an_absent_class_does_not_rule_generalised_dice(task: str) -> None:
    given = near_perfect(task)
    assert GeneralisedDiceLoss(task=task)(*given) < 1e-3
    assert GeneralisedDiceLoss(task=task, absent="count")(*given) > 0.5


def test_b23_a_weight_per_channel_is_that_of_the_channel_also_where_a_side_is_as_long() -> None:
    logits = torch.zeros(1, 3, 2, 3)
    target = torch.ones_like(logits)
    bce([1.0, 2.0, 4.0], task="multilabel", num_classes=3)(logits.requires_grad_(), target).backward()
    assert logits.grad is not None
    by_channel = logits.grad.abs().sum(dim=(0, 2, 3))
    assert (by_channel / by_channel[0]).tolist() == pytest.approx([1, 2, 4])
    with pytest.raises(UsageError, match="Give one per channel: 3"):
        bce([1.0, 2.0], task="multilabel", num_classes=3)

import math
from typing import Any

import pytest
import torch

from volseg_core.api import UsageError
from volseg_losses.binary_cross_entropy import BalancedBinaryCrossEntropyLoss, BinaryCrossEntropyLoss
from volseg_losses.cross_entropy import CrossEntropyLoss

# four voxels of foreground probability 3/4, 3/4, 1/4, 1/4
FOREGROUND = (math.log(3) * torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)).reshape(1, 1, 2, 2)
MASK = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]], dtype=torch.float64)


def bce(
    pos_weight: Any = None, *, task: str = "binary", num_classes: int = 2, class_counts: list[int] | None = None
) -> BinaryCrossEntropyLoss:
    return BinaryCrossEntropyLoss(pos_weight=pos_weight, task=task, num_classes=num_classes, class_counts=class_counts)


def test_binary_cross_entropy_by_hand() -> None:
    value = bce(3)(FOREGROUND, MASK)
    assert value.item() == pytest.approx((3 * math.log(4 / 3) + math.log(4) + 3 * math.log(4) + math.log(4 / 3)) / 4)


def test_binary_cross_entropy_without_a_weight_is_cross_entropy() -> None:
    plain = bce()(FOREGROUND, MASK)
    torch.testing.assert_close(
        plain, CrossEntropyLoss(task="binary", num_classes=2, class_counts=None)(FOREGROUND, MASK)
    )


@pytest.mark.parametrize("pos_weight", [None, 0.2, 5.0])
def test_binary_cross_entropy_is_that_of_torch(pos_weight: float | None) -> None:
    random = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(2, 1, 3, 4, generator=random)
    target = torch.randint(0, 2, logits.shape, generator=random).float()
    torchs = torch.nn.BCEWithLogitsLoss(pos_weight=None if pos_weight is None else torch.tensor(pos_weight))
    ours = bce(pos_weight)
    torch.testing.assert_close(ours(logits, target), torchs(logits, target))


def test_an_auto_pos_weight_is_the_root_of_the_ratio_of_voxels() -> None:
    counted = bce("auto", class_counts=[900, 100])(FOREGROUND, MASK)
    torch.testing.assert_close(counted, bce(3)(FOREGROUND, MASK))


@pytest.mark.parametrize("counts", [None, [5, 0]])
def test_an_auto_pos_weight_needs_voxels_of_both_classes(counts: list[int] | None) -> None:
    with pytest.raises(UsageError) as raised:
        bce("auto", class_counts=counts)
    what = "pos_weight 'auto' needs training voxels of background and foreground, which are not there. Give a number"
    assert str(raised.value) == f"loss 'binary-cross-entropy': {what}"


@pytest.mark.parametrize(
    ("given", "rule"),
    [("often", "'often' is not a float"), (-1.0, "-1.0 is below the minimum 0"), ([1.0, "b"], "'b' is not a float")],
)
def test_a_pos_weight_that_is_no_number_is_refused(given: Any, rule: str) -> None:
    with pytest.raises(UsageError) as raised:
        bce(given, class_counts=[1, 1])
    assert (
        str(raised.value)
        == f"loss 'binary-cross-entropy': pos_weight: {rule}. Give a number, one per channel, 'auto', 'ratio' or null"
    )


def test_a_ratio_is_that_of_the_voxels() -> None:
    counted = bce("ratio", class_counts=[900, 100])
    torch.testing.assert_close(counted(FOREGROUND, MASK), bce(9)(FOREGROUND, MASK))


@pytest.mark.parametrize("given", ["auto", "ratio"])
def test_the_voxels_of_classes_say_nothing_of_the_channels_of_a_multilabel_task(given: str) -> None:
    with pytest.raises(UsageError, match=f"pos_weight '{given}' needs training voxels of background and foreground"):
        bce(given, task="multilabel", class_counts=[900, 100])


@pytest.mark.parametrize("size", [(4, 2), (3, 2, 2)])
def test_each_channel_has_a_weight_of_its_own(size: tuple[int, ...]) -> None:
    random = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(2, 2, *size, generator=random)  # as long as there are channels: nothing else may match
    target = torch.randint(0, 2, logits.shape, generator=random).float()
    value = bce([0.5, 3.0], task="multilabel")(logits, target)
    single = [bce(weight)(logits[:, [k]], target[:, [k]]) for k, weight in enumerate((0.5, 3.0))]
    torch.testing.assert_close(value, sum(single) / 2)


def test_one_weight_per_channel_is_needed() -> None:
    what = r"pos_weight \[1, 2\] has 2 items. Give one per channel: 3"
    with pytest.raises(UsageError, match=what):
        bce([1, 2], task="multilabel", num_classes=3)
    with pytest.raises(UsageError, match="Give one per channel: 1"):
        bce([1, 2])


def test_the_mean_is_over_the_labelled_entries_of_all_channels() -> None:
    logits = torch.cat([FOREGROUND, -FOREGROUND], dim=1)
    target = torch.cat([MASK, MASK], dim=1)
    valid = torch.tensor([[[[True, True], [True, False]], [[False, False], [True, False]]]])
    value = bce(task="multilabel")(logits, target, valid)
    assert value.item() == pytest.approx((math.log(4 / 3) + 2 * math.log(4) + math.log(4 / 3)) / 4)


def test_balanced_is_half_the_mean_of_each_side() -> None:
    one = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    # -log p of the one positive voxel, -log(1 - p) of the three negative ones
    expected = (math.log(4 / 3) + (math.log(4) + 2 * math.log(4 / 3)) / 3) / 2
    assert BalancedBinaryCrossEntropyLoss(task="binary")(FOREGROUND, one).item() == pytest.approx(expected)


def test_balanced_is_that_of_edge_detection_over_the_product_of_shares() -> None:
    random = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn(1, 1, 5, 6, generator=random, dtype=torch.float64)
    target = (torch.rand(logits.shape, generator=random) < 0.2).double()
    share = target.mean()
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    paper = (torch.where(target > 0, 1 - share, share) * each).mean()
    value = BalancedBinaryCrossEntropyLoss(task="binary")(logits, target)
    torch.testing.assert_close(value, paper / (2 * share * (1 - share)))


def test_a_side_without_voxels_leaves_its_half_to_the_other() -> None:
    value = BalancedBinaryCrossEntropyLoss(task="binary")(FOREGROUND, 0 * MASK)
    assert value.item() == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)


def test_balanced_by_sample_and_channel_or_by_batch() -> None:
    logits, target = torch.cat([FOREGROUND, -FOREGROUND]), torch.cat([MASK, 0 * MASK])
    alone = BalancedBinaryCrossEntropyLoss(task="binary")
    first, second = alone(logits[:1], target[:1]), alone(logits[1:], target[1:])
    torch.testing.assert_close(alone(logits, target), (first + second) / 2)
    channels = BalancedBinaryCrossEntropyLoss(task="multilabel")
    torch.testing.assert_close(channels(*(each.transpose(0, 1) for each in (logits, target))), (first + second) / 2)
    together = BalancedBinaryCrossEntropyLoss(task="binary", average="batch")
    flat = (each.reshape(1, 1, 4, 2) for each in (logits, target))
    torch.testing.assert_close(together(logits, target), alone(*flat))

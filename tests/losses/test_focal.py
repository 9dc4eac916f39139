import math

import pytest
import torch
from segmentation_models_pytorch.losses import FocalLoss as Reference

from volseg_losses.cross_entropy import CrossEntropyLoss
from volseg_losses.focal import FocalLoss

# two voxels of two classes: p = (3/4, 1/4) and (1/5, 4/5)
LOGITS = torch.tensor([[[math.log(3), 0.0], [0.0, math.log(4)]]], dtype=torch.float64).reshape(1, 2, 1, 2)
TARGET = torch.tensor([[[0, 0]]])


def focal(gamma: float = 2.0, *, task: str = "multiclass", weights: object = None) -> FocalLoss:
    return FocalLoss(gamma=gamma, weights=weights, task=task, num_classes=2, class_counts=[900, 100])


def test_by_hand() -> None:
    expected = (math.log(4 / 3) / 16 + math.log(5) * 16 / 25) / 2
    assert focal()(LOGITS, TARGET).item() == pytest.approx(expected)


def test_weights_count_voxels_by_their_class() -> None:
    expected = (math.log(4 / 3) / 16 + 3 * math.log(5 / 4) / 25) / 4
    target = torch.tensor([[[0, 1]]])
    assert focal(weights=[1, 3])(LOGITS, target).item() == pytest.approx(expected)
    assert focal(weights="auto")(LOGITS, target).item() == pytest.approx(expected)


@pytest.mark.parametrize("task", ["multiclass", "binary"])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0]])
def test_without_its_exponent_it_is_cross_entropy(task: str, weights: list[float] | None) -> None:
    random = torch.Generator().manual_seed(3)
    logits = 4 * torch.randn(2, 2, 3, 4, generator=random, dtype=torch.float64)
    target = torch.randint(0, 2, (2, 3, 4), generator=random)
    if task == "binary":
        logits, target = logits[:, :1], target.unsqueeze(1).double()
    plain = CrossEntropyLoss(weights=weights, task=task, num_classes=2, class_counts=None)
    torch.testing.assert_close(focal(0.0, task=task, weights=weights)(logits, target), plain(logits, target))


def test_binary_is_that_of_segmentation_models_pytorch() -> None:
    random = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(2, 1, 6, 7, generator=random)
    target = torch.randint(0, 2, logits.shape, generator=random).float()
    reference = Reference("binary", gamma=1.7)(logits, target)
    torch.testing.assert_close(focal(1.7, task="binary")(logits, target), reference)


def test_a_certain_voxel_has_no_infinite_slope_for_small_exponents() -> None:
    logits = torch.tensor([200.0, -200.0]).reshape(1, 1, 1, 2).requires_grad_()
    value = focal(0.5, task="binary")(logits, torch.tensor([1.0, 1.0]).reshape(1, 1, 1, 2))
    value.backward()
    assert value.item() == pytest.approx(100)
    assert logits.grad.flatten().tolist() == pytest.approx([0.0, -0.5])


def test_the_entries_of_a_multilabel_task_are_binary_voxels() -> None:
    random = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(2, 3, 6, 7, generator=random)
    target = torch.randint(0, 2, logits.shape, generator=random).float()
    flat = (each.reshape(2, 1, 18, 7) for each in (logits, target))
    value = focal(1.5, task="multilabel", weights=[1, 3])(logits, target)
    torch.testing.assert_close(value, focal(1.5, task="binary", weights=[1, 3])(*flat))

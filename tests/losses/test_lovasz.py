import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segmentation_models_pytorch.losses import LovaszLoss as Reference

from volseg_losses.lovasz import LovaszLoss


def test_by_hand() -> None:
    # errors 3/4 (background), 1/2 (foreground) and 1/4 (foreground), largest first
    logits = torch.tensor([3.0, 1.0, 3.0], dtype=torch.float64).log().reshape(1, 1, 1, 3)
    target = torch.tensor([0.0, 1.0, 1.0]).reshape(1, 1, 1, 3)
    # the Jaccard loss of the first, the first two, and all three being wrong
    losses = (1 - 2 / 3, 1 - 1 / 3, 1.0)
    expected = 0.75 * losses[0] + 0.5 * (losses[1] - losses[0]) + 0.25 * (losses[2] - losses[1])
    assert LovaszLoss(task="binary")(logits, target).item() == pytest.approx(expected)


@settings(max_examples=40)
@given(data=st.data(), voxels=st.integers(1, 12))
def test_a_certain_prediction_costs_its_jaccard_loss(data: st.DataObject, voxels: int) -> None:
    bits = st.lists(st.booleans(), min_size=voxels, max_size=voxels)
    truth = torch.tensor(data.draw(bits.filter(any))).reshape(1, 1, 1, -1)
    found = torch.tensor(data.draw(bits)).reshape(1, 1, 1, -1)
    value = LovaszLoss(task="binary")(torch.where(found, 1e3, -1e3), truth.float())
    assert value.item() == pytest.approx(1 - (truth & found).sum().item() / (truth | found).sum().item(), abs=1e-6)


@pytest.mark.parametrize("average", ["batch", "sample"])
def test_multiclass_is_that_of_segmentation_models_pytorch(average: str) -> None:
    random = torch.Generator().manual_seed(11)
    logits = 2 * torch.randn(2, 3, 4, 5, 6, generator=random)
    target = torch.randint(0, 3, (2, 4, 5, 6), generator=random)
    reference = Reference("multiclass", per_image=average == "sample")
    ours = LovaszLoss(task="multiclass", average=average)
    torch.testing.assert_close(ours(logits, target), reference(logits, target))


def test_ignored_voxels_are_those_of_segmentation_models_pytorch() -> None:
    random = torch.Generator().manual_seed(12)
    logits = 2 * torch.randn(2, 3, 8, 8, generator=random)
    target = torch.randint(-1, 3, (2, 8, 8), generator=random)
    expected = Reference("multiclass", ignore_index=-1)(logits, target)
    torch.testing.assert_close(LovaszLoss(task="multiclass")(logits, target), expected)


def test_binary_is_the_foreground_of_two_classes() -> None:
    random = torch.Generator().manual_seed(13)
    logit = 3 * torch.randn(2, 1, 5, 5, generator=random)
    target = torch.randint(0, 2, (2, 5, 5), generator=random)
    pair = LovaszLoss(task="multiclass", classes="foreground")(torch.cat([0 * logit, logit], dim=1), target)
    torch.testing.assert_close(LovaszLoss(task="binary")(logit, target.unsqueeze(1).float()), pair)


def test_without_foreground_the_loss_is_its_mean_probability() -> None:
    logits = torch.tensor([math.log(3), -math.log(3), 0.0]).reshape(1, 1, 1, 3)
    empty = torch.zeros(1, 1, 1, 3)
    assert LovaszLoss(task="binary")(logits, empty).item() == pytest.approx(0.5)
    valid = torch.tensor([True, False, True]).reshape(1, 1, 1, 3)
    assert LovaszLoss(task="binary")(logits, empty, valid).item() == pytest.approx(0.625)


def test_a_large_window_keeps_its_digits() -> None:
    random = torch.Generator().manual_seed(14)
    logits = torch.randn(1, 1, 512, 512, generator=random)
    target = (torch.rand(logits.shape, generator=random) < 0.01).float()
    loss = LovaszLoss(task="binary")
    assert loss(logits, target).item() == pytest.approx(loss(logits.double(), target).item(), rel=1e-6)

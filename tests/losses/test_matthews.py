import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segmentation_models_pytorch.losses import MCCLoss as Reference

from volseg_losses.matthews import MatthewsLoss


def certain(prediction: torch.Tensor, classes: int) -> torch.Tensor:
    """Return logits (1, C, V) of a prediction (V,)."""
    return 100 * torch.nn.functional.one_hot(prediction, classes).T.unsqueeze(0).double()


def textbook(tp: int, tn: int, fp: int, fn: int) -> float:
    return (tp * tn - fp * fn) / ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5


def test_a_certain_binary_prediction_has_the_coefficient_of_the_textbook() -> None:
    target = torch.tensor([1] * 6 + [0] * 14).double().reshape(1, 1, -1)
    prediction = torch.tensor([1] * 4 + [0] * 2 + [1] * 3 + [0] * 11).double().reshape(1, 1, -1)
    value = MatthewsLoss(task="binary")(200 * prediction - 100, target)
    assert value.item() == pytest.approx(1 - textbook(tp=4, tn=11, fp=3, fn=2))


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 4))
def test_a_certain_prediction_has_the_correlation_of_its_indicators(seed: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    target = np.concatenate([np.arange(classes), random.integers(0, classes, 20)])
    prediction = np.where(random.random(len(target)) < 0.5, target, np.roll(target, 1))
    x, y = (np.eye(classes)[labels] - np.eye(classes)[labels].mean(axis=0) for labels in (prediction, target))
    expected = 1 - (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
    logits = certain(torch.from_numpy(prediction), classes)
    value = MatthewsLoss(task="multiclass")(logits, torch.from_numpy(target).unsqueeze(0))
    assert value.item() == pytest.approx(expected)


def test_soft_binary_is_that_of_segmentation_models_pytorch() -> None:
    random = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(2, 1, 9, 8, generator=random, dtype=torch.float64)
    target = torch.randint(0, 2, logits.shape, generator=random).double()
    # the library wants probabilities
    expected = Reference(eps=1e-9)(logits.sigmoid(), target)
    torch.testing.assert_close(MatthewsLoss(task="binary")(logits, target), expected)


def test_the_opposite_of_the_truth_costs_two() -> None:
    target = torch.tensor([0, 1, 1, 0, 0]).double().reshape(1, 1, -1)
    assert MatthewsLoss(task="binary")(100 - 200 * target, target).item() == pytest.approx(2)


@pytest.mark.parametrize("height", [3.0, 100.0])
def test_a_prediction_that_says_nothing_costs_one(height: float) -> None:
    target = torch.tensor([0, 1, 1, 0, 0]).double().reshape(1, 1, -1)
    logits = torch.full_like(target, height).requires_grad_()
    value = MatthewsLoss(task="binary")(logits, target)
    value.backward()
    assert value.item() == pytest.approx(1)
    assert logits.grad.isfinite().all()


def test_a_target_of_one_class_costs_the_probability_of_the_others() -> None:
    logits = torch.tensor([3.0, 1.0]).log().reshape(1, 1, 2)  # 3/4 and 1/2
    assert MatthewsLoss(task="binary")(logits, torch.zeros(1, 1, 2)).item() == pytest.approx(0.625)
    assert MatthewsLoss(task="binary")(logits, torch.ones(1, 1, 2)).item() == pytest.approx(0.375)


def test_by_sample_is_the_mean_of_the_samples() -> None:
    random = torch.Generator().manual_seed(2)
    logits, target = torch.randn(2, 3, 9, generator=random), torch.randint(0, 3, (2, 9), generator=random)
    each = [MatthewsLoss(task="multiclass")(logits[n : n + 1], target[n : n + 1]) for n in range(2)]
    by_sample = MatthewsLoss(task="multiclass", average="sample")
    torch.testing.assert_close(by_sample(logits, target), (each[0] + each[1]) / 2)


@pytest.mark.parametrize("background", [-6.0, -12.0, -25.0])
def test_rare_foreground_keeps_its_digits_in_float32(background: float) -> None:
    target = torch.zeros(1, 1, 512, 512)
    target[..., :5, :5] = 1
    logits = torch.where(target > 0, 1.0, background)
    loss = MatthewsLoss(task="binary")
    assert loss(logits, target).item() == pytest.approx(loss(logits.double(), target.double()).item(), abs=5e-3)

"""Jaccard and Tversky on one example, and against segmentation-models-pytorch."""

import math

import pytest
import segmentation_models_pytorch as smp
import torch

from volseg_losses.dice import DiceLoss
from volseg_losses.jaccard import JaccardLoss
from volseg_losses.tversky import FocalTverskyLoss, TverskyLoss

# four voxels of foreground probability 3/4, 3/4, 1/4, 1/4: TP = 7/4, FP = 1/4, FN = 5/4
LOGIT = (math.log(3) * torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)).reshape(1, 1, 2, 2)
TRUTH = torch.tensor([[[[1.0, 1.0], [1.0, 0.0]]]])
RANDOM = torch.Generator().manual_seed(7)
LOGITS = 2 * torch.randn(2, 3, 6, 7, generator=RANDOM)
TARGET = torch.randint(0, 3, (2, 6, 7), generator=RANDOM)


def test_jaccard_by_hand() -> None:
    assert JaccardLoss(task="binary", smooth=0.0)(LOGIT, TRUTH).item() == pytest.approx(1 - 1.75 / 3.25)
    assert JaccardLoss(task="binary", smooth=1.0)(LOGIT, TRUTH).item() == pytest.approx(1 - 2.75 / 4.25)


def test_tversky_by_hand() -> None:
    loss = TverskyLoss(task="binary", alpha=0.2, beta=0.8, smooth=0.0)
    assert loss(LOGIT, TRUTH).item() == pytest.approx(1 - 1.75 / (1.75 + 0.2 * 0.25 + 0.8 * 1.25))


def test_alpha_weighs_wrong_voxels_and_beta_missed_ones() -> None:
    everywhere = torch.full_like(LOGIT, 10.0)
    nowhere = -everywhere
    recall = TverskyLoss(task="binary", alpha=0.1, beta=0.9)
    assert recall(everywhere, TRUTH) < recall(nowhere, TRUTH)
    assert recall(everywhere, TRUTH) < TverskyLoss(task="binary", alpha=0.9, beta=0.1)(everywhere, TRUTH)


@pytest.mark.parametrize("gamma", [4 / 3, 2.0])
def test_focal_tversky_takes_the_root_of_each_class(gamma: float) -> None:
    logits = torch.cat([torch.zeros_like(LOGIT), LOGIT], dim=1)
    # of the background: TP = 3/4, FP = 5/4, FN = 1/4
    indices = (0.75 / (0.75 + 0.3 * 1.25 + 0.7 * 0.25), 1.75 / (1.75 + 0.3 * 0.25 + 0.7 * 1.25))
    value = FocalTverskyLoss(task="multiclass", gamma=gamma, smooth=0.0)(logits, TRUTH.squeeze(1).long())
    assert value.item() == pytest.approx(sum((1 - index) ** (1 / gamma) for index in indices) / 2)


def test_focal_tversky_of_gamma_one_is_tversky() -> None:
    focal, plain = FocalTverskyLoss(task="multiclass", gamma=1.0), TverskyLoss(task="multiclass")
    torch.testing.assert_close(focal(LOGITS, TARGET), plain(LOGITS, TARGET))


def test_tversky_contains_dice_and_jaccard() -> None:
    dice = TverskyLoss(task="multiclass", alpha=0.5, beta=0.5, smooth=0.5)
    torch.testing.assert_close(
        dice(LOGITS, TARGET), DiceLoss(task="multiclass", num_classes=3, smooth=1.0)(LOGITS, TARGET)
    )
    jaccard = TverskyLoss(task="multiclass", alpha=1.0, beta=1.0)
    torch.testing.assert_close(jaccard(LOGITS, TARGET), JaccardLoss(task="multiclass")(LOGITS, TARGET))


def test_values_are_those_of_segmentation_models_pytorch() -> None:
    ours, theirs = JaccardLoss(task="multiclass"), smp.losses.JaccardLoss("multiclass", smooth=1e-5)
    torch.testing.assert_close(ours(LOGITS, TARGET), theirs(LOGITS, TARGET))
    tversky = smp.losses.TverskyLoss("multiclass", smooth=1e-5, alpha=0.3, beta=0.7)
    torch.testing.assert_close(TverskyLoss(task="multiclass")(LOGITS, TARGET), tversky(LOGITS, TARGET))


def test_an_absent_class_is_left_out() -> None:
    quiet = torch.cat([LOGITS, torch.full_like(LOGITS[:, :1], -30.0)], dim=1)
    for loss in (JaccardLoss(task="multiclass"), TverskyLoss(task="multiclass"), FocalTverskyLoss(task="multiclass")):
        torch.testing.assert_close(loss(quiet, TARGET), loss(LOGITS, TARGET))


def test_a_perfect_answer_has_a_finite_slope_under_the_focal_root() -> None:
    logits = (200 * (2 * TRUTH - 1)).requires_grad_()
    FocalTverskyLoss(task="binary", gamma=3.0)(logits, TRUTH).backward()
    assert logits.grad.isfinite().all()


def test_ratios_without_voxels_and_smoothing_are_no_nan() -> None:
    logits = torch.full((1, 1, 2, 2), -1e4).requires_grad_()
    value = TverskyLoss(task="binary", beta=0.0, smooth=0.0)(logits, TRUTH)
    value.backward()
    assert value == 1
    assert (logits.grad == 0).all()

import pytest
import torch

from volseg_losses.regression import AbsoluteErrorLoss, SmoothL1Loss, SquaredErrorLoss, WeightedSmoothL1Loss

# errors 0.5, 2, 3 and one that is not known
OUTPUT = torch.tensor([1.5, -2.0, 4.0, 1e6]).reshape(1, 2, 1, 2)
TARGET = torch.tensor([1.0, 0.0, 1.0, 0.0]).reshape(1, 2, 1, 2)
VALID = torch.tensor([True, True, True, False]).reshape(1, 2, 1, 2)


def test_by_hand() -> None:
    assert SquaredErrorLoss()(OUTPUT, TARGET, VALID).item() == pytest.approx((0.25 + 4 + 9) / 3)
    assert AbsoluteErrorLoss()(OUTPUT, TARGET, VALID).item() == pytest.approx(5.5 / 3)
    assert SmoothL1Loss()(OUTPUT, TARGET, VALID).item() == pytest.approx((0.125 + 1.5 + 2.5) / 3)
    assert SmoothL1Loss(beta=2.0)(OUTPUT, TARGET, VALID).item() == pytest.approx((0.25 / 4 + 1 + 2) / 3)


def test_without_a_knee_smooth_l1_is_the_absolute_error() -> None:
    torch.testing.assert_close(
        SmoothL1Loss(beta=0.0)(OUTPUT, TARGET, VALID), AbsoluteErrorLoss()(OUTPUT, TARGET, VALID)
    )


@pytest.mark.parametrize(("side", "expected"), [("below", 0.125 + 3 * 1.5 + 2.5), ("above", 3 * 0.125 + 1.5 + 3 * 2.5)])
def test_targets_on_one_side_of_the_threshold_have_a_factor(side: str, expected: float) -> None:
    loss = WeightedSmoothL1Loss(threshold=0.5, factor=3.0, side=side)
    assert loss(OUTPUT, TARGET, VALID).item() == pytest.approx(expected / 3)


def test_a_target_at_the_threshold_is_above_it() -> None:
    loss = WeightedSmoothL1Loss(threshold=1.0, factor=0.0, side="above")
    assert loss(OUTPUT, TARGET, VALID).item() == pytest.approx(1.5 / 3)


def test_knee_and_threshold_are_in_units_of_the_labels() -> None:
    """Labels 14 and 4, and 4, are learnt less 4 and 1, divided by 10 and 3; errors are 5, 20 and 9."""
    offset, scale = (4.0, 1.0), (10.0, 3.0)
    smooth = SmoothL1Loss(beta=8.0, scale=scale)(OUTPUT, TARGET, VALID).item()
    assert smooth == pytest.approx((25 / 16 / 10 + (20 - 4) / 10 + (9 - 4) / 3) / 3)
    for threshold, expected in ((4.0, 0.5 + 2 + 3), (10.0, 0.5), (15.0, 0)):
        loss = WeightedSmoothL1Loss(threshold=threshold, factor=0.0, beta=0.0, offset=offset, scale=scale)
        assert loss(OUTPUT, TARGET, VALID).item() == pytest.approx(expected / 3)


def test_without_a_mask_every_value_counts() -> None:
    value = AbsoluteErrorLoss()(OUTPUT, TARGET)
    assert value.item() == pytest.approx((5.5 + 1e6) / 4)

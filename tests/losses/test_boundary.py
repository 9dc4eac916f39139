import math

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from volseg_losses.boundary import BoundaryLoss, HausdorffLoss

# a row with foreground at 2 and 3: signed distances 3/2, 1/2, -1/2, -1/2, 1/2
TARGET = torch.tensor([0.0, 0, 1, 1, 0], dtype=torch.float64).reshape(1, 1, 1, 5)
# probabilities 3/4, 1/4, 3/4, 1/4, 1/4
LOGIT = (math.log(3) * torch.tensor([1.0, -1, 1, -1, -1], dtype=torch.float64)).reshape(1, 1, 1, 5)


def blob(centre: tuple[int, int], radius: float, size: int = 24) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2).double().reshape(1, 1, size, size)


def test_a_wrong_voxel_costs_its_distance_to_the_true_boundary() -> None:
    expected = (0.75 * 1.5 + 0.25 * 0.5 + 0.25 * 0.5 + 0.75 * 0.5 + 0.25 * 0.5) / 5
    assert BoundaryLoss(task="binary")(LOGIT, TARGET).item() == pytest.approx(expected)


def test_hausdorff_adds_the_distance_to_the_predicted_boundary() -> None:
    # predicted foreground at 0 and 2: distances -1/2, 1/2, -1/2, 1/2, 3/2
    weights = (1.5**2 + 0.25, 0.25 + 0.25, 0.25 + 0.25, 0.25 + 0.25, 0.25 + 1.5**2)
    errors = (0.75**2, 0.25**2, 0.25**2, 0.75**2, 0.25**2)
    expected = sum(weight * error for weight, error in zip(weights, errors, strict=True)) / 5
    assert HausdorffLoss(task="binary")(LOGIT, TARGET).item() == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [1.0, 3.0])
def test_hausdorff_raises_distances_to_its_exponent(alpha: float) -> None:
    target, logit = TARGET[..., :3], torch.tensor([-9.0, -9, -9]).reshape(1, 1, 1, 3)
    expected = (1 / (1 + math.exp(-9))) ** 2 * 0.5**alpha + (1 / (1 + math.exp(9))) ** 2 * (1.5**alpha + 0.5**alpha)
    value = HausdorffLoss(task="binary", alpha=alpha)(logit, target)
    assert value.item() == pytest.approx(expected / 3)


def test_the_slope_of_the_boundary_loss_is_that_of_the_paper() -> None:
    target = blob((11, 12), 6)
    probabilities = torch.rand(target.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits = probabilities.logit().requires_grad_()
    BoundaryLoss(task="binary")(logits, target).backward()
    mask = target[0, 0].numpy() > 0
    phi = distance_transform_edt(~mask) * ~mask - distance_transform_edt(mask) * mask
    phi = torch.from_numpy(phi - 0.5 * np.sign(phi)).reshape(target.shape)
    expected = phi * probabilities * (1 - probabilities) / target.numel()
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("loss", [BoundaryLoss(task="binary"), HausdorffLoss(task="binary")])
def test_a_far_mistake_costs_more_than_a_near_one_of_the_same_size(loss: torch.nn.Module) -> None:
    target = blob((12, 7), 4)
    near, far = (torch.maximum(target, blob((12, column), 1)) for column in (13, 20))
    assert near.sum() == far.sum()
    assert loss(20 * far - 10, target) > 2 * loss(20 * near - 10, target)


def test_multiclass_is_the_mean_over_the_classes_that_count() -> None:
    random = torch.Generator().manual_seed(4)
    logits, target = torch.randn(2, 3, 6, 5, generator=random), torch.randint(0, 3, (2, 6, 5), generator=random)
    for build in (BoundaryLoss, HausdorffLoss):
        every = build(task="multiclass", classes="all")(logits, target)
        each = []
        for label in range(3):
            # the logit of one class against the others together
            rest = torch.cat([logits[:, :label], logits[:, label + 1 :]], dim=1).logsumexp(1, keepdim=True)
            one = (logits[:, label : label + 1] - rest, (target == label).unsqueeze(1).float())
            each.append(build(task="binary")(*one))
        torch.testing.assert_close(every, sum(each) / 3)
        torch.testing.assert_close(build(task="multiclass")(logits, target), (each[1] + each[2]) / 2)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_sample_of_one_class_has_no_boundary_to_be_far_from(label: float) -> None:
    logits = torch.full((1, 1, 4, 4), 3.0, requires_grad=True)
    target = torch.full((1, 1, 4, 4), label)
    for loss in (BoundaryLoss(task="binary"), HausdorffLoss(task="binary")):
        value = loss(logits, target)
        value.backward()
        assert value == 0
        assert (logits.grad == 0).all()


def test_hausdorff_sees_a_predicted_boundary_where_the_class_is_absent() -> None:
    weights, errors = (0.25, 0.25, 0.25, 0.25, 2.25), (0.75**2, 0.25**2, 0.75**2, 0.25**2, 0.25**2)
    expected = sum(weight * error for weight, error in zip(weights, errors, strict=True)) / 5
    assert HausdorffLoss(task="binary")(LOGIT, torch.zeros_like(TARGET)).item() == pytest.approx(expected)


def test_a_shifted_prediction_gains_by_moving_back() -> None:
    target = blob((12, 12), 5)
    costs = [HausdorffLoss(task="binary")(20 * blob((12, 12 + step), 5) - 10, target).item() for step in range(6)]
    assert costs == sorted(costs)
    assert costs[0] < 1e-3

"""What an ignored region means to the losses that look at shapes: there the image ends."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_losses.borders import BorderWeightedCrossEntropyLoss, BoundaryWeightedDiceLoss
from volseg_losses.boundary import BoundaryLoss, HausdorffLoss
from volseg_losses.cldice import ClDiceLoss
from volseg_losses.skeletons import SkeletonRecallLoss

each_task = pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel"])


def border_weighted(task: str) -> BorderWeightedCrossEntropyLoss:
    return BorderWeightedCrossEntropyLoss(task=task, num_classes=3, class_counts=None)


each_loss = pytest.mark.parametrize(
    "build", [ClDiceLoss, SkeletonRecallLoss, BoundaryLoss, HausdorffLoss, BoundaryWeightedDiceLoss, border_weighted]
)


def smooth_noise(size: tuple[int, ...], channels: int, random: torch.Generator) -> torch.Tensor:
    """Return (2, channels, *size) with structures of a few voxels."""
    noise = torch.randn(2, channels, *size, generator=random, dtype=torch.float64)
    for axis in range(2, noise.ndim):
        noise = noise + noise.roll(1, axis) + noise.roll(-1, axis)
    return noise / noise.std()


def make_case(task: str, size: tuple[int, ...], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    if task == "multilabel":
        return 2 * smooth_noise(size, 3, random), (smooth_noise(size, 3, random) > 0).double()
    classes = 3 if task == "multiclass" else 2
    target = smooth_noise(size, classes, random).argmax(dim=1)
    logits = 2 * smooth_noise(size, classes if task == "multiclass" else 1, random)
    return logits, target.unsqueeze(1).double() if task == "binary" else target


@each_loss
@each_task
@settings(max_examples=15)
@given(data=st.data())
def test_an_ignored_margin_is_as_if_it_were_cut_off(build: Any, task: str, data: st.DataObject) -> None:
    size = tuple(data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=3)))
    inner = []
    for length in size:
        start = data.draw(st.integers(0, length - 1))
        inner.append(slice(start, data.draw(st.integers(start + 1, length))))
    box = (..., *inner)
    logits, target = make_case(task, size, data.draw(st.integers(0, 2**32)))
    valid = torch.zeros_like(target, dtype=torch.bool)
    valid[box] = True
    loss = build(task=task)
    whole, cropped = logits.clone().requires_grad_(), logits[box].clone().requires_grad_()
    value, expected = loss(whole, target, valid), loss(cropped, target[box])
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    padded = torch.zeros_like(logits)
    padded[box] = cropped.grad
    # where two neighbours are equal up to rounding the derivative of a maximum is not unique
    assert torch.isclose(whole.grad, padded, rtol=1e-6, atol=1e-9).double().mean() > 0.97


@each_task
def test_an_ignored_wall_wider_than_the_tube_parts_skeletons_in_two(task: str) -> None:
    logits, target = make_case(task, (10, 16), 3)
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[..., 7:9] = False
    halves = [torch.cat([values[..., :7], values[..., 9:]]) for values in (logits, target)]
    loss = SkeletonRecallLoss(task=task, radius=2)
    torch.testing.assert_close(loss(logits, target, valid), loss(*halves))


def test_distances_reach_across_an_ignored_wall() -> None:
    target = torch.tensor([1.0, 1, 0, 0, 0]).reshape(1, 1, 1, 5)
    valid = torch.tensor([True, True, False, True, True]).reshape(1, 1, 1, 5)
    logits = torch.full((1, 1, 1, 5), 50.0)
    # the wrong voxels 3 and 4 lie two and three steps from the foreground
    assert BoundaryLoss(task="binary")(logits, target, valid).item() == pytest.approx((1.5 + 2.5) / 4)
    # the prediction fills what is labelled and so has no boundary
    assert HausdorffLoss(task="binary")(logits, target, valid).item() == pytest.approx((1.5**2 + 2.5**2) / 4)


@pytest.mark.parametrize("build", [ClDiceLoss, SkeletonRecallLoss, BoundaryWeightedDiceLoss])
def test_channels_with_masks_of_their_own_are_so_many_binary_tasks(build: Any) -> None:
    logits, target = make_case("multilabel", (9, 11), 7)
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[:, 0, 4:], valid[:, 1, :, :6], valid[:, 2] = False, False, False
    single = [build(task="binary")(logits[:, [k]], target[:, [k]], valid[:, [k]]) for k in range(2)]
    torch.testing.assert_close(build(task="multilabel")(logits, target, valid), sum(single) / 2)


@pytest.mark.parametrize("build", [BoundaryLoss, HausdorffLoss])
def test_distances_of_channels_are_averaged_over_their_labelled_voxels(build: Any) -> None:
    logits, target = make_case("multilabel", (9, 11), 7)
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[:, 0, 4:], valid[:, 2] = False, False
    single = [build(task="binary")(logits[:, [k]], target[:, [k]], valid[:, [k]]) for k in range(2)]
    expected = (4 * single[0] + 9 * single[1]) / 13
    torch.testing.assert_close(build(task="multilabel")(logits, target, valid), expected)

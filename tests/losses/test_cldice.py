import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, generate_binary_structure, grey_dilation, grey_erosion

from volseg_losses.cldice import ClDiceLoss, soft_skeleton


def reference_skeleton(image: np.ndarray, iterations: int) -> np.ndarray:
    """Soft skeleton by grey morphology of scipy, for one image, whose border repeats itself."""
    cross, box = generate_binary_structure(image.ndim, 1), np.ones((3,) * image.ndim, dtype=bool)

    def opened(values: np.ndarray) -> np.ndarray:
        return grey_dilation(grey_erosion(values, footprint=cross, mode="nearest"), footprint=box, mode="nearest")

    skeleton = np.maximum(image - opened(image), 0)
    for _ in range(iterations):
        image = grey_erosion(image, footprint=cross, mode="nearest")
        ridge = np.maximum(image - opened(image), 0)
        skeleton = skeleton + np.maximum(ridge - skeleton * ridge, 0)
    return skeleton


def line(shape: tuple[int, ...]) -> torch.Tensor:
    mask = torch.zeros(1, 1, *shape, dtype=torch.float64)
    mask[(0, 0, *(length // 2 for length in shape[:-1]))] = 1
    return mask


@pytest.mark.parametrize("shape", [(7, 9), (5, 6, 7)])
@pytest.mark.parametrize("iterations", [0, 3])
def test_the_soft_skeleton_is_that_of_grey_morphology(shape: tuple[int, ...], iterations: int) -> None:
    image = np.random.default_rng(1).random(shape)
    ours = soft_skeleton(torch.from_numpy(image)[None, None], torch.ones(1, 1, *shape, dtype=torch.bool), iterations)
    np.testing.assert_allclose(ours[0, 0].numpy(), reference_skeleton(image, iterations), atol=1e-12)


def test_a_line_is_its_own_skeleton_and_a_bar_has_its_middle() -> None:
    everywhere = torch.ones(1, 1, 9, 12, dtype=torch.bool)
    thin = line((9, 12))
    assert torch.equal(soft_skeleton(thin, everywhere, 4), thin)
    bar = torch.zeros_like(thin)
    bar[:, :, 2:7, 2:10] = 1
    skeleton = soft_skeleton(bar, everywhere, 4)
    assert set(skeleton.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(skeleton * bar, skeleton)
    assert (skeleton[0, 0, 4, 4:8] == 1).all()
    assert skeleton.sum() < bar.sum() / 2


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), dims=st.sampled_from([2, 3]), iterations=st.integers(1, 6))
def test_a_mask_has_a_cldice_of_one_with_itself(seed: int, dims: int, iterations: int) -> None:
    noise = gaussian_filter(
        np.random.default_rng(seed).standard_normal((2, 1, *(12, 10, 8)[:dims])), (0, 0, *[1] * dims)
    )
    mask = torch.from_numpy(noise > 0.1)
    value = ClDiceLoss(task="binary", iterations=iterations)(torch.where(mask, 1e3, -1e3), mask.float())
    assert value == 0


def test_by_hand() -> None:
    # the skeleton of a line of ten voxels is the line; eight of them are predicted with 3/4, and a second line
    # of four voxels two rows below with 1/2: the soft skeleton of both predictions is themselves
    target = torch.zeros(1, 1, 7, 14, dtype=torch.float64)
    target[..., 2, 2:12] = 1
    logits = torch.full_like(target, -1e3)
    logits[..., 2, 2:10] = math.log(3)
    logits[..., 5, 4:8] = 0.0
    precision, sensitivity = 8 * 0.75 / (8 * 0.75 + 4 * 0.5), 8 * 0.75 / 10
    expected = 1 - 2 * precision * sensitivity / (precision + sensitivity)
    assert ClDiceLoss(task="binary", smooth=0.0)(logits, target).item() == pytest.approx(expected)


def test_smooth_is_added_above_and_below() -> None:
    target = line((5, 8))
    precision, sensitivity = 3 / 3, 3 / 11
    value = ClDiceLoss(task="binary", smooth=3.0)(torch.full_like(target, -1e3), target)
    assert value.item() == pytest.approx(1 - 2 * precision * sensitivity / (precision + sensitivity))


def test_a_gap_in_a_thin_line_costs_more_than_a_thinner_thick_one() -> None:
    target = torch.zeros(1, 1, 20, 30)
    target[..., 3, :] = 1
    target[..., 8:15, :] = 1
    gap, thinner = target.clone(), target.clone()
    gap[..., 3, 10:20] = 0
    thinner[..., 14, :20] = 0
    loss = ClDiceLoss(task="binary")
    assert (target - thinner).sum() == 2 * (target - gap).sum()
    assert loss(100 * gap - 50, target) > 1.5 * loss(100 * thinner - 50, target)


def test_a_class_without_a_skeleton_is_left_out() -> None:
    target = line((6, 8)).squeeze(1).long()
    logits = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    three = torch.cat([logits, torch.full((1, 1, 6, 8), -40.0)], dim=1)
    torch.testing.assert_close(
        ClDiceLoss(task="multiclass")(three, target), ClDiceLoss(task="multiclass")(logits, target)
    )


@pytest.mark.parametrize(("label", "expected"), [(0.0, 0.75), (1.0, 0.25)])
def test_without_any_skeleton_the_loss_is_the_mean_error(label: float, expected: float) -> None:
    logits = torch.full((2, 1, 6, 7), math.log(3)).requires_grad_()
    value = ClDiceLoss(task="binary")(logits, torch.full((2, 1, 6, 7), label))
    value.backward()
    assert value.item() == pytest.approx(expected)
    assert (logits.grad * (1 - 2 * label) > 0).all()


@pytest.mark.parametrize("task", ["multiclass", "binary"])
def test_an_ignored_wall_parts_a_window_in_two(task: str) -> None:
    random = torch.Generator().manual_seed(6)
    logits = torch.randn(1, 3 if task == "multiclass" else 1, 8, 13, generator=random)
    target = torch.randint(0, 2, (1, 8, 13), generator=random)
    target = target.unsqueeze(1).float() if task == "binary" else target
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[..., 6] = False
    halves = [torch.cat([values[..., :6], values[..., 7:]]) for values in (logits, target)]
    loss = ClDiceLoss(task=task, iterations=3)
    torch.testing.assert_close(loss(logits, target, valid), loss(*halves))

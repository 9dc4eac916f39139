import math

import numpy as np
import pytest
import torch
from skimage.morphology import skeletonize

from volseg_losses.skeletons import SkeletonRecallLoss


def bar(shape: tuple[int, ...], *sides: slice) -> torch.Tensor:
    mask = torch.zeros(shape)
    mask[sides] = 1
    return mask.reshape(1, 1, *shape)


def weights(loss: SkeletonRecallLoss, target: torch.Tensor) -> torch.Tensor:
    """Return how much each voxel counts: the slope of the recall in its probability."""
    logits = torch.zeros_like(target).requires_grad_()
    loss(logits, target).backward()
    return -4 * logits.grad[0, 0]


def test_a_line_is_its_own_skeleton() -> None:
    line = bar((5, 9), slice(2, 3), slice(1, 8))
    logits = torch.full_like(line, -math.log(3))
    logits[..., :5] = math.log(3)
    # four of seven voxels with probability 3/4, the others with 1/4
    value = SkeletonRecallLoss(task="binary", radius=0)(logits, line)
    assert value.item() == pytest.approx(1 - (4 * 0.75 + 3 * 0.25) / 7)


def test_only_the_skeleton_counts_and_all_of_it_alike() -> None:
    thick = bar((9, 20), slice(2, 7), slice(1, 19))
    counted = weights(SkeletonRecallLoss(task="binary", radius=0), thick)
    thin = torch.from_numpy(skeletonize(thick[0, 0].numpy() > 0))
    assert 10 <= thin.sum() < thick.sum() / 4
    torch.testing.assert_close(counted, thin.float() / thin.sum())


def test_the_tube_grows_by_steps_and_stays_in_the_class() -> None:
    thick = bar((9, 20), slice(2, 7), slice(1, 19))
    thin = skeletonize(thick[0, 0].numpy() > 0)
    points = np.argwhere(thin)
    for radius in (1, 2, 5):
        steps = np.abs(np.indices(thin.shape)[:, None] - points.T[:, :, None, None]).sum(axis=0).min(axis=0)
        tube = torch.from_numpy(steps <= radius) & (thick[0, 0] > 0)
        counted = weights(SkeletonRecallLoss(task="binary", radius=radius), thick)
        torch.testing.assert_close(counted, tube.float() / tube.sum())


def test_missing_a_thin_part_costs_as_much_as_its_length() -> None:
    target = torch.maximum(bar((24, 24), slice(2, 12), slice(2, 12)), bar((24, 24), slice(6, 7), slice(12, 24)))
    without = target.clone()
    without[..., 12:] = 0
    value = SkeletonRecallLoss(task="binary", radius=0)(40 * without - 20, target)
    missed = weights(SkeletonRecallLoss(task="binary", radius=0), target)[:, 12:].sum()
    assert value.item() == pytest.approx(missed.item(), abs=1e-6)
    assert value > 0.5


def test_touching_classes_keep_their_own_skeletons() -> None:
    target = torch.zeros(1, 7, 11, dtype=torch.int64)
    target[:, 1:4], target[:, 4:7] = 1, 2
    logits = torch.zeros(1, 3, 7, 11).requires_grad_()
    SkeletonRecallLoss(task="multiclass", radius=0)(logits, target).backward()
    for label in (1, 2):
        thin = torch.from_numpy(skeletonize((target[0] == label).numpy()))
        assert ((logits.grad[0, label] < 0) == thin).all()


def test_an_absent_class_is_left_out() -> None:
    target = bar((5, 9), slice(1, 4), slice(1, 8)).squeeze(1).long()
    logits = torch.randn(1, 2, 5, 9, generator=torch.Generator().manual_seed(0))
    three = torch.cat([logits, torch.full((1, 1, 5, 9), -40.0)], dim=1)
    loss = SkeletonRecallLoss(task="multiclass")
    torch.testing.assert_close(loss(three, target), loss(logits, target))


def test_without_the_class_there_is_nothing_to_recall() -> None:
    logits = torch.ones(2, 1, 5, 6, requires_grad=True)
    value = SkeletonRecallLoss(task="binary")(logits, torch.zeros(2, 1, 5, 6))
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


def test_recall_alone_forgives_every_wrong_voxel() -> None:
    line = bar((5, 9), slice(2, 3), slice(1, 8))
    assert SkeletonRecallLoss(task="binary")(torch.full_like(line, 50.0), line) == 0


def test_a_piece_that_thinning_deletes_is_its_own_skeleton() -> None:
    # scikit-image leaves nothing of the first and a line of the second
    even = bar((8, 8, 24), slice(1, 3), slice(1, 3), slice(2, 12))
    odd = bar((8, 8, 24), slice(4, 7), slice(4, 7), slice(14, 23))
    assert not skeletonize(even[0, 0].numpy() > 0).any()
    counted = weights(SkeletonRecallLoss(task="binary", radius=0), torch.maximum(even, odd)) > 0
    assert (counted[..., :13] == (even[0, 0, ..., :13] > 0)).all()
    assert 0 < counted[..., 13:].sum() <= 9


def test_samples_add_up_before_the_ratio() -> None:
    long, short = bar((5, 9), slice(2, 3), slice(0, 9)), bar((5, 9), slice(2, 3), slice(4, 7))
    target = torch.cat([long, short])
    logits = torch.cat([40 * long - 20, torch.full_like(short, -20.0)])
    value = SkeletonRecallLoss(task="binary", radius=0)(logits, target)
    assert value.item() == pytest.approx(3 / 12, abs=1e-6)

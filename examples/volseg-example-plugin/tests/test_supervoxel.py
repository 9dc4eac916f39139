import numpy as np
import pytest
import torch

from volseg_example.supervoxel import SupervoxelLoss, critical_mistakes


def image(*rows):
    return np.array([[int(letter) for letter in row] for row in rows])


TRUTH = image(
    "0000000",
    "1111111",
    "0000000",
    "1111111",
    "0000000",
)


def mistakes(found):
    marked = critical_mistakes(found, TRUTH, np.ones(TRUTH.shape, bool))
    return {tuple(map(int, place)) for place in np.argwhere(marked)}


@pytest.mark.parametrize(
    ("changed", "critical"),
    [
        ({}, set()),
        ({(1, 3): 0}, {(1, 3)}),  # splits a line
        ({(1, 0): 0}, set()),  # shortens it
        ({(2, 2): 1}, {(2, 2)}),  # joins two lines
        ({(0, 2): 1}, set()),  # thickens one
        ({(1, column): 0 for column in range(7)}, {(1, column) for column in range(7)}),  # loses one
        ({(1, 3): 0, (0, 5): 1, (3, 6): 0}, {(1, 3)}),
    ],
)
def test_mistakes_that_change_the_number_of_objects_are_critical(changed, critical):
    found = TRUTH.copy()
    for place, value in changed.items():
        found[place] = value
    assert mistakes(found) == critical


def test_an_object_out_of_nothing_is_critical():
    truth, found = np.zeros((5, 5), int), np.zeros((5, 5), int)
    found[2, 2:4] = 1
    np.testing.assert_array_equal(critical_mistakes(found, truth, truth == 0), found == 1)


def test_a_hole_in_a_ring_leaves_it_in_one_piece_and_a_second_one_does_not():
    truth = np.ones((5, 5), int)
    truth[1:4, 1:4] = 0
    found = truth.copy()
    found[0, 2] = 0
    assert not critical_mistakes(found, truth, truth >= 0).any(), "the way around is far from the hole"
    pieces = truth.copy()
    pieces[0, 2], pieces[4, 2] = 0, 0
    assert not critical_mistakes(pieces, truth, truth >= 0).any(), "each mistake is looked at on its own"


def test_the_rule_is_that_of_counting_objects_with_and_without_a_mistake():
    """Against the definition itself, on random images: the number of objects after each single change."""
    from scipy import ndimage

    corners = np.ones((3, 3))
    random = np.random.default_rng(0)
    for _ in range(60):
        truth = ndimage.zoom(random.integers(0, 2, (4, 4)), 3, order=0)
        found = np.where(random.random(truth.shape) < 0.15, 1 - truth, truth)
        expected = np.zeros(truth.shape, bool)
        count = ndimage.label(truth, corners)[1]
        for wrong, value in ((truth > found, 0), (found > truth, 1)):
            parts, number = ndimage.label(wrong, corners)
            for part in range(1, number + 1):
                changed = np.where(parts == part, value, truth)
                expected |= (parts == part) & (ndimage.label(changed, corners)[1] != count)
        np.testing.assert_array_equal(critical_mistakes(found, truth, truth >= 0), expected)


def test_unknown_voxels_are_neither_objects_nor_mistakes():
    found, known = TRUTH.copy(), np.ones(TRUTH.shape, bool)
    found[1, 3] = 0
    known[1, 3] = False
    assert not critical_mistakes(found, TRUTH, known).any()


def test_critical_mistakes_weigh_as_said():
    truth = torch.from_numpy(TRUTH)[None]
    output = torch.nn.functional.one_hot(truth, 2).movedim(-1, 1) * 4.0
    for place, critical in (((1, 0), False), ((1, 3), True)):
        wrong = output.clone()
        wrong[0, :, place[0], place[1]] = torch.tensor([4.0, 0.0])
        good, bad = np.log1p(np.exp(-4)), np.log1p(np.exp(4))
        expected = (good * 34 + bad * (11 if critical else 1)) / 35
        assert SupervoxelLoss(factor=10, task="multiclass")(wrong, truth).item() == pytest.approx(expected, rel=1e-5)


def test_a_binary_task_weighs_the_same_mistakes():
    truth = torch.from_numpy(TRUTH)[None, None].float()
    output = truth * 8 - 4
    output[0, 0, 1, 3] = -4
    good, bad = np.log1p(np.exp(-4)), np.log1p(np.exp(4))
    loss = SupervoxelLoss(factor=10, task="binary")(output, truth)
    assert loss.item() == pytest.approx((good * 34 + bad * 11) / 35, rel=1e-5)


def test_volumes_are_looked_at_whole():
    truth = torch.zeros(1, 3, 5, 5, dtype=torch.int64)
    truth[0, :, 2, 2] = 1
    output = torch.nn.functional.one_hot(truth, 2).movedim(-1, 1) * 4.0
    output[0, :, 1, 2, 2] = torch.tensor([4.0, 0.0])
    plain = torch.nn.functional.cross_entropy(output, truth).item()
    bad = np.log1p(np.exp(4)) / truth.numel()
    loss = SupervoxelLoss(factor=10, task="multiclass")(output, truth).item()
    assert loss == pytest.approx(plain + 10 * bad, rel=1e-5)

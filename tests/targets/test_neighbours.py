import numpy as np
import pytest

from volseg_targets.neighbours import any_neighbour, neighbourhood, pair


@pytest.mark.parametrize(
    ("offset", "first", "second"),
    [
        ((0, 1), [[1, 2], [4, 5]], [[2, 3], [5, 6]]),
        ((-1, 0), [[4, 5, 6]], [[1, 2, 3]]),
        ((1, -2), [[3]], [[4]]),
        ((-1, 2), [[4]], [[3]]),
    ],
)
def test_pairs_are_voxels_and_what_lies_at_the_offset(offset, first, second):
    values = np.array([[1, 2, 3], [4, 5, 6]])
    here, there = pair(offset, values.shape)
    assert values[here].tolist() == first
    assert values[there].tolist() == second


@pytest.mark.parametrize("offset", [(2, 0), (-2, 0), (0, 3), (0, -7), (5, -9)])
def test_an_offset_as_long_as_the_window_leaves_no_pair(offset):
    here, there = pair(offset, (2, 3))
    values = np.zeros((2, 3))
    assert values[here].shape == values[there].shape
    assert values[here].size == 0


@pytest.mark.parametrize(("dims", "connectivity", "count"), [(2, 1, 4), (2, 2, 8), (3, 1, 6), (3, 2, 18), (3, 3, 26)])
def test_half_of_a_neighbourhood_stands_for_all_of_it(dims, connectivity, count):
    half = neighbourhood(dims, connectivity)
    opposite = {tuple(-step for step in each) for each in half}
    assert len({*half} | opposite) == 2 * len(half) == count


def test_both_of_a_pair_are_found():
    found = any_neighbour(np.array([[1, 1, 1], [1, 1, 2]]), 1, np.not_equal)
    assert found.tolist() == [[False, False, True], [False, True, True]]
    found = any_neighbour(np.array([[1, 1, 1], [1, 1, 2]]), 2, np.not_equal)
    assert found.tolist() == [[False, True, True], [False, True, True]]

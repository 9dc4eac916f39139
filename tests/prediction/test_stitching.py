"""Objects of blocks become objects of the volume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from volseg_core.errors import ResourceError
from volseg_core.prediction.stitching import Numbers, Stitcher, consecutive, first_voxels, matches, ranked
from volseg_core.volume.blocks import BlockGrid


def stitched(grid, overlap, find):
    stitcher = Stitcher(grid, overlap)
    numbers = np.zeros(grid.shape, np.uint32)
    for block in grid.blocks():
        numbers[block.core] = stitcher.add(block, find(block.outer))
    return stitcher.table()[numbers]


SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=150, deadline=None)
@given(
    shape=SIZES, counts=SIZES, halo=st.integers(1, 3), connectivity=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1), share=st.floats(0.1, 0.9),
)  # fmt: skip
def test_connected_components_of_blocks_are_those_of_the_volume(shape, counts, halo, connectivity, seed, share):
    volume = np.random.default_rng(seed).random(shape) < share
    structure = ndimage.generate_binary_structure(3, connectivity)
    grid = BlockGrid(shape, tuple(map(min, counts, shape)), (halo,) * 3)
    found = stitched(grid, 0, lambda box: ndimage.label(volume[box], structure)[0])
    np.testing.assert_array_equal(found, ndimage.label(volume, structure)[0])


def test_what_one_block_sees_as_one_object_does_not_join_two_of_its_neighbour():
    grid = BlockGrid((1, 4, 6), (1, 1, 2), (0, 0, 1))
    parts = np.zeros((1, 4, 6), int)
    parts[0, :2], parts[0, 2:] = 1, 2
    merged = np.ones_like(parts)

    def find(box):
        return (merged if box[2].start == 0 else parts)[box]

    np.testing.assert_array_equal(np.unique(stitched(grid, 0.5, find)), [1, 2, 3])
    np.testing.assert_array_equal(np.unique(stitched(grid, 0.4, find)), [1])


def test_an_object_is_the_one_that_covers_most_of_it():
    grid = BlockGrid((1, 5, 6), (1, 1, 2), (0, 0, 1))
    ours = np.repeat([[1], [1], [1], [2], [2]], 6, axis=1)[None]
    theirs = np.repeat([[7], [7], [9], [9], [9]], 6, axis=1)[None]
    found = stitched(grid, 0.5, lambda box: (ours if box[2].start == 0 else theirs)[box])
    np.testing.assert_array_equal(found[0, :, 0], [1, 1, 1, 2, 2])
    np.testing.assert_array_equal(found[0, :, 5], [1, 1, 2, 2, 2])


def test_what_touches_at_a_face_is_not_one_object_without_common_voxels():
    grid = BlockGrid((1, 2, 4), (1, 1, 2), (0, 0, 1))
    found = stitched(grid, 0, lambda box: np.broadcast_to([0, 1, 2, 0], (1, 2, 4))[box] * np.array([[[1], [0]]]))
    np.testing.assert_array_equal(found, [[[0, 1, 2, 0], [0, 0, 0, 0]]])


def test_numbers_are_consecutive_whatever_the_ids_are():
    small, count = consecutive(np.array([[5, 0, 2], [9, 9, 0]]))
    np.testing.assert_array_equal(small, [[2, 0, 1], [3, 3, 0]])
    assert (count, small.dtype) == (3, np.uint32)
    huge = np.array([[2**60, 0], [7, 2**60]], np.uint64)
    np.testing.assert_array_equal(consecutive(huge)[0], [[2, 0], [1, 2]])
    without = np.array([[2**60, 8], [7, 2**60]], np.uint64)
    np.testing.assert_array_equal(consecutive(without)[0], [[3, 2], [1, 3]])
    assert consecutive(without)[1] == 3
    assert consecutive(np.zeros((2, 2), int))[1] == 0


def test_the_first_voxel_is_that_of_the_volume_in_the_order_of_memory():
    box = (slice(2, 4), slice(1, 3), slice(0, 2))
    numbers = np.array([[[0, 2], [2, 0]], [[1, 1], [2, 1]]])
    expected = [np.ravel_multi_index(place, (5, 6, 7)) for place in ((3, 1, 0), (2, 1, 1))]
    np.testing.assert_array_equal(first_voxels(numbers, 2, box, (5, 6, 7)), expected)
    gone = np.iinfo(np.int64).max
    np.testing.assert_array_equal(ranked(np.array([gone, 9, gone, 4])), [0, 2, 0, 1])


def test_objects_match_by_the_share_of_the_larger():
    one = np.array([1, 1, 1, 2, 2, 0], np.uint32)
    other = np.array([4, 4, 5, 5, 5, 5], np.uint32)
    assert matches(one, other, 0.5) == [(1, 4)]
    assert matches(one, other, 0.0) == [(1, 4), (1, 5), (2, 5)]


def test_chains_of_joins_are_one_object():
    numbers = Numbers()
    assert numbers.add(np.array([30, 20, 10, 5])) == 0
    assert numbers.add(np.array([1])) == 4
    numbers.join(1, 3)
    numbers.join(3, 5)
    np.testing.assert_array_equal(numbers.table(), [0, 1, 3, 1, 2, 1])


def test_more_objects_than_numbers_are_an_error(monkeypatch):
    monkeypatch.setattr("volseg_core.prediction.stitching._MOST", 3)
    numbers = Numbers()
    numbers.add(np.array([1, 2]))
    with pytest.raises(ResourceError, match=r"^postprocess: there are more than 4 294 967 295 objects"):
        numbers.add(np.array([3, 4]))

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from volseg_core.volume.blocks import BlockGrid
from volseg_instances.sizes import RemoveSmall, SizeFilter


def looked(step, array):
    if hasattr(step, "look"):
        step.look(array)
    return step(array)


LABELS = np.array([[[1, 1, 1, 2, 2, 0, 1, 0, 2, 2, 2, 2]]], np.uint8)
IDS = np.array([[[4, 4, 4, 9, 9, 0, 7, 0, 4, 9, 9, 9]]], np.uint32)


def test_small_objects_become_background():
    np.testing.assert_array_equal(looked(RemoveSmall(min_size=3), LABELS), [[[1, 1, 1, 0, 0, 0, 0, 0, 2, 2, 2, 2]]])
    np.testing.assert_array_equal(looked(RemoveSmall(min_size=2, taken="instances"), IDS), np.where(IDS == 7, 0, IDS))
    np.testing.assert_array_equal(looked(RemoveSmall(min_size=5, taken="instances"), IDS), np.where(IDS == 9, 9, 0))
    assert looked(RemoveSmall(min_size=3), LABELS).dtype == np.uint8


@pytest.mark.parametrize(
    ("spacing", "low", "high", "kept"),
    [
        (None, 3, None, [3, 4]),
        (None, 0, 3, [3, 2, 1]),
        ((0.5, 0.5, 0.4), 0.3, None, [3, 4]),
        ((0.5, 0.5, 0.4), 0.2, 0.3, [3, 2]),
        ((0.1, 0.1, 0.1), 0.003, 0.003, [3]),
    ],
)
def test_sizes_are_in_the_unit_of_the_spacing_cubed(spacing, low, high, kept):
    result = looked(SizeFilter(min_size=low, max_size=high, spacing=spacing), LABELS)
    assert [size for size, start in ((3, 0), (2, 3), (1, 6), (4, 8)) if result[0, 0, start]] == [
        size for size in (3, 2, 1, 4) if size in kept
    ]


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3), low=st.integers(0, 6), high=st.none() | st.integers(0, 9),
    seed=st.integers(0, 2**32 - 1), edge=st.integers(1, 4),
)  # fmt: skip
def test_blocks_of_labels_give_what_the_volume_gives(shape, low, high, seed, edge):
    labels = np.random.default_rng(seed).choice(np.array([0, 0, 1, 2], np.uint8), shape)
    step = SizeFilter(min_size=low, max_size=high)
    whole = step(labels)
    expected = np.zeros_like(labels)
    for index in (1, 2):
        numbers, count = ndimage.label(labels == index)
        for number in range(1, count + 1):
            size = (numbers == number).sum()
            if low <= size <= (np.inf if high is None else high):
                expected[numbers == number] = index
    np.testing.assert_array_equal(whole, expected)
    for block in BlockGrid.of_edge(shape, edge, (step.halo,) * 3).blocks():
        np.testing.assert_array_equal(step(labels[block.outer])[block.inside()], whole[block.core])


def test_instances_are_filtered_by_blocks_and_numbered_anew(run):
    ids = np.zeros((6, 6, 20), np.uint16)
    ids[..., :1], ids[..., 2:9], ids[..., 10:12], ids[..., 13:] = 3, 9, 11, 5
    expected = np.zeros(ids.shape)
    expected[..., 2:9], expected[..., 13:] = 1, 2
    for block in (None, 4):
        found = run(ids, "size-filter", block=block, spacing=(2, 1, 1), instances=True, min_size=145)
        np.testing.assert_array_equal(found, expected)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from volseg_core.volume.blocks import BlockGrid
from volseg_instances.holes import FillHoles


@pytest.fixture
def cells():
    """Return a class with a hole of 1 and one of 8 voxels, one open to the border, and one between two classes."""
    labels = np.zeros((7, 7, 20), np.uint8)
    labels[1:6, 1:6, 1:6] = 1
    labels[3, 3, 2] = 0
    labels[2:4, 2:4, 4:6] = 0
    labels[1:6, 1:6, 6] = 1
    labels[1:6, 1:6, 8:14] = 1
    labels[1:6, 1:6, 11:14] = 2
    labels[3, 3, 10:12] = 0
    labels[1:6, 1:6, 15:20] = 2
    labels[3, 3, 18:] = 0
    return labels


def test_a_hole_takes_the_one_label_around_it(cells):
    filled = FillHoles()(cells)
    expected = cells.copy()
    expected[3, 3, 2] = 1
    expected[2:4, 2:4, 4:6] = 1
    np.testing.assert_array_equal(filled, expected)
    assert filled.dtype == cells.dtype


def test_larger_holes_stay(cells):
    expected = cells.copy()
    expected[3, 3, 2] = 1
    np.testing.assert_array_equal(FillHoles(max_size=7)(cells), expected)
    np.testing.assert_array_equal(FillHoles(max_size=8)(cells), FillHoles()(cells))


def test_a_single_plane_has_a_border_at_its_rim_alone():
    ring = np.zeros((1, 5, 5), np.uint8)
    ring[0, 1:4, 1:4] = 6
    ring[0, 2, 2] = 0
    assert FillHoles()(ring)[0, 2, 2] == 6


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(1, 5), edge=st.integers(2, 5))
def test_of_one_label_holes_are_those_of_scipy_and_blocks_give_the_same(seed, limit, edge):
    mask = np.random.default_rng(seed).random((7, 8, 9)) < 0.8
    np.testing.assert_array_equal(FillHoles()(mask.astype(np.uint8)), ndimage.binary_fill_holes(mask))
    step = FillHoles(max_size=limit)
    whole = step(mask.astype(np.uint8))
    for block in BlockGrid.of_edge(mask.shape, edge, (limit,) * 3).blocks():
        np.testing.assert_array_equal(step(mask[block.outer].astype(np.uint8))[block.inside()], whole[block.core])

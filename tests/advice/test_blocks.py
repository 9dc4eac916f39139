"""Blocks in codes: where they lie, what the codes are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.advice.blocks import CODES, COUNT, VOXELS, LabelCodes, joint, read_blocks
from volseg_core.data.files import open_volume
from volseg_core.registry import load_registry

CATALOG = load_registry(builtin_only=True).catalog


def blocks_of(image, labels, planes=None, margin=3):
    with open_volume(CATALOG, image) as source:
        return read_blocks(source, lambda box: labels[box], planes or (0, labels.shape[0]), margin, (-1,))[0]


@settings(max_examples=25)
@given(st.tuples(*(st.integers(1, 40),) * 3))
def test_blocks_lie_apart_inside_and_begin_at_their_place_in_the_codes_of_labels(shape):
    labels = (np.indices(shape).sum(axis=0) // 3 % 3).astype(np.int32)
    expected = LabelCodes(np.unique(labels), (-1,)).states(labels) // 2
    seen = np.zeros(shape, int)
    for block in blocks_of(labels.astype(np.float32), labels):
        seen[block.box] += 1
        start, size = block.start, block.image.shape[1:]
        inside = block.states[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))]
        np.testing.assert_array_equal(inside // 2, expected[block.box])
        assert all(length <= n + 6 for length, n in zip(block.states.shape, size, strict=True))
    assert seen.max() == 1
    assert seen.all(), "a small volume is looked at in full"


def test_a_large_volume_is_looked_at_in_blocks_of_bounded_size_and_a_byte_per_voxel():
    image = np.zeros((300, 520, 520), np.uint8)
    blocks = blocks_of(image, image)
    assert len(blocks) == COUNT
    assert all(block.image[0].size <= VOXELS for block in blocks)
    assert {(block.image.dtype, block.states.dtype) for block in blocks} == {(np.dtype(np.uint8), np.dtype(np.uint8))}


def test_only_the_planes_asked_for_are_read():
    image = np.random.default_rng(0).integers(0, 9, (20, 16, 16), np.uint8)
    blocks = blocks_of(image, image, planes=(5, 9), margin=0)
    assert {(block.box[0].start >= 5, block.box[0].stop <= 9) for block in blocks} == {(True, True)}


def test_codes_of_the_image_are_used_evenly_and_do_not_depend_on_its_scale():
    image = np.random.default_rng(0).normal(size=(8, 64, 64)).astype(np.float32)
    codes = np.concatenate([block.image.ravel() for block in blocks_of(image, image)])
    assert codes.max() < CODES
    assert np.bincount(codes // 4, minlength=8) == pytest.approx(np.full(8, codes.size / 8), rel=0.1)
    scaled = np.concatenate([block.image.ravel() for block in blocks_of(image * 100 + 7, image)])
    assert (codes == scaled).mean() > 0.999


def test_classes_and_borders_of_labels_by_hand():
    ids = np.array([[[0, 0, 7], [0, 0, 7], [-1, 0, 0]]])
    codes = LabelCodes(np.array([0, 7]), (-1,))
    # even: inside, odd: on a border; 0 and 1: id 0, 2 and 3: id 7, 4: ignored
    assert codes.count == 4
    np.testing.assert_array_equal(codes.states(ids), [[[0, 1, 3], [1, 1, 3], [4, 1, 1]]])


def test_ids_of_no_class_count_as_ignored():
    """Labels that are read elsewhere, for another orientation, may hold ids that no block holds."""
    states = LabelCodes(np.array([2, 7]), (-1,)).states(np.array([[[2, 1, 7, 9, -1]]]))
    assert (states == 4).tolist() == [[[False, True, False, True, True]]]
    assert (LabelCodes(np.array([], int), (-1,)).states(np.array([[[-1, 3]]])) == 0).all()


def test_of_many_ids_the_background_and_the_rest_are_told_apart():
    codes = LabelCodes(np.arange(20), (-1,))
    assert codes.count == 4
    np.testing.assert_array_equal(codes.states(np.array([[[0, 0, 5, 5, 9, 9]]])), [[[0, 1, 3, 3, 3, 2]]])


def test_borders_lie_within_planes():
    ids = np.stack([np.zeros((2, 2), int), np.ones((2, 2), int)])
    assert LabelCodes(np.array([0, 1]), ()).states(ids).tolist() == [[[0, 0], [0, 0]], [[2, 2], [2, 2]]]


def test_a_joint_histogram_leaves_ignored_voxels_out():
    image = np.array([[[[0, 1, 31]]], [[[2, 2, 2]]]], np.uint8)
    table = joint(image, np.array([[[0, 1, 2]]], np.int16), 2)
    assert table.shape == (2, CODES, 2)
    assert table.sum(axis=(1, 2)).tolist() == [2, 2]
    assert (table[0, 0, 0], table[0, 1, 1], table[1, 2, 0], table[1, 2, 1]) == (1, 1, 1, 1)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import volseg_core
from volseg_core.registry import load_registry
from volseg_instances.components import ConnectedComponents

REGISTRY = load_registry()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3), block=st.integers(1, 8), connectivity=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_blocks_give_exactly_what_the_volume_gives(shape, block, connectivity, seed):
    labels = np.random.default_rng(seed).choice(np.array([0, 0, 1, 2], np.uint8), shape)
    overrides = [f"connectivity={connectivity}"]
    found = [
        volseg_core.postprocess(
            labels, "connected-components", overrides=overrides, block=size, registry=REGISTRY
        ).arrays["instances"]
        for size in (None, block)
    ]
    np.testing.assert_array_equal(*found)
    structure = ndimage.generate_binary_structure(3, connectivity)
    assert found[0].max() == sum(ndimage.label(labels == index, structure)[1] for index in (1, 2))


def test_classes_that_touch_are_different_objects():
    labels = np.array([[[1, 1, 2, 2, 0, 1]]])
    np.testing.assert_array_equal(ConnectedComponents()(labels), [[[1, 1, 3, 3, 0, 2]]])
    np.testing.assert_array_equal(ConnectedComponents(label=2)(labels), [[[0, 0, 1, 1, 0, 0]]])
    np.testing.assert_array_equal(ConnectedComponents(label=5)(labels), 0 * labels)


@pytest.mark.parametrize(("connectivity", "count"), [(1, 3), (2, 2), (3, 1)])
def test_connectivity_says_which_neighbours_touch(connectivity, count):
    labels = np.zeros((3, 3, 3), int)
    labels[0, 0, 0] = labels[0, 1, 1] = labels[1, 2, 2] = 1
    assert ConnectedComponents(connectivity=connectivity)(labels).max() == count

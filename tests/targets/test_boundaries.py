"""Foreground and boundaries: by hand, and against scikit-image wherever all neighbours are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from skimage.segmentation import find_boundaries

from volseg_core.api import UsageError

nan = np.nan
TOUCHING = np.array([[0] * 7, [0, 0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 2, 2, 2]], np.int32)
"""Two objects side by side, with background above and to the left."""


def test_the_foreground_is_every_object(make: Any) -> None:
    made = make("foreground")(np.array([[[-1, 0, 1, 70000]]], np.int32))
    np.testing.assert_array_equal(made, np.array([[[[nan, 0, 1, 1]]]], np.float32))


@pytest.mark.parametrize(
    ("mode", "first", "second"),
    [
        ("thick", [1, 1, 1, 1, 1], [1, 1, 1, 1, 0]),
        ("inner", [0, 1, 1, 1, 1], [0, 1, 1, 1, 0]),
        ("outer", [1, 0, 1, 1, 0], [1, 0, 1, 1, 0]),
    ],
)
def test_a_mode_says_which_side_of_a_border_is_marked(
    mode: str, first: list[int], second: list[int], make: Any
) -> None:
    made = make("boundaries", 2, mode=mode)(TOUCHING)
    expected = np.full((1, 4, 7), nan, np.float32)
    expected[0, 1:3, 1:6] = first, second
    np.testing.assert_array_equal(made, expected)


def test_the_foreground_comes_first_and_is_known_to_the_margin(make: Any) -> None:
    target = make("boundaries", 2, foreground=True)
    assert target.names == ("foreground", "boundary")
    made = target(TOUCHING)
    np.testing.assert_array_equal(made[0], TOUCHING > 0)
    np.testing.assert_array_equal(made[1:], make("boundaries", 2)(TOUCHING))


def test_a_corner_is_a_neighbour_where_it_is_asked_for(make: Any) -> None:
    ids = np.zeros((5, 5, 5), np.int32)
    ids[2, 2, 2] = 1
    counts = [int(np.nansum(make("boundaries", connectivity=each)(ids))) for each in (1, 2, 3)]
    assert counts == [7, 19, 27]


@pytest.mark.parametrize("mode", ["thick", "inner", "outer"])
@given(data=st.data())
def test_it_is_that_of_scikit_image_where_all_neighbours_are_known(mode: str, data: st.DataObject, make: Any) -> None:
    shape = data.draw(arrays.array_shapes(min_dims=2, max_dims=3, max_side=6))
    ids = data.draw(arrays.arrays(np.int32, shape, elements=st.sampled_from((-1, 0, 0, 1, 1, 1, 2, 3))))
    connectivity = data.draw(st.integers(1, len(shape)))
    made = make("boundaries", len(shape), mode=mode, connectivity=connectivity)(ids)
    reach = len(shape) if mode == "outer" else connectivity
    around = ndimage.generate_binary_structure(len(shape), reach)
    unknown = ndimage.binary_dilation(np.pad(ids, 1, constant_values=-1) < 0, around)[(slice(1, -1),) * len(shape)]
    expected = find_boundaries(ids, connectivity=connectivity, mode=mode)
    np.testing.assert_array_equal(made[0], np.where(unknown, nan, expected))


@pytest.mark.parametrize("name", ["boundaries", "affinities"])
def test_neighbours_share_no_corner_of_a_cube_in_two_dimensions(name: str, make: Any) -> None:
    with pytest.raises(UsageError) as error:
        make(name, 2, connectivity=3)
    assert str(error.value) == (
        "target.connectivity: connectivity 3 is more than the 2 dimensions of the windows. Give 1 to 2."
    )

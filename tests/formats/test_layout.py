from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_formats.layout import Reshaped


@given(
    shape=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    ones=st.lists(st.integers(0, 3), max_size=3),
    others=st.lists(st.integers(0, 3), max_size=3),
    data=st.data(),
)
def test_reshaped_boxes_are_those_of_the_reshaped_array(
    shape: tuple[int, ...], ones: Any, others: Any, data: st.DataObject
) -> None:
    def with_ones(places: Any) -> Any:
        sizes = list(shape)
        for place in places:
            sizes.insert(min(place, len(sizes)), 1)
        return tuple(sizes)

    values = np.arange(np.prod(shape)).reshape(with_ones(ones))
    target = with_ones(others)
    bounds = [sorted(data.draw(st.tuples(st.integers(0, size), st.integers(0, size)))) for size in target]
    box = tuple(slice(start, stop) for start, stop in bounds)
    np.testing.assert_array_equal(Reshaped(values, target)[box], values.reshape(target)[box])


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be shown"):
        Reshaped(np.zeros((2, 3)), (3, 2))

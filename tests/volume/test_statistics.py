"""Percentiles and moments of grey values, counted or measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from volseg_core.volume.statistics import Counted, Measured, values_of

NARROW = (np.uint8, np.int8, np.uint16, np.int16)
percents = st.tuples(st.floats(0, 100), st.floats(0, 100))


@pytest.mark.parametrize("dtype", NARROW)
@given(data=st.data(), wanted=percents)
def test_counted_values_give_what_measured_ones_give(dtype: type, data: st.DataObject, wanted: tuple[float, float]):
    array = data.draw(arrays(dtype, st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6))))
    counted, measured = values_of(array), Measured(array)
    assert isinstance(counted, Counted)
    assert counted.percentiles(wanted) == pytest.approx(measured.percentiles(wanted), rel=1e-12, abs=1e-9)
    assert counted.percentiles(wanted) == pytest.approx(
        tuple(np.percentile(array.astype(float), wanted)), rel=1e-9, abs=1e-9
    )
    low, high = sorted(measured.percentiles((5, 90)))
    clipped = np.clip(array.astype(float), low, high)
    for values in (counted, measured):
        assert values.moments(low, high) == pytest.approx((clipped.mean(), clipped.std()), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32, bool])
def test_other_types_are_measured(dtype: type):
    assert isinstance(values_of(np.zeros((1, 2, 3), dtype)), Measured)


@pytest.mark.parametrize("dtype", NARROW)
def test_strided_samples_and_foreign_byte_order_are_counted(dtype: type):
    array = np.random.default_rng(0).integers(0, 100, (6, 8, 10)).astype(dtype)
    for view in (array[::2, :, ::3], array.astype(np.dtype(dtype).newbyteorder(">")), array.swapaxes(0, 2)):
        assert values_of(view).percentiles((10, 90)) == Measured(view).percentiles((10, 90))

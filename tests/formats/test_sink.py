from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_core.api import ArraySpec, DataError
from volseg_formats.hdf5_writer import Hdf5Writer
from volseg_formats.sink import cast, checked_specs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([0, 255], "int64"), "uint8"),
        (np.array([-128, 127], "int32"), "int8"),
        (np.array([True, False]), "uint8"),
        (np.array([2048], "int64"), "float16"),
        (np.array([0.25, np.nan, np.inf], "float64"), "float16"),
        (np.empty((0,), "float64"), "uint8"),
    ],
)
def test_values_that_fit_are_cast(values: Any, dtype: str) -> None:
    cast_values = cast("out", "labels", values, np.dtype(dtype))
    assert cast_values.dtype == dtype
    np.testing.assert_array_equal(cast_values.astype(values.dtype), values)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([0, 256], "int64"), "uint8"),
        (np.array([-1], "int8"), "uint16"),
        (np.array([2.0]), "uint8"),
        (np.array([2049], "int64"), "float16"),
        (np.array([1e6]), "float16"),
        (np.array([1, 2]), "bool"),
        (np.array(["a"]), "uint8"),
    ],
)
def test_values_that_do_not_fit_are_refused(values: Any, dtype: str) -> None:
    with pytest.raises(DataError, match=f"array 'labels' is {dtype} and cannot hold the given"):
        cast("out", "labels", values, np.dtype(dtype))


def test_a_wrong_box_or_name_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    with Hdf5Writer().create(tmp_path / "a.h5", {"labels": ArraySpec((2, 3, 4), "uint8")}, {}) as sink:
        with pytest.raises(DataError, match="no array 'label' was declared; there are labels"):
            sink.write("label", (slice(0, 2),) * 3, np.zeros((2, 2, 2)))
        with pytest.raises(DataError, match="is not inside 0:2"):
            sink.write("labels", (slice(0, 3),) * 3, np.zeros((3, 3, 3), "uint8"))
        with pytest.raises(DataError, match=r"values of shape \(1, 1, 1\) do not fill the box \(2, 3, 4\)"):
            sink.write("labels", (slice(None),) * 3, np.zeros((1, 1, 1), "uint8"))


@pytest.mark.parametrize(
    "specs",
    [
        {},
        {"labels": ArraySpec((2, 0, 4), "uint8")},
        {"labels": ArraySpec((2, 3, 4), "uint8", "czyx")},
        {"labels": ArraySpec((2, 3, 4), "uint8", "tyx")},
        {"labels": ArraySpec((2, 3, 4), "U3")},
        {"../labels": ArraySpec((2, 3, 4), "uint8")},
    ],
)
def test_arrays_that_cannot_be_written_are_refused(tmp_path: Path, specs: Any) -> None:
    with pytest.raises(DataError):
        checked_specs(tmp_path / "a.h5", specs)

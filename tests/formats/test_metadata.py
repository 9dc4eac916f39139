from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_formats.metadata import from_text, kept, plain, spacing_of, to_text, unit_name

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(json_values)
@settings(max_examples=40)
def test_any_value_of_json_survives_an_hdf5_attribute(value: Any) -> None:
    stored = to_text(value)
    assert isinstance(stored, (bool, int, float, str))
    assert from_text(stored) == value


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", '"quoted"', "null", "[not json", ""])
def test_text_that_looks_like_json_stays_text(text: Any) -> None:
    assert from_text(to_text(text)) == text


def test_values_become_those_of_json() -> None:
    values = {"a": np.float32(0.5), 1: np.array([[1, 2]]), "p": Path("x/y"), "b": b"\xc3\xa4", "t": (np.int8(3), None)}
    assert plain(values) == {"a": 0.5, "1": [[1, 2]], "p": "x/y", "b": "ä", "t": [3, None]}
    assert plain(np.bool_(True)) is True


def test_unknown_spacing_and_unit_are_not_stored() -> None:
    assert kept({"spacing": None, "unit": "", "overlap": 0, "note": ""}) == {"overlap": 0, "note": ""}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("µm", "um"),
        ("\u03bcm", "um"),
        ("Microns", "um"),
        ("um", "um"),
        ("nm", "nm"),
        ("Å", "angstrom"),
        ("\u212b", "angstrom"),
        ("pixel", ""),
        ("", ""),
        ("parsec", "parsec"),
        (b"mm", "mm"),
        (3, ""),
    ],
)
def test_units_have_one_name(text: Any, unit: Any) -> None:
    assert unit_name(text) == unit


@pytest.mark.parametrize("values", [(0, 1, 1), (-1, 1, 1), (1, float("inf"), 1), "abc", None, [], [1, 2, 3, 4]])
def test_spacing_must_be_positive_and_finite(values: Any) -> None:
    assert spacing_of(values) is None

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.params import REQUIRED, Param


@pytest.mark.parametrize(
    ("param", "value", "expected"),
    [
        (Param("float"), "1e-3", 0.001),  # YAML 1.1 reads 1e-3 as a string
        (Param("float"), 2, 2.0),
        (Param("int"), "8", 8),
        (Param("int"), 8.0, 8),
        (Param("int"), "1e3", 1000),
        (Param("bool"), False, False),
        (Param("str"), 3, "3"),
        (Param("str?"), None, None),
        (Param("path"), "a/b", "a/b"),
        (Param("choice", choices=("a", "b")), "b", "b"),
        (Param("choice", choices=(1, 2)), 2, 2),
        (Param("dict"), {"a": 1}, {"a": 1}),
        (Param("any"), {1}, {1}),
        (Param("list[float]"), (1, "2"), [1.0, 2.0]),
        (Param("list[int]", length=3), [1, 2, 3], [1, 2, 3]),
        (Param("list[choice]", choices=("z", "y")), ["y", "z"], ["y", "z"]),
    ],
)
def test_values_become_the_declared_type(param: Any, value: Any, expected: Any) -> None:
    found = param.coerce(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("param", "value", "message"),
    [
        (Param("float"), "abc", "'abc' is not a float"),
        (Param("float"), float("nan"), "nan is not a float"),
        (Param("float"), True, "True is not a float"),
        (Param("int"), 1.5, "1.5 is not an int"),
        (Param("int"), "inf", "'inf' is not an int"),
        (Param("int"), True, "True is not an int"),
        (Param("bool"), 1, "1 is not a bool"),
        (Param("bool"), "yes", "'yes' is not a bool"),
        (Param("str"), ["a"], "['a'] is not a str"),
        (Param("dict"), [], "[] is not a mapping"),
        (Param("float"), None, "null is not a float"),
        (Param("list[int]"), None, "null is not a list"),
        (Param("list[int]"), 3, "3 is not a list"),
        (Param("list[int]"), "123", "'123' is not a list"),
        (Param("list[int]", length=2), [1], "[1] has 1 items; it must have 2"),
        (Param("list[int]", min=0), [1, -1], "-1 is below the minimum 0"),
        (Param("float", min=0), -1, "-1 is below the minimum 0"),
        (Param("int", max=8), "9", "'9' is above the maximum 8"),
        (
            Param("choice", choices=("batch", "instance")),
            "instnace",
            "'instnace' is not one of batch, instance. Did you mean 'instance'?",
        ),
        (Param("choice", choices=(0, 1)), True, "True is not one of 0, 1."),
    ],
)
def test_a_wrong_value_is_quoted_with_the_rule(param: Any, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        param.coerce(value)


def test_an_unknown_type_is_refused_when_it_is_declared() -> None:
    with pytest.raises(ValueError, match="unknown parameter type 'flaot'"):
        Param("flaot")
    with pytest.raises(ValueError, match="unknown parameter type"):
        Param("list[flaot]?")


def test_required_is_one_object_wherever_it_travels() -> None:
    assert Param("int").required
    assert not Param("int", None).required
    assert pickle.loads(pickle.dumps(REQUIRED)) is REQUIRED  # noqa: S301  (our own)
    assert copy.deepcopy(Param("int")).required
    assert repr(REQUIRED) == "REQUIRED"


def test_json_schema() -> None:
    assert Param("float", 0.5, "Share.", min=0, max=1).json_schema() == {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "Share.",
        "default": 0.5,
    }
    assert Param("list[int]?", None, length=3, min=1).json_schema() == {
        "anyOf": [
            {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 3, "maxItems": 3},
            {"type": "null"},
        ],
        "default": None,
    }
    assert Param("choice", choices=("a", "b")).json_schema() == {"enum": ["a", "b"]}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_being_written_as_text(number: Any) -> None:
    assert Param("float").coerce(repr(number)) == number


@given(st.one_of(st.integers(), st.text(), st.booleans(), st.none(), st.lists(st.integers())))
def test_coercing_twice_changes_nothing(value: Any) -> None:
    for kind in ("bool", "int", "float", "str", "list[int]", "dict", "any?"):
        try:
            once = Param(kind).coerce(value)
        except ValueError:
            continue
        assert Param(kind).coerce(once) == once

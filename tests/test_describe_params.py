from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from volseg_core.api import Param
from volseg_core.describe_params import ParamSource, source


def target(
    *,
    flag: bool = False,
    count: int,
    share: float = 1,
    mixed: int | float = 2,  # noqa: PYI041  (as people write it)
    word: str | None = None,
    mode: Literal["a", "b"] = "a",
    mode_or_none: Literal["a", None] = None,  # noqa: PYI061  (as people write it)
    path: str | os.PathLike[str] = "x",
    folder: Path | None = None,
    sizes: Sequence[int] = (1, 2),
    edges: tuple[float, float, float] = (1.0, 1.0, 1.0),
    names: Iterable[str] = (),
    many: tuple[int, ...] = (3,),
    table: Mapping[str, int] | None = None,
    bounded: Annotated[int, "above 0"] = 1,
    function: Callable[[], int] | None = None,
    either: str | list[int] = "a",
    missing: NotImported = 3,  # noqa: F821  (as a name that only type checkers see)
    plain_int=5,
    plain_list=[1.0, 2.0],  # noqa: B006
    plain_none=None,
    plain_dict={},  # noqa: B006
    thing=object,
) -> None:
    """Be described."""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("flag", 'Param("bool", False)'),
        ("count", 'Param("int")'),
        ("share", 'Param("float", 1)'),
        ("mixed", 'Param("float", 2)'),
        ("word", 'Param("str?", None)'),
        ("mode", 'Param("choice", "a", choices=("a", "b"))'),
        ("mode_or_none", 'Param("choice?", None, choices=("a",))'),
        ("path", 'Param("path", "x")'),
        ("folder", 'Param("path?", None)'),
        ("sizes", 'Param("list[int]", (1, 2))'),
        ("edges", 'Param("list[float]", (1.0, 1.0, 1.0), length=3)'),
        ("names", 'Param("list[str]", ())'),
        ("many", 'Param("list[int]", (3,))'),
        ("table", 'Param("dict?", None)'),
        ("bounded", 'Param("int", 1)'),
        ("function", 'Param("any?", None)'),
        ("either", 'Param("any", "a")'),
        ("missing", 'Param("int", 3)'),
        ("plain_int", 'Param("int", 5)'),
        ("plain_list", 'Param("list[float]", (1.0, 2.0))'),
        ("plain_none", 'Param("any?", None)'),
        ("plain_dict", 'Param("dict", {})'),
        ("thing", 'Param("any", None)'),
    ],
)
def test_types_come_from_annotations_else_from_defaults(name: str, text: str) -> None:
    writer = ParamSource(target)
    assert writer.write(inspect.signature(target).parameters[name]) == text
    param = eval(text, {"Param": Param})  # noqa: S307  (what an author pastes)
    if not param.required and name != "thing":
        param.coerce(param.default)  # a descriptor's default is a value of its own type
    assert ("the type of" in " ".join(writer.open_points)) == ("any" in text)
    assert f"the help of {name!r}" in writer.open_points


def test_a_default_that_no_recipe_can_hold_is_named() -> None:
    writer = ParamSource(target)
    writer.write(inspect.signature(target).parameters["thing"])
    assert "the default of 'thing': <class 'object'> is nothing that a recipe can hold" in writer.open_points


class Documented:
    """A class.

    Args:
        first: of two,
            told in two lines. And more.
        second (float, optional): in nm
        ``third``: with "quotes".
    """

    def __init__(self, *, first: int = 1, second: float = 1.0, third: int = 1, fourth: int = 1) -> None:
        """Make one.

        Args:
            fourth: told by the constructor
        """


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("first", "Of two, told in two lines."),
        ("second", "In nm."),
        ("third", 'With "quotes".'),
        ("fourth", "Told by the constructor."),
    ],
)
def test_help_is_the_first_sentence_of_the_docstring(name: str, text: str) -> None:
    writer = ParamSource(Documented)
    written = writer.write(inspect.signature(Documented).parameters[name])
    assert eval(written, {"Param": Param}).help == text  # noqa: S307
    assert writer.open_points == []


@pytest.mark.parametrize("value", [None, True, 1, 0.5, "a \u00b5m", 'a "b"', (1,), (1, (2, "x")), {"a": [1, 2]}])
def test_source_reads_back_as_the_value(value: Any) -> None:
    assert eval(source(value)) == ({"a": (1, 2)} if isinstance(value, dict) else value)  # noqa: S307

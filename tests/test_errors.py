from __future__ import annotations

import pickle
from typing import Any

import pytest

from volseg_core.errors import (
    DataError,
    DivergedError,
    ExitCode,
    Interrupted,
    PluginError,
    RecipeErrors,
    ResourceError,
    UsageError,
    VolsegError,
    did_you_mean,
    known_names,
)


def test_an_error_is_where_what_hint_and_indented_notes() -> None:
    error = UsageError("loss.0", "no loss named 'dicee'", "Did you mean 'dice'?", ["known: dice", "note: more"])
    assert str(error) == "loss.0: no loss named 'dicee'. Did you mean 'dice'?\n  known: dice\n  note: more"
    assert error.line() == "loss.0: no loss named 'dicee'. Did you mean 'dice'?"


def test_the_first_line_is_a_sentence_with_one_full_stop() -> None:
    assert str(DataError("a.h5", "is damaged")) == "a.h5: is damaged."
    assert str(DataError("a.h5", "is damaged.")) == "a.h5: is damaged."
    assert str(DataError("", "nothing to do")) == "nothing to do."
    assert str(UsageError("x", "'b' is not one of a. Did you mean 'a'?")) == "x: 'b' is not one of a. Did you mean 'a'?"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (VolsegError, 1),
        (UsageError, 2),
        (PluginError, 3),
        (DataError, 4),
        (ResourceError, 5),
        (DivergedError, 6),
        (Interrupted, 130),
    ],
)
def test_each_class_has_its_exit_code(error: Any, code: Any) -> None:
    assert error("where", "what").code == code
    assert ExitCode(code) is error.code


def test_recipe_errors_hold_all_and_print_each() -> None:
    errors = RecipeErrors([UsageError("a", "b"), PluginError("c", "d", notes=["e"])])
    assert str(errors) == "a: b.\nc: d.\n  e"
    assert errors.code == 2


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(DataError("a.h5", "is damaged", "Copy it again.", ["note"])))  # noqa: S301  (our own)
    assert (error.where, error.what, error.hint, error.notes) == ("a.h5", "is damaged", "Copy it again.", ("note",))
    several = pickle.loads(pickle.dumps(RecipeErrors([UsageError("a", "b")])))  # noqa: S301  (our own)
    assert str(several) == "a: b."


def test_did_you_mean_suggests_the_nearest_or_nothing() -> None:
    assert did_you_mean("smoth", ["squared", "smooth"]) == "Did you mean 'smooth'?"
    assert did_you_mean("zzz", ["squared", "smooth"]) == ""


def test_known_names_are_sorted_and_cut() -> None:
    assert known_names(["b", "a"]) == "a, b"
    assert known_names(map(str, range(5)), limit=3) == "0, 1, 2 and 2 more"

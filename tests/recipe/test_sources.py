from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from volseg_core.errors import UsageError
from volseg_core.recipe.sources import RecipeSource, chain, find_recipe, list_recipes

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., Any]

SLICES = "summary: Slices.\ntrain: {epochs: 1}\n"


def names(registry: Make, word: str) -> Any:
    return [part.name for part in chain(registry, find_recipe(registry, word))]


def test_recipes_of_the_file_come_before_those_of_plugins(registry: Make) -> None:
    found = list_recipes(registry({"recipes": {"z": {"abstract": True}, "slices": {}}}, {"slices": SLICES}))
    assert [item.name for item in found] == ["slices", "z", "volseg/slices"]
    assert [item.shadows for item in found] == ["volseg/slices", "", ""]
    assert [item.abstract for item in found] == [False, True, False]
    assert found[2].summary == "Slices."


def test_a_plugins_file_that_is_no_recipe_spoils_no_listing(registry: Make) -> None:
    broken, good = list_recipes(registry({}, {"a": "x: [", "b": SLICES}))
    assert broken.problem.startswith("is not YAML")
    assert (good.problem, good.summary) == ("", "Slices.")


def test_a_bare_name_means_the_file_then_the_built_in(registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    made = registry({"recipes": {"slices": {"summary": "Mine."}}}, {"slices": SLICES, "demo": SLICES})
    with caplog.at_level(logging.INFO, "volseg"):
        assert find_recipe(made, "slices").summary == "Mine."
    assert "the built-in is volseg/slices" in caplog.text
    assert find_recipe(made, "volseg/slices").summary == "Slices."
    assert find_recipe(made, "demo").name == "volseg/demo"


def test_a_word_with_a_suffix_or_a_path_is_a_file(registry: Make, tmp_path: Path) -> None:
    path = tmp_path / "my recipe.yaml"
    path.write_text(SLICES)
    found = find_recipe(registry(), str(path))
    assert (found.name, found.origin) == ("my recipe", str(path))
    with pytest.raises(UsageError, match=r"recipe: 'gone.yaml' does not exist"):
        find_recipe(registry(), "gone.yaml")


def test_an_unknown_name_is_answered_with_the_nearest_and_the_known(registry: Make) -> None:
    with pytest.raises(UsageError) as caught:
        find_recipe(registry({"recipes": {"mito": {}}}, {"slices": SLICES}), "mitto")
    assert str(caught.value) == (
        "recipe: no recipe named 'mitto'. Did you mean 'mito'?\n  known: mito, slices, volseg/slices"
    )


def test_extends_is_followed_left_to_right_and_deepest_first(registry: Make) -> None:
    recipes = {
        "root": {},
        "left": {"extends": "root"},
        "right": {"extends": ["root"]},
        "top": {"extends": ["left", "right"]},
    }
    # root is extended twice and counts once, so that it cannot undo what left says
    assert names(registry({"recipes": recipes}), "top") == ["root", "left", "right", "top"]


def test_a_recipe_may_extend_the_built_in_that_it_shadows(registry: Make) -> None:
    made = registry({"recipes": {"slices": {"extends": "slices"}}}, {"slices": SLICES})
    assert names(made, "slices") == ["volseg/slices", "slices"]


def test_extending_oneself_names_the_circle(registry: Make) -> None:
    made = registry({"recipes": {"a": {"extends": "b"}, "b": {"extends": "a"}}})
    with pytest.raises(UsageError) as caught:
        chain(made, find_recipe(made, "a"))
    assert str(caught.value) == "a: extends: 'a' extends itself: a > b > a."


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("bse", "a: extends: no recipe named 'bse'. Did you mean 'base'?"),
        (3, "a: extends: 3 is not the name of a recipe."),
    ],
)
def test_a_wrong_parent_is_reported_where_it_stands(registry: Make, extends: Any, message: str) -> None:
    parents = extends if isinstance(extends, str) else [extends]
    made = registry({"recipes": {"a": {"extends": parents}, "base": {}}})
    with pytest.raises(UsageError) as caught:
        chain(made, find_recipe(made, "a"))
    assert caught.value.line() == message


def test_a_file_is_found_from_the_file_that_extends_it(
    registry: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "base.yaml").write_text(SLICES)
    (folder / "top.yaml").write_text("extends: base.yaml")
    monkeypatch.chdir(tmp_path)
    assert names(registry(), "recipes/top.yaml") == ["base", "top"]


def test_a_recipe_given_as_a_mapping_has_no_file(registry: Make) -> None:
    made = registry({}, {"slices": SLICES})
    assert [part.name for part in chain(made, RecipeSource("own", "", {"extends": "slices"}))] == [
        "volseg/slices",
        "own",
    ]

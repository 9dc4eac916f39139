from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from volseg_core.errors import DataError, RecipeErrors, UsageError
from volseg_core.registry import load_registry, read_registry_file, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., Any]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Return a function that reads a registry file of this text."""

    def make(text: str) -> Any:
        path = tmp_path / "registry.yaml"
        path.write_text(text)
        return read_registry_file(path)

    return make


def complaints(read: Make, text: str) -> Any:
    with pytest.raises(RecipeErrors) as caught:
        read(text)
    return [error.line() for error in caught.value.errors]


def test_no_file_is_an_empty_registry() -> None:
    file = read_registry_file(None)
    assert file.policy.mode == "installed"
    assert not file.recipes


def test_the_file_is_read_into_typed_parts(read: Make, tmp_path: Path) -> None:
    text = """
version: 1
plugins: {mode: listed, require: [volseg-acme>=0.3], block: [Volseg.Old, volseg-acme/dice], local: [sub/mine.py]}
aliases: {loss: {boundary: volseg-acme/boundary}}
defaults: {loss/dice: {smooth: 1.0}}
default_recipe: em
recipes: {em: {extends: slices}}
"""
    file = read(text)
    assert file.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert file.policy.mode == "listed"
    assert file.policy.require == ("volseg-acme>=0.3",)
    assert file.policy.block == dict.fromkeys(("volseg-old", "volseg-acme/dice"), "plugins.block in registry.yaml")
    assert file.policy.local == (tmp_path / "sub" / "mine.py",)
    assert file.aliases == {"loss": {"boundary": "volseg-acme/boundary"}}
    assert file.defaults == {"loss/dice": {"smooth": 1.0}}
    assert file.default_recipe == "em"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 2", "registry.yaml: version: 2 is not 1, the version that this volseg reads."),
        ("recipe: {}", "registry.yaml: unknown key 'recipe'. Did you mean 'recipes'?"),
        ("plugins: {blocks: []}", "plugins: unknown key 'blocks'. Did you mean 'block'?"),
        ("plugins: []", "plugins: [] is not a mapping."),
        ("plugins: {require: volseg-acme}", "plugins.require: 'volseg-acme' is not a list of names."),
        ("plugins: {local: [1]}", "plugins.local: [1] is not a list of names."),
        ("aliases: {loss: dice}", "aliases.loss: 'dice' is not a mapping."),
        ("defaults: {losss/dice: {}}", "defaults.losss/dice: 'losss' is not a kind of component. Did you mean 'loss'?"),
        ("defaults: {loss: {}}", "defaults.loss: names no component. For example: loss/NAME"),
        ("defaults: {loss/dice: 3}", "defaults.loss/dice: 3 is not a mapping."),
        ("recipes: {a: b}", "recipes.a: a recipe is a mapping."),
    ],
)
def test_each_mistake_has_its_line(read: Make, text: str, message: str) -> None:
    assert complaints(read, text) == [message]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML (while parsing a flow"),
        ("- a", "holds list, not a mapping of keys to values."),
        ("a:\n  b: 1\n  c: 2\n  b: 3", "is not YAML (key 'b' stands twice in line 2 and elsewhere)."),
        ("a: &a [*a]\n", "is not YAML"),
        ("\x00", "is not YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_a_usage_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_yaml(path)
    assert message in str(caught.value)


def test_an_unreadable_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_yaml(tmp_path)


def test_an_empty_file_and_anchors_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("")
    assert read_yaml(path) == {}
    path.write_text("base: &b {x: 1}\nother: {<<: *b, y: 2}\nthird: *b\n")
    assert read_yaml(path)["other"] == {"x": 1, "y": 2}


def test_options_and_environment_add_to_what_the_file_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text("plugins: {block: [volseg/dice]}")
    monkeypatch.setenv("VOLSEG_BLOCK", "volseg/iou volseg/mean,volseg/blobs")
    registry = load_registry(path, block=["volseg/cross-entropy"])
    for kind, name, place in (
        ("loss", "dice", "plugins.block in registry.yaml"),
        ("metric", "iou", "VOLSEG_BLOCK"),
        ("merge", "mean", "VOLSEG_BLOCK"),
        ("loss", "cross-entropy", "--block"),
    ):
        with pytest.raises(UsageError, match=f"{kind} 'volseg/{name}' is blocked by {place}"):
            registry.catalog.find(kind, name)


def test_builtin_only_asks_for_no_third_party(tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text("plugins: {require: [no-such-plugin-xyz]}")
    assert load_registry(path, builtin_only=True).catalog.find("loss", "dice").id == "volseg/dice"


def test_a_requirement_that_is_none_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text("plugins: {require: ['not a requirement!']}")
    with pytest.raises(UsageError, match=r"plugins\.require: 'not a requirement!' is not a requirement"):
        load_registry(path)

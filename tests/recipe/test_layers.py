from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.errors import UsageError
from volseg_core.recipe.layers import Layers, dotted, leaves, parse_assignment, plain, slot_kind


def layered(*layers: Any, sets: Any = ()) -> Any:
    made = Layers()
    for number, layer in enumerate(layers):
        made.add(layer, f"layer{number}")
    for assignment in sets:
        made.set(assignment)
    return made


def test_maps_merge_and_lists_replace() -> None:
    made = layered({"data": {"axes": "z", "ignore": [0, 1]}}, {"data": {"ignore": [2], "window": 8}})
    assert made.tree == {"data": {"axes": "z", "ignore": [2], "window": 8}}
    assert made.origins == {("data", "axes"): "layer0", ("data", "ignore"): "layer1", ("data", "window"): "layer1"}


def test_a_mapping_over_something_else_replaces_it_and_its_slots_are_read() -> None:
    made = layered({"data": 5}, {"data": {"augment": "identity"}})
    assert made.tree == {"data": {"augment": {"use": "identity"}}}
    assert made.origins == {("data", "augment", "use"): "layer1"}


def test_an_empty_mapping_takes_nothing_away() -> None:
    assert layered({"train": {"lr": 1}}, {"train": {}}).tree == {"train": {"lr": 1}}


def test_null_deletes() -> None:
    made = layered(
        {"train": {"lr": 1, "batch": 2}, "predict": {"blend": "crop"}}, {"train": {"lr": None}, "predict": None}
    )
    assert made.tree == {"train": {"batch": 2}}
    assert list(made.origins) == [("train", "batch")]


def test_null_is_kept_as_the_value_of_a_parameter() -> None:
    made = layered(
        {"model": {"use": "unet", "encoder": {"use": "a", "weights": "imagenet"}}},
        {"model": {"encoder": {"weights": None}}},
    )
    assert made.tree["model"]["encoder"] == {"use": "a", "weights": None}


def test_a_name_is_short_for_its_use() -> None:
    assert layered({"model": "unet", "loss": "dice", "metrics": ["iou"]}).tree == {
        "model": {"use": "unet"},
        "loss": [{"use": "dice"}],
        "metrics": [{"use": "iou"}],
    }


def test_another_use_drops_parameters_but_not_nested_slots() -> None:
    base = {"model": {"use": "unet", "norm": "batch", "encoder": {"use": "resnet18", "depth": 4}}}
    made = layered(base, {"model": "fpn"})
    assert made.tree == {"model": {"use": "fpn", "encoder": {"use": "resnet18", "depth": 4}}}
    assert ("model", "norm") not in made.origins
    assert layered(base, {"model": {"encoder": "resnet34"}}).tree["model"] == {
        "use": "unet",
        "norm": "batch",
        "encoder": {"use": "resnet34"},
    }


def test_the_same_use_under_another_name_keeps_parameters() -> None:
    made = Layers(same=lambda _kind, one, other: one.removeprefix("volseg/") == other.removeprefix("volseg/"))
    made.add({"model": {"use": "unet", "norm": "batch"}}, "a")
    made.add({"model": "volseg/unet"}, "b")
    assert made.tree["model"] == {"use": "volseg/unet", "norm": "batch"}


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("loss.dice.smooth=0.5", [{"use": "ce"}, {"use": "dice", "smooth": 0.5}]),
        ("loss.1.weight=0.5", [{"use": "ce"}, {"use": "dice", "smooth": 1, "weight": 0.5}]),
        ("loss.0=focal", [{"use": "focal"}, {"use": "dice", "smooth": 1}]),
        ("loss.dice=tversky", [{"use": "ce"}, {"use": "tversky"}]),
        ("loss.dice.use=tversky", [{"use": "ce"}, {"use": "tversky"}]),
        ("loss.0=null", [{"use": "dice", "smooth": 1}]),
        ("loss=focal", [{"use": "focal"}]),
        ("loss=[a, {use: b, weight: 2}]", [{"use": "a"}, {"use": "b", "weight": 2}]),
    ],
)
def test_items_of_a_list_are_set_by_position_or_by_name(assignment: str, expected: Any) -> None:
    made = layered({"loss": ["ce", {"use": "dice", "smooth": 1}]}, sets=[assignment])
    assert made.tree["loss"] == expected


def test_removing_an_item_moves_the_origins_of_those_behind_it() -> None:
    made = layered({"loss": ["ce", {"use": "dice", "smooth": 1}]}, sets=["loss.1.smooth=2", "loss.0=null"])
    assert made.origins == {("loss", 0, "use"): "layer0", ("loss", 0, "smooth"): "--set loss.1.smooth=2"}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.lr", "--set train.lr: is not KEY=VALUE. For example: -s train.lr=1e-4"),
        ("=3", "--set =3: is not KEY=VALUE. For example: -s train.lr=1e-4"),
        ("a={", "--set a={: '{' is not a YAML value. Quote it for the shell."),
        ("a=2020-99-99", "--set a=2020-99-99: '2020-99-99' is not a YAML value. Quote it for the shell."),
        (
            "loss.dic.smooth=1",
            "--set loss.dic.smooth=1: 'loss' has no item 'dic'. Did you mean 'dice'?\n  items: 0 (dice), 1 (dice)",
        ),
        ("loss.7=x", "--set loss.7=x: 'loss' has no item '7'.\n  items: 0 (dice), 1 (dice)"),
        (
            "loss.dice.smooth=1",
            (
                "--set loss.dice.smooth=1: 'loss' has 2 items 'dice'. Say which by its position.\n"
                "  items: 0 (dice), 1 (dice)"
            ),
        ),
        ("metrics.0=x", "--set metrics.0=x: 'metrics' has no item '0'.\n  items: none"),
    ],
)
def test_a_wrong_assignment_is_quoted_whole(assignment: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        layered({"loss": ["dice", "dice"]}, sets=[assignment])
    assert str(caught.value) == message


def test_fill_adds_only_what_is_missing() -> None:
    made = layered({"model": {"use": "fpn"}, "loss": []})
    made.fill({"model": {"use": "unet", "encoder": "resnet18"}, "loss": ["dice"], "metrics": ["iou"]})
    assert made.tree == {
        "model": {"use": "fpn", "encoder": {"use": "resnet18"}},
        "loss": [],
        "metrics": [{"use": "iou"}],
    }
    assert made.origins["metrics", 0, "use"] == "default"


def test_what_the_command_line_sets_lies_on_one_level_on_top() -> None:
    made = layered({"train": {"lr": 1}}, {"train": {"batch": 1}}, sets=["train.seed=1", "train.epochs=2"])
    ranks = [made.rank(("train", key)) for key in ("lr", "batch", "seed", "epochs")]
    assert ranks[0] < ranks[1] < ranks[2] == ranks[3]
    assert made.rank(("train",)) == ranks[3]
    assert made.rank(("predict",)) == 0


def test_where_is_the_assignment_that_gave_a_value_else_its_path() -> None:
    made = layered({"train": {"lr": 1}}, sets=["train.seed=x"])
    assert made.where(("train", "seed")) == "--set train.seed=x"
    assert made.where(("train", "lr")) == "train.lr"


def test_slots_are_known_also_inside_lists() -> None:
    assert slot_kind(("model", "encoder")) == "encoder"
    assert slot_kind(("loss", 3)) == "loss"
    assert slot_kind(("loss", "x")) == slot_kind(("train",)) == slot_kind(()) == ""


def test_plain_copies_and_makes_text_of_paths() -> None:
    shared = {"a": (1, [2]), 3: Path("x/y")}
    copied = plain(shared)
    assert copied == {"a": [1, [2]], "3": "x/y"}
    assert copied is not shared


def test_an_assignment_is_a_key_and_a_yaml_value() -> None:
    assert parse_assignment("data.window=[32, 96]") == ("data.window", [32, 96])
    assert parse_assignment("data.train=a=b.h5:/raw") == ("data.train", "a=b.h5:/raw")
    assert parse_assignment("a=") == ("a", None)


KEYS = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(st.integers() | st.lists(st.integers()), lambda inner: st.dictionaries(KEYS, inner), max_leaves=8)


@given(st.lists(st.dictionaries(KEYS, TREES), max_size=4))
def test_every_leaf_has_an_origin_and_every_origin_a_leaf(layers: Any) -> None:
    made = layered(*layers)
    assert set(made.origins) == {path for path, _ in leaves(made.tree) if path}
    assert set(made.ranks) == set(made.origins)


@given(st.dictionaries(KEYS, TREES), st.dictionaries(KEYS, TREES))
def test_the_upper_layer_wins_every_leaf_it_names_and_is_not_changed(lower: Any, upper: Any) -> None:
    before = json.dumps(upper)
    found = dict(leaves(layered(lower, upper).tree))
    assert json.dumps(upper) == before
    for path, value in leaves(upper):
        if path and value != {}:
            assert found[path] == value, dotted(path)

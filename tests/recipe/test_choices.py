"""Recipes that a program writes."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.recipe.choices import Choice, offers, write_recipe
from volseg_core.registry import load_registry


def test_every_key_stands_below_its_reason_and_blocks_stay_together():
    text = write_recipe(
        "A title.",
        [
            Choice("data.axes", "z", "flat voxels"),
            Choice("loss", [{"use": "dice", "weight": 0.5}, "cross-entropy"], "both"),
            Choice("data.val.fraction", 0.25, "one slab"),
            Choice("train.precision", "32", "text stays text"),
        ],
    )
    assert text == (
        "# A title.\n"
        "data:\n"
        "  # flat voxels\n"
        "  axes: z\n"
        "  val:\n"
        "    # one slab\n"
        "    fraction: 0.25\n"
        "# both\n"
        "loss: [{use: dice, weight: 0.5}, cross-entropy]\n"
        "train:\n"
        "  # text stays text\n"
        "  precision: '32'\n"
    )


def test_of_a_key_named_twice_the_last_choice_counts():
    text = write_recipe("T", [Choice("model.use", "fpn", "settings"), Choice("model.use", "unet", "checkpoint")])
    assert text == "# T\nmodel:\n  # checkpoint\n  use: unet\n"


def test_long_reasons_are_wrapped_and_every_line_is_a_comment():
    lines = write_recipe("T", [Choice("data.axes", "z", "word " * 60)]).splitlines()
    reasons = [line for line in lines if "word" in line]
    assert len(reasons) == 3
    assert all(line.startswith("  # word") and len(line) <= 112 for line in reasons)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    st.text(alphabet=st.characters(blacklist_categories=("Cc", "Cs")), max_size=300),
)
def test_any_value_and_any_reason_come_back_as_they_were(value, why):
    assert yaml.safe_load(write_recipe("T", [Choice("a.b", value, why)])) == {"a": {"b": value}}


def test_offers_knows_names_and_aliases():
    catalog = load_registry(builtin_only=True).catalog
    assert offers(catalog, "loss", "dice")
    assert offers(catalog, "loss", "ce")
    assert not offers(catalog, "loss", "no-such-loss")


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029"])
def test_line_breaks_of_unicode_survive_in_keys_and_values(mark):
    value = {mark: f"a{mark}b µ"}
    assert yaml.safe_load(write_recipe("T", [Choice("a.b", value, "")])) == {"a": {"b": value}}

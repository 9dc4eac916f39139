from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from volseg_core.catalog import Catalog
from volseg_core.discovery import Plugins, plugins_from_modules
from volseg_core.errors import DataError, PluginError, UsageError

Make = Callable[..., Any]

HEAD = """
from volseg_core.api import Loss, Metric, DataError, Param, hookimpl

def loss(name, **more):
    more.setdefault("target", "hooks:make")
    return Loss(name=name, summary="A loss.", **more)
"""


@pytest.fixture
def catalog(hook_module: Make) -> Any:
    """Return a function that makes a catalog of ``{plugin id: text of its losses}``."""

    def make(losses: Any, aliases: Any = None, block: Any = None, body: Any = "") -> Any:
        records = []
        for plugin, listed in losses.items():
            source = f"{HEAD}\n{body}\n@hookimpl\ndef volseg_losses(): return [{listed}]"
            records += plugins_from_modules([hook_module(source)], plugin).records
        return Catalog(Plugins(records, None), aliases, block)

    return make


def test_a_qualified_name_means_itself(catalog: Make) -> None:
    found = catalog({"volseg": "loss('dice')", "volseg-acme": "loss('dice')"})
    assert found.find("loss", "volseg-acme/dice").plugin.id == "volseg-acme"
    assert found.find("loss", "volseg/dice").plugin.id == "volseg"


def test_a_bare_name_means_alias_then_built_in_then_the_only_provider(catalog: Make) -> None:
    losses = {"volseg-acme": "loss('dice'), loss('one')", "volseg": "loss('dice')"}
    assert catalog(losses).find("loss", "dice").id == "volseg/dice"
    assert catalog(losses).find("loss", "one").id == "volseg-acme/one"
    aliased = catalog(losses, aliases={"loss": {"dice": "volseg-acme/dice"}})
    assert aliased.find("loss", "dice").id == "volseg-acme/dice"
    assert aliased.find("loss", "volseg/dice").id == "volseg/dice"


def test_the_order_of_installation_has_no_say(catalog: Make) -> None:
    losses = {"volseg-b": "loss('x')", "volseg-a": "loss('x')"}
    with pytest.raises(UsageError) as one:
        catalog(losses).find("loss", "x", "loss.0")
    with pytest.raises(UsageError) as other:
        catalog(dict(reversed(losses.items()))).find("loss", "x", "loss.0")
    assert str(one.value) == str(other.value)


def test_an_ambiguous_name_names_all_providers_and_both_fixes(catalog: Make) -> None:
    three = catalog({f"volseg-{name}": "loss('boundary')" for name in ("c", "a", "b")})
    with pytest.raises(UsageError) as caught:
        three.find("loss", "boundary", "loss.0")
    assert str(caught.value) == (
        "loss.0: loss 'boundary' is provided by volseg-a 0, volseg-b 0 and volseg-c 0.\n"
        "  Write volseg-a/boundary, volseg-b/boundary or volseg-c/boundary, or add to registry.yaml:  "
        "aliases: {loss: {boundary: volseg-a/boundary}}"
    )
    assert three.bare_name(next(three.all("loss"))) == "ambiguous"
    assert three.names("loss") == ["volseg-a/boundary", "volseg-b/boundary", "volseg-c/boundary"]


def test_a_short_form_means_its_component_unless_something_has_that_name(catalog: Make) -> None:
    short = {"volseg": "loss('cross-entropy', aliases=('ce',))"}
    assert catalog(short).find("loss", "ce").id == "volseg/cross-entropy"
    assert catalog(short).find("loss", "volseg/ce").id == "volseg/cross-entropy"
    assert catalog({**short, "volseg-acme": "loss('ce')"}).find("loss", "ce").id == "volseg-acme/ce"


def test_a_blocked_component_says_where_it_is_blocked_and_leaves_its_name_to_others(catalog: Make) -> None:
    place = {"volseg/dice": "plugins.block in registry.yaml"}
    alone = catalog({"volseg": "loss('dice'), loss('iou')"}, block=place)
    with pytest.raises(UsageError) as caught:
        alone.find("loss", "dice", "loss.0")
    assert str(caught.value) == "loss.0: loss 'volseg/dice' is blocked by plugins.block in registry.yaml."
    other = catalog({"volseg": "loss('dice')", "volseg-acme": "loss('dice')"}, block=place)
    assert other.find("loss", "dice").id == "volseg-acme/dice"


def test_an_unknown_name_is_answered_with_the_nearest_and_the_known(catalog: Make) -> None:
    with pytest.raises(UsageError) as caught:
        catalog({"volseg": "loss('dice'), loss('boundary')"}).find("loss", "dicee", "loss.0")
    assert str(caught.value) == ("loss.0: no loss named 'dicee'. Did you mean 'dice'?\n  known: boundary, dice")


def test_listing_puts_built_ins_before_others_of_the_same_name(catalog: Make) -> None:
    found = catalog({"volseg-a": "loss('b'), loss('a')", "volseg": "loss('b')"})
    assert [item.id for item in found.all("loss")] == ["volseg-a/a", "volseg/b", "volseg-a/b"]
    assert found.names("loss") == ["a", "b", "volseg-a/b"]


BODY = """
class make:
    def __init__(self, **given): self.given = given
def fails(**given): raise ValueError("theta is odd")
def refuses(**given): raise DataError("a.h5", "is damaged")
def grows(**given): raise MemoryError
"""


def test_building_passes_parameters_and_wanted_context_only(catalog: Make) -> None:
    found = catalog({"volseg-acme": "loss('a', wants=('spacing',))"}, body=BODY)
    built = found.build(found.find("loss", "a"), {"smooth": 1}, {"spacing": (1, 1, 1), "task": "binary"})
    assert built.given == {"smooth": 1, "spacing": (1, 1, 1)}


def test_wanting_what_is_not_known_is_said(catalog: Make) -> None:
    found = catalog({"volseg-acme": "loss('a', wants=('colour',))"}, body=BODY)
    with pytest.raises(PluginError, match="wants colour, which is not known where a loss is built"):
        found.build(found.find("loss", "a"), {}, {})


def test_a_crash_inside_a_plugin_ends_with_the_way_out(catalog: Make) -> None:
    losses = "loss('a', target='hooks:fails')"
    found = catalog({"volseg-acme": losses, "volseg": "loss('b', target='hooks:fails')"}, body=BODY)
    with pytest.raises(PluginError) as caught:
        found.build(found.find("loss", "a"), {}, where="loss.1")
    assert str(caught.value) == (
        "loss.1: loss 'volseg-acme/a': ValueError: theta is odd. "
        "raised in volseg-acme 0; try again with --block volseg-acme"
    )
    with pytest.raises(PluginError, match=r"^loss 'volseg/b': ValueError: theta is odd. raised in volseg 0$"):
        found.build(found.find("loss", "b"), {})


@pytest.mark.parametrize(("target", "error"), [("refuses", DataError), ("grows", MemoryError)])
def test_errors_with_a_meaning_of_their_own_are_not_blamed_on_the_plugin(
    catalog: Make, target: str, error: Any
) -> None:
    found = catalog({"volseg-acme": f"loss('a', target='hooks:{target}')"}, body=BODY)
    with pytest.raises(error):
        found.build(found.find("loss", "a"), {})


@pytest.mark.parametrize(
    ("target", "text"),
    [("no_such_module_xyz:make", "ModuleNotFoundError: No module named"), ("hooks:gone", "AttributeError: ")],
)
def test_a_target_that_does_not_import_is_a_plugin_error(catalog: Make, target: str, text: str) -> None:
    found = catalog({"volseg-acme": f"loss('a', target='{target}')"})
    with pytest.raises(PluginError, match=text):
        found.load(found.find("loss", "a"))


def test_needs_are_checked_before_the_target_is_imported(catalog: Make) -> None:
    losses = "loss('boundary', target='json.tool:main', needs=('no-such-library-xyz>=1.11',), extra='boundary')"
    found = catalog({"volseg-acme": losses})
    sys.modules.pop("json.tool", None)
    with pytest.raises(PluginError) as caught:
        found.build(found.find("loss", "boundary"), {}, where="loss.1")
    assert str(caught.value) == (
        "loss.1: loss 'volseg-acme/boundary' needs no-such-library-xyz>=1.11, which is not installed.\n"
        '  pip install "volseg-acme[boundary]"'
    )
    assert "json.tool" not in sys.modules


def test_a_need_without_an_extra_names_the_requirement(catalog: Make) -> None:
    found = catalog({"volseg-acme": "loss('a', needs=('click>=999',))"})
    with pytest.raises(PluginError, match='pip install "click>=999"'):
        found.load(found.find("loss", "a"))

from __future__ import annotations

import pytest

from volseg_core.api import KINDS
from volseg_core.errors import UsageError
from volseg_core.scaffold import Names


def test_all_names_follow_from_three() -> None:
    names = Names.checked("volseg-acme-lab", "loss", "thin-boundary")
    assert names.package == "volseg_acme_lab"
    assert names.entry_point == "acme-lab"
    assert names.module == "thin_boundary"
    assert names.class_name == "ThinBoundaryLoss"
    assert names.suffix == "thinboundary"
    assert names.id == "volseg-acme-lab/thin-boundary"


@pytest.mark.parametrize(
    ("kind", "component", "class_name"),
    [
        ("loss", "boundary-loss", "BoundaryLoss"),
        ("architecture", "unet2", "Unet2Network"),
        ("reader", "raw", "RawReader"),
        ("postprocess", "clean", "CleanPostprocess"),
    ],
)
def test_the_class_ends_in_its_kind_once(kind: str, component: str, class_name: str) -> None:
    assert Names("volseg-acme", kind, component).class_name == class_name


def refusal(plugin: str = "volseg-acme", kind: str = "loss", component: str = "rim") -> str:
    with pytest.raises(UsageError) as error:
        Names.checked(plugin, kind, component)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("Acme_Lab", "volseg-acme-lab"), ("volseg_acme", "volseg-acme"), ("volseg-", "volseg-acme")],
)
def test_a_plugin_is_named_like_the_others(name: str, meant: str) -> None:
    rule = "is not 'volseg-' and lower-case words joined by hyphens"
    assert refusal(name) == f"plugins new: '{name}' {rule}. Did you mean '{meant}'?"


def test_a_name_that_is_taken_is_refused() -> None:
    what = "plugins new: a package 'volseg_losses' is installed already"
    assert refusal("volseg-losses") == f"{what}. Choose another name, or uninstall it first."


def test_an_unknown_kind_lists_the_kinds() -> None:
    first, second = refusal(kind="los").splitlines()
    assert first == "--kind: 'los' is not a kind of component. Did you mean 'loss'?"
    assert second == f"  kinds: {', '.join(KINDS)}"


@pytest.mark.parametrize(
    ("name", "hint"), [("3D_Rim", " Did you mean 'd-rim'?"), ("Dice_2", " Did you mean 'dice-2'?"), ("\u00dc", "")]
)
def test_a_component_is_named_like_the_others(name: str, hint: str) -> None:
    rule = "is not lower-case words joined by hyphens, the first of which starts with a letter"
    assert refusal(component=name) == f"--name: {name!r} {rule}.{hint}"


@pytest.mark.parametrize("name", ["lambda", "plugin"])
def test_a_component_must_not_shadow_a_word_or_the_plugins_own_module(name: str) -> None:
    assert refusal(component=name) == f"--name: '{name}' cannot be the name of a module. Such as my-{name}."

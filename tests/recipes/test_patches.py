"""What the recipes for patches choose, and what those that extend them keep of it."""

from __future__ import annotations

import pytest

from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry

REGISTRY = load_registry(builtin_only=True)


@pytest.mark.parametrize(
    ("name", "turned"),
    [
        ("patches", False),
        ("patches-boundary", False),
        ("hourglass", False),
        ("patches-affinities", True),
        ("patches-denoise", True),
    ],
)
def test_patches_are_turned_where_all_sides_look_alike_or_nothing_else_is_changed(name, turned):
    augment = resolve_recipe(REGISTRY, name).augment
    assert (augment.params["rotate90"], augment.params["flip"]) == (turned, True)


def test_noise_is_moved_but_never_interpolated_nor_changed():
    params = resolve_recipe(REGISTRY, "patches-denoise").augment.params
    changing = ("scale", "rotate", "elastic", "brightness", "contrast", "gamma", "noise", "shot", "blur")
    assert {name: params[name] for name in changing} == dict.fromkeys(changing, 0)

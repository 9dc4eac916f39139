"""What goes with slices and what with boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from volseg_core.errors import RecipeErrors
from volseg_core.recipe import RecipeSource, resolve, resolve_recipe
from volseg_core.registry import load_registry

if TYPE_CHECKING:
    from collections.abc import Callable

BOXES = {"dims": 3, "model": "unet3d"}


def errors(registry: Callable[..., Any], content: Any, *sets: str) -> list[str]:
    with pytest.raises(RecipeErrors) as caught:
        resolve(registry(), RecipeSource("test", "", content), sets)
    return [str(error) for error in caught.value.errors]


def test_one_number_is_every_edge_of_a_window(registry: Callable[..., Any]) -> None:
    source = RecipeSource("test", "", {**BOXES, "data": {"window": 64}})
    boxes = resolve(registry(), source, ["predict.window=32"])
    assert (boxes.data.window, boxes.predict.window) == ((64, 64, 64), (32, 32, 32))
    slices = resolve(registry(), RecipeSource("test", "", {"data": {"window": 64}}))
    assert slices.data.window == (64, 64)


def test_a_recipe_of_boxes_is_resolved_again_as_it_is(registry: Callable[..., Any]) -> None:
    content = {**BOXES, "data": {"window": [16, 32, 64], "axes": "z"}}
    once = resolve(registry(), RecipeSource("test", "", content)).to_dict()
    assert resolve(registry(), RecipeSource("test", "", once)).to_dict() == once


def test_an_encoder_that_was_only_the_default_is_left_out(registry: Callable[..., Any]) -> None:
    assert resolve(registry(), RecipeSource("test", "", BOXES)).encoder is None


@pytest.mark.parametrize(
    ("content", "sets", "line"),
    [
        (
            BOXES,
            ("data.window=[64, 64]",),
            (
                "--set data.window=[64, 64]: [64, 64] is not the shape of a window where dims is 3. "
                "Give [depth, height, width], or auto."
            ),
        ),
        (
            {"predict": {"window": [32, 64, 64]}},
            (),
            "predict.window: [32, 64, 64] is not the shape of a window where dims is 2. Give [height, width], or auto.",
        ),
        (
            {**BOXES, "data": {"neighbours": 1}},
            (),
            (
                "data.neighbours: neighbouring slices are channels where dims is 2; a 3D network sees them in its "
                "window. Set data.neighbours=0."
            ),
        ),
        (
            {**BOXES, "data": {"axes": "zy"}},
            (),
            (
                "data.axes: 'zy' does not go with dims: 3, where axes says which directions look alike. "
                "Give zyx, or the one axis that differs, such as z."
            ),
        ),
        (
            {**BOXES, "data": {"val": {"split": "random-slices"}}},
            (),
            "data.val.split: random-slices holds out slices; a 3D network sees boxes. Set data.val.split=slab.",
        ),
        (
            {**BOXES, "data": {"independent": True}},
            (),
            "data.independent: independent images have no depth for a 3D network to see. Use dims: 2 and a 2D network.",
        ),
        (
            BOXES,
            ("predict.quality=legacy12",),
            (
                "--set predict.quality=legacy12: legacy12 are directions of slices; a 3D network has low, medium, high "
                "and max."
            ),
        ),
        (
            {"dims": 3, "model": "plain"},
            (),
            "model: architecture 'plain' works in 2D; this recipe has dims: 3.",
        ),
        ({"model": "unet3d"}, (), "model: architecture 'unet3d' works in 3D; this recipe has dims: 2."),
        ({"dims": 4, "model": "unet3d"}, (), "dims: 4 is not one of 2, 3."),
    ],
)
def test_what_does_not_go_with_the_dimensions_is_one_line(
    registry: Callable[..., Any], content: Any, sets: tuple[str, ...], line: str
) -> None:
    assert errors(registry, content, *sets) == [line]


def test_all_that_is_wrong_is_said_at_once(registry: Callable[..., Any]) -> None:
    content = {**BOXES, "data": {"neighbours": 1, "window": [8, 8], "axes": "yx"}, "predict": {"window": [8, 8]}}
    assert len(errors(registry, content)) == 4


def test_the_recipe_patches_is_3d_and_complete() -> None:
    registry = load_registry(builtin_only=True)
    recipe = resolve_recipe(registry, "volseg/patches")
    assert (recipe.header.dims, recipe.data.window, recipe.predict.overlap) == (3, "auto", 0.5)
    assert recipe.architecture.provided.id == "volseg/unet3d"
    assert recipe.encoder is None

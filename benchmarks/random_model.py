"""A model file whose network has random weights, for measuring what prediction costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from volseg_core.model import HeadSpec, ModelFile, ModelSpec, read_model, write_model
from volseg_core.network import build_network, size_rules
from volseg_core.recipe import resolve_recipe
from volseg_core.volume import ClassMap, ClassName, Normalisation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from volseg_core.registry import Registry


def write_random_model(
    registry: Registry, path: Path, encoder: str, classes: int, architecture: str = "unet"
) -> ModelFile:
    """Write a network on ``encoder`` for one channel and ``classes`` classes, as `volseg train` would, and read it."""
    return write_random(registry, path, "slices", classes, [f"model={architecture}", f"model.encoder={encoder}"])


def write_random(registry: Registry, path: Path, name: str, classes: int, overrides: Sequence[str]) -> ModelFile:
    """Write the network of a recipe for one channel and ``classes`` classes, as `volseg train` would, and read it."""
    torch.manual_seed(0)
    recipe = resolve_recipe(registry, name, overrides)
    names = ClassMap(tuple(ClassName(number, f"class {number}") for number in range(classes)))
    spec = ModelSpec(
        heads=(HeadSpec(recipe.heads[0].rule.task, names),),
        in_channels=1,
        normalisation=Normalisation(),
        axes="zyx",
        sizes=size_rules(registry.catalog, recipe),
    )
    network = build_network(registry.catalog, recipe, 1, spec.out_channels, pretrained=False)
    write_model(path, network.state_dict(), spec, recipe.named([names]).to_dict())
    return read_model(path)

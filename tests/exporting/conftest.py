"""Model files with random weights."""

from __future__ import annotations

import json

import pytest
import torch

from volseg_core.model import HeadSpec, ModelSpec, write_model
from volseg_core.network import build_network, size_rules
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry
from volseg_core.volume import ClassMap, ClassName, Normalisation

REGISTRY = load_registry(builtin_only=True)


def write_untrained(folder, overrides=(), classes=3, in_channels=1, seed=0, base="slices", scaling=(), **spec):
    """Write a run folder whose network has random weights, as a training would leave it, and return it.

    ``scaling`` holds offset and scale of the values of a regression.
    """
    torch.manual_seed(seed)
    start = ["model.encoder.weights=none"] if base == "slices" else []
    recipe = resolve_recipe(REGISTRY, base, [*start, *overrides])
    names = ClassMap(tuple(ClassName(number, f"class{number}") for number in range(classes)), ())
    facts = {"normalisation": Normalisation("zscore", (0.5, 99.5)), "axes": "z", **spec}
    heads = tuple(HeadSpec(head.rule.task, names, head.name, *scaling) for head in recipe.heads)
    made = ModelSpec(heads=heads, in_channels=in_channels, sizes=size_rules(REGISTRY.catalog, recipe), **facts)
    network = build_network(REGISTRY.catalog, recipe, in_channels, made.out_channels, pretrained=False)
    folder.mkdir()
    content = json.loads(json.dumps(recipe.to_dict()))
    write_model(folder / "weights.safetensors", network.state_dict(), made, content)
    return folder


@pytest.fixture(scope="session")
def untrained():
    """Return the function that writes one."""
    return write_untrained

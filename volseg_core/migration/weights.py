"""Tensors of another tool as a model file of volseg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.errors import DataError, VolsegError
from volseg_core.volume import ClassMap, ClassName

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry


def write_weights(
    registry: Registry,
    recipe: Recipe,
    tensors: Mapping[str, Any],
    path: Path,
    *,
    where: str,
    in_channels: int,
    names: tuple[str, ...] | None,
    made_by: str,
) -> str:
    """Write tensors for the network of a recipe as a model file and return the model id.

    ``names`` are those of the classes, whose ids are 0, 1, ..., or of the channels, None where the recipe's target has
    them; ``where`` is the file that the tensors came from and ``made_by`` what may have made it otherwise.

    Raises:
        DataError: names or shapes of tensors differ from the recipe's network, or ``path`` cannot be written.
    """
    from volseg_core.model import HeadSpec, ModelSpec, write_model
    from volseg_core.network import build_network, size_rules
    from volseg_core.provenance import made_with
    from volseg_core.volume import Normalisation

    names = _channels(registry, recipe) if names is None else names
    classes = ClassMap(tuple(map(ClassName, range(len(names)), names)), tuple(recipe.data.ignore))
    head = HeadSpec(recipe.heads[0].rule.task, classes)
    try:
        network = build_network(registry.catalog, recipe, in_channels, head.channels, pretrained=False)
    except VolsegError as error:
        raise DataError(where, f"holds a network that cannot be built here ({error.where}: {error.what})") from None
    own = network.state_dict()
    wrong = [name for name in own if name not in tensors]
    wrong += [name for name, item in tensors.items() if name not in own or item.shape != own[name].shape]
    if wrong:
        use = _described(recipe)
        what = f"does not fit {use} as it is built here: {len(wrong)} tensors differ, the first is {wrong[0]!r}"
        raise DataError(where, what, f"It was made with {made_by}.")
    network.load_state_dict(dict(tensors))
    versions = made_with(recipe.components())
    axes = "zyx" if recipe.data.axes == "auto" else recipe.data.axes
    header = recipe.header.model_copy(update={"made_with": versions})
    data = recipe.data.model_copy(update={"axes": axes, "channels": in_channels // (2 * recipe.data.neighbours + 1)})
    spec = ModelSpec(
        heads=(head,),
        in_channels=in_channels,
        neighbours=recipe.data.neighbours,
        normalisation=Normalisation(recipe.data.normalise.kind, recipe.data.normalise.clip),
        axes=axes,
        sizes=size_rules(registry.catalog, recipe),
        made_with=versions,
    )
    recipe = recipe.named([classes]).replace(header=header, data=data)
    return write_model(path, network.state_dict(), spec, recipe.to_dict())


def _channels(registry: Registry, recipe: Recipe) -> tuple[str, ...]:
    """Return the names of the channels that the target of a recipe makes."""
    target = recipe.heads[0].target
    assert target is not None  # noqa: S101  (whoever leaves names out has carried one)
    maker = registry.catalog.build(target.provided, target.params, {"dims": recipe.header.dims, "spacing": None})
    return tuple(maker.names)


def _described(recipe: Recipe) -> str:
    """Return the names of a recipe's network and its encoder."""
    name = recipe.architecture.provided.component.name
    return name if recipe.encoder is None else f"{name} on {recipe.encoder.provided.component.name}"

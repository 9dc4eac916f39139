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
    names: tuple[str, ...],
    made_by: str,
) -> str:
    """Write tensors for the network of a recipe as a model file and return the model id.

    ``names`` are those of the classes, whose ids are 0, 1, ..., or of the channels; ``where`` is the file that the
    tensors came from and ``made_by`` what may have made it otherwise.

    Raises:
        DataError: names or shapes of tensors differ from the recipe's network, or ``path`` cannot be written.
    """
    from volseg_core.model import ModelSpec, write_model
    from volseg_core.network import build_network, size_rules
    from volseg_core.provenance import made_with
    from volseg_core.volume import Normalisation

    outputs = 1 if recipe.head.task == "binary" else len(names)
    try:
        network = build_network(registry.catalog, recipe, in_channels, outputs, pretrained=False)
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
    divisor, minimum = size_rules(recipe)
    versions = made_with(recipe.components())
    classes = ClassMap(tuple(map(ClassName, range(len(names)), names)), tuple(recipe.data.ignore))
    axes = "zyx" if recipe.data.axes == "auto" else recipe.data.axes
    head = recipe.head.model_copy(
        update={"classes": {item.name: item.id for item in classes.classes}, "made_with": versions}
    )
    data = recipe.data.model_copy(update={"axes": axes, "channels": in_channels // (2 * recipe.data.neighbours + 1)})
    spec = ModelSpec(
        task=recipe.head.task,
        in_channels=in_channels,
        neighbours=recipe.data.neighbours,
        classes=classes,
        normalisation=Normalisation(recipe.data.normalise.kind, recipe.data.normalise.clip),
        axes=axes,
        divisor=divisor,
        min_size=minimum,
        dims=recipe.head.dims,
        made_with=versions,
    )
    return write_model(path, network.state_dict(), spec, recipe.replace(head=head, data=data).to_dict())


def _described(recipe: Recipe) -> str:
    """Return the names of a recipe's network and its encoder."""
    name = recipe.architecture.provided.component.name
    return name if recipe.encoder is None else f"{name} on {recipe.encoder.provided.component.name}"

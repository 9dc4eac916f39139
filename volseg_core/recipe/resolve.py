"""Resolving: from a recipe's name and overrides to typed blocks and components with every parameter filled in."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from volseg_core.errors import RecipeErrors, UsageError, VolsegError
from volseg_core.recipe.assembled import ComponentUse, Recipe
from volseg_core.recipe.blocks import BLOCKS, Block, DataBlock, HeadBlock, Header, PredictBlock, TrainBlock
from volseg_core.recipe.components import Components, same_component
from volseg_core.recipe.dimensions import check_dims, with_all_edges
from volseg_core.recipe.heads import HEAD_KEYS, fill_heads, head_rules, read_heads
from volseg_core.recipe.layers import HEADS, LIST_SLOTS, SLOTS, Layers, Path, parse_assignment, plain, slot_of
from volseg_core.recipe.made_with import check_made_with
from volseg_core.recipe.messages import translate
from volseg_core.recipe.sources import IDENTITY_KEYS, OWN_KEYS, RecipeSource, chain, find_recipe
from volseg_core.recipe.steps import link_steps
from volseg_core.tasks import HEAD_ARRAYS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from volseg_core.catalog import Provided
    from volseg_core.model import ModelFile
    from volseg_core.registry import Registry

__all__ = [
    "NETWORK",
    "PREDICTION",
    "ComponentUse",
    "Recipe",
    "absolute",
    "resolve",
    "resolve_component",
    "resolve_model",
    "resolve_recipe",
]

_DEFAULT_SLOTS: dict[str, Any] = {
    "model": {"use": "unet", "encoder": {"use": "tu-tf_efficientnet_lite0"}},
    "postprocess": [],
    "data": {"augment": "standard"},
    "predict": {"merge": "mean", "runtime": "torch"},
}
_MODEL, _ENCODER = ("model",), ("model", "encoder")
TRAINING: tuple[Path, ...] = (("loss",), ("metrics",), ("target",), ("data", "augment"), ("data", "generate"))
"""Places of components that matter in training only."""
NETWORK: tuple[Path, ...] = (_MODEL,)
"""The place of the network, which an exported model holds itself."""
PREDICTION: tuple[Path, ...] = (("data", "reader"), ("predict", "merge"), ("predict", "runtime"), ("postprocess",))
"""Places of components that only matter around the network."""
_TOP_KEYS = sorted({HEADS, *HEAD_KEYS, *BLOCKS, *(str(path[0]) for path in (*SLOTS, *LIST_SLOTS))})


def resolve(
    registry: Registry,
    source: RecipeSource,
    overrides: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
    *,
    unused: Collection[Path] = (),
    frozen: bool = False,
) -> Recipe:
    """Resolve a recipe: its chain of ``extends``, then ``extra`` (the command's options), then ``--set`` overrides.

    Components at ``unused`` places stay as written and need not be installed. ``frozen`` refuses plugins in other
    versions than those that the recipe was made with.

    Raises:
        RecipeErrors: everything that is wrong with it, at once. PluginError: it was made with a plugin that is missing.
    """
    errors: list[VolsegError] = []
    layers = _layered(registry, source, overrides, extra, errors)
    check_made_with(registry, source, layers, unused, frozen=frozen)
    blocks = {name: _block(layers, name, errors) for name in BLOCKS}
    header = _header(layers, errors)
    rules = head_rules(layers, errors)
    errors += check_dims(header, blocks, layers.where)
    tasks = {rule.task for rule in rules.values()}
    components = Components(registry, layers, errors, header, tasks, unused)
    uses: dict[Path, ComponentUse | None] = {
        path: components.use(path, kind) for path, kind in SLOTS.items() if path not in (_ENCODER, ("target",))
    }
    uses[_ENCODER] = _encoder(components, layers, uses[_MODEL])
    heads = read_heads(components, rules)
    postprocess = components.uses(("postprocess",), "postprocess")
    _check_steps(postprocess, rules, errors)
    if errors:
        raise RecipeErrors(list({str(error): error for error in errors}.values()))
    header = cast("Header", header)
    return Recipe(
        name=header.name or source.name,
        header=header,
        heads=heads,
        data=cast("DataBlock", blocks["data"]),
        train=cast("TrainBlock", blocks["train"]),
        predict=cast("PredictBlock", blocks["predict"]),
        architecture=cast("ComponentUse", uses[_MODEL]),
        encoder=uses[_ENCODER],
        postprocess=postprocess,
        augment=cast("ComponentUse", uses["data", "augment"]),
        merge=cast("ComponentUse", uses["predict", "merge"]),
        runtime=cast("ComponentUse", uses["predict", "runtime"]),
        reader=uses["data", "reader"],
        generate=uses["data", "generate"],
        origins=components.origins,
        written=plain(source.content),
    )


def resolve_recipe(
    registry: Registry, recipe: str | Mapping[str, Any], overrides: Sequence[str] = (), *, frozen: bool = False
) -> Recipe:
    """Resolve a recipe given by name, file or mapping.

    Raises:
        UsageError: nothing has that name, or it only serves to be extended. RecipeErrors: all that is wrong with it.
        PluginError: it was made with a plugin that is missing, or with ``frozen`` with another version.
    """
    if isinstance(recipe, str):
        source = find_recipe(registry, recipe)
    else:
        source = RecipeSource(str(recipe.get("name", "recipe")), "", recipe)
    if source.abstract:
        raise UsageError(f"recipe {source.name!r}", "is abstract: it only serves to be extended")
    return resolve(registry, source, overrides, frozen=frozen)


def resolve_model(
    registry: Registry,
    model: ModelFile,
    overrides: Sequence[str] = (),
    *,
    unused: Collection[Path] = (),
    frozen: bool = False,
) -> Recipe:
    """Resolve the recipe that a model carries, of which what only training uses and ``unused`` places may be missing.

    Raises:
        PluginError: a plugin that is needed is missing, or with ``frozen`` has another version.
        RecipeErrors: all that is wrong with the overrides.
    """
    source = RecipeSource(str(model.path), str(model.path), model.recipe)
    return resolve(registry, source, overrides, unused=(*TRAINING, *unused), frozen=frozen)


def resolve_component(
    registry: Registry, kind: str, name: str, overrides: Sequence[str]
) -> tuple[Provided, dict[str, Any]]:
    """Resolve one component outside a recipe; ``overrides`` are its parameters as ``name=value``.

    Raises:
        UsageError: no such component. RecipeErrors: all wrong parameters.
    """
    provided = registry.catalog.find(kind, name)
    layers, errors = Layers(), list[VolsegError]()
    given: dict[str, Any] = {}
    for assignment in overrides:
        try:
            key, given[key] = parse_assignment(assignment)
            layers.origins[kind, key] = f"--set {assignment}"
        except UsageError as error:
            errors.append(error)
    params = Components(registry, layers, errors).params(provided, given, (kind,))
    if errors:
        raise RecipeErrors(errors)
    return provided, params


def absolute(reference: str) -> str:
    """Return ``FILE[:/internal/path]`` with an absolute file, for records that are read elsewhere."""
    file, separator, inner = reference.partition(":/")
    return f"{FilePath(file).resolve()}{separator}{inner}"


def _layered(
    registry: Registry,
    source: RecipeSource,
    overrides: Sequence[str],
    extra: Mapping[str, Any] | None,
    errors: list[VolsegError],
) -> Layers:
    """Lay defaults, the chain of recipes, options and overrides over one another."""
    layers = Layers(same=lambda kind, one, other: same_component(registry.catalog, kind, one, other))
    layers.add(_DEFAULT_SLOTS, "default")
    parts = chain(registry, source)
    for part in parts:
        dropped = OWN_KEYS if part is parts[-1] else (*OWN_KEYS, *IDENTITY_KEYS)
        layers.add({key: value for key, value in part.content.items() if key not in dropped}, part.name)
    if extra:
        layers.add(extra, "command line")
    shaping = [item for item in overrides if _shapes_heads(item)]
    _assign(layers, shaping, errors)
    fill_heads(layers, errors)
    _assign(layers, [item for item in overrides if item not in shaping], errors)
    layers.fill(_DEFAULT_SLOTS)
    fill_heads(layers, errors)
    return layers


def _shapes_heads(assignment: str) -> bool:
    """Whether an override says what the heads are, on which their defaults depend: it is applied before the others."""
    parts = assignment.partition("=")[0].strip().split(".")
    return (parts[0] == HEADS and len(parts) <= len((HEADS, "NAME"))) or parts[-1] == "task"


def _assign(layers: Layers, overrides: Sequence[str], errors: list[VolsegError]) -> None:
    for assignment in overrides:
        try:
            layers.set(assignment)
        except UsageError as error:
            errors.append(error)


def _block(layers: Layers, name: str, errors: list[VolsegError]) -> Block | None:
    content = layers.tree.get(name, {})
    if not isinstance(content, dict):
        errors.append(UsageError(layers.where((name,)), f"{content!r} is not a mapping"))
        return None
    block = BLOCKS[name]
    own = {key: value for key, value in content.items() if not slot_of((name, key))}
    try:
        return block.model_validate(with_all_edges(own, layers.tree.get("dims")))
    except ValidationError as error:
        errors += translate(error, block, (name,), layers.where)
        return None


def _header(layers: Layers, errors: list[VolsegError]) -> Header | None:
    try:
        return Header.model_validate({key: value for key, value in layers.tree.items() if key not in _TOP_KEYS})
    except ValidationError as error:
        errors += translate(error, Header, (), layers.where, _TOP_KEYS)
        return None


def _check_steps(steps: Sequence[ComponentUse], rules: Mapping[str, HeadBlock], errors: list[VolsegError]) -> None:
    """Note a step after the merge that cannot take what is there."""
    if not rules or not all(use.used for use in steps):
        return
    try:
        link_steps(steps, {name: HEAD_ARRAYS[rule.task] for name, rule in rules.items()})
    except UsageError as error:
        errors.append(error)


def _encoder(components: Components, layers: Layers, model: ComponentUse | None) -> ComponentUse | None:
    """Return the encoder that the architecture takes.

    One that was inherited from below the choice of the architecture is dropped where the architecture takes none;
    one that was set with it or above it is an error there.
    """
    if model is None:
        return None
    if not model.used:
        return components.use(_ENCODER, "encoder") if layers.rank(_ENCODER) else None
    rule = getattr(model.provided.component, "encoder", "none")
    rank = layers.rank(_ENCODER)
    if rule == "none" and rank > 0 and rank >= layers.rank((*_MODEL, "use")):
        what = f"architecture {model.provided.component.name!r} takes no encoder"
        components.errors.append(UsageError(components.where(_ENCODER), what))
    if rule == "none" or (rule == "optional" and rank == 0):
        return None
    return components.use(_ENCODER, "encoder")

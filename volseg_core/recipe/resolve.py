"""Resolving: from a recipe's name and overrides to typed blocks and components with every parameter filled in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from volseg_core.catalog import Catalog, Provided
from volseg_core.errors import RecipeErrors, UsageError, VolsegError, did_you_mean
from volseg_core.recipe.blocks import BLOCKS, Block, DataBlock, Head, PredictBlock, TrainBlock
from volseg_core.recipe.layers import LIST_SLOTS, SLOTS, Layers, Path, dotted, leaves
from volseg_core.recipe.sources import OWN_KEYS, RecipeSource, chain
from volseg_core.registry import Registry

_DEFAULT_SLOTS: dict[str, Any] = {
    "model": {"use": "unet", "encoder": {"use": "tu-tf_efficientnet_lite0"}},
    "loss": ["cross-entropy", "dice"],
    "metrics": ["dice", "iou"],
    "data": {"augment": "standard"},
    "predict": {"merge": "mean", "runtime": "torch"},
}
_REQUIRED = {("data", "reader"): False, ("data", "generate"): False, ("model", "encoder"): False}


@dataclass(frozen=True)
class ComponentUse:
    """A component in a recipe, with all its parameters. ``weight`` counts in sums of losses."""

    provided: Provided
    params: Mapping[str, Any]
    weight: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping that a resolved recipe holds."""
        extra = {"weight": self.weight} if self.provided.kind == "loss" else {}
        return {"use": self.provided.id, **extra, **self.params}


@dataclass(frozen=True)
class Recipe:
    """A resolved recipe. Components are named by the slot that holds them."""

    name: str
    head: Head
    data: DataBlock
    train: TrainBlock
    predict: PredictBlock
    architecture: ComponentUse
    encoder: ComponentUse | None
    losses: tuple[ComponentUse, ...]
    metrics: tuple[ComponentUse, ...]
    augment: ComponentUse
    merge: ComponentUse
    runtime: ComponentUse
    reader: ComponentUse | None = None
    generate: ComponentUse | None = None
    origins: Mapping[Path, str] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)

    def components(self) -> list[ComponentUse]:
        """Return every component that the recipe uses."""
        single = (self.architecture, self.encoder, self.augment, self.merge, self.runtime, self.reader, self.generate)
        return [use for use in (*single, *self.losses, *self.metrics) if use is not None]

    def replace(self, **changes: Any) -> Recipe:
        """Return the recipe with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved form: qualified names, every parameter. It can be given to `resolve` again."""
        model = self.architecture.to_dict()
        if self.encoder is not None:
            model["encoder"] = self.encoder.to_dict()
        data = _block_dict(self.data)
        data["augment"] = self.augment.to_dict()
        for key, use in (("reader", self.reader), ("generate", self.generate)):
            if use is not None:
                data[key] = use.to_dict()
        predict = _block_dict(self.predict)
        predict |= {"merge": self.merge.to_dict(), "runtime": self.runtime.to_dict()}
        return {
            **_block_dict(self.head),
            "name": self.name,
            "data": data,
            "model": model,
            "loss": [use.to_dict() for use in self.losses],
            "metrics": [use.to_dict() for use in self.metrics],
            "train": _block_dict(self.train),
            "predict": predict,
        }

    def explain(self) -> list[tuple[str, Any, str]]:
        """Return key, value and origin of every leaf."""
        rows = []
        for path, value in leaves(self.to_dict()):
            rows.append((dotted(path), value, self.origins.get(path) or _origin_above(self.origins, path)))
        return rows


def resolve(
    registry: Registry, source: RecipeSource, overrides: Sequence[str] = (), extra: Mapping[str, Any] | None = None
) -> Recipe:
    """Resolve a recipe: its chain of ``extends``, then ``extra`` (the command's options), then ``--set`` overrides.

    Raises:
        RecipeErrors: everything that is wrong with it, at once.
    """
    layers = Layers(same=lambda kind, one, other: _same(registry.catalog, kind, one, other))
    layers.add(_DEFAULT_SLOTS, "default")
    errors: list[VolsegError] = []
    for part in chain(registry, source):
        kept = {key: value for key, value in part.content.items() if key not in OWN_KEYS}
        layers.add(kept, part.name)
    if extra:
        layers.add(extra, "command line")
    for assignment in overrides:
        try:
            layers.set(assignment)
        except UsageError as error:
            errors.append(error)
    return _Resolver(registry, layers, errors, source).recipe()


def resolve_component(
    registry: Registry, kind: str, name: str, overrides: Sequence[str]
) -> tuple[Provided, dict[str, Any]]:
    """Resolve one component outside a recipe; ``overrides`` are its parameters as ``name=value``.

    Raises:
        UsageError: no such component. RecipeErrors: all wrong parameters.
    """
    layers = Layers()
    layers.add({kind: {"use": name}}, "command line")
    for assignment in overrides:
        layers.set(f"{kind}.{assignment}")
    provided = registry.catalog.find(kind, name)
    errors: list[VolsegError] = []
    resolver = _Resolver(registry, layers, errors, RecipeSource(name, "", {}))
    given = {key: value for key, value in layers.tree[kind].items() if key != "use"}
    params = resolver.params(provided, given, (kind,))
    if errors:
        raise RecipeErrors(errors)
    return provided, params


def _same(catalog: Catalog, kind: str, one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return catalog.find(kind, one) is catalog.find(kind, other)
    except VolsegError:
        return False


class _Resolver:
    """Turns a tree into a recipe, collecting errors on the way."""

    def __init__(self, registry: Registry, layers: Layers, errors: list[VolsegError], source: RecipeSource) -> None:
        self.registry, self.layers, self.errors, self.source = registry, layers, errors, source
        self.origins: dict[Path, str] = dict(layers.origins)

    def recipe(self) -> Recipe:
        tree = self.layers.tree
        written = {key: value for key, value in tree.items() if key not in OWN_KEYS}
        blocks = {name: self._block(name) for name in BLOCKS}
        head = self._head()
        task, dims = (head.task, head.dims) if isinstance(head, Head) else ("", 2)
        uses = {path: self._component(tree, path, kind, task, dims) for path, kind in SLOTS.items()}
        lists = {path: self._list(path, kind, task, dims) for path, kind in LIST_SLOTS.items()}
        self._check_encoder(uses[("model",)], uses[("model", "encoder")])
        if self.errors:
            raise RecipeErrors(self.errors)
        return Recipe(
            name=str(getattr(head, "name", "")) or self.source.name,
            head=head,  # type: ignore[arg-type]
            data=blocks["data"],  # type: ignore[arg-type]
            train=blocks["train"],  # type: ignore[arg-type]
            predict=blocks["predict"],  # type: ignore[arg-type]
            architecture=uses[("model",)],  # type: ignore[arg-type]
            encoder=uses[("model", "encoder")],
            losses=tuple(lists[("loss",)]),
            metrics=tuple(lists[("metrics",)]),
            augment=uses[("data", "augment")],  # type: ignore[arg-type]
            merge=uses[("predict", "merge")],  # type: ignore[arg-type]
            runtime=uses[("predict", "runtime")],  # type: ignore[arg-type]
            reader=uses[("data", "reader")],
            generate=uses[("data", "generate")],
            origins=self.origins,
            written=written,
        )

    def _where(self, path: Path) -> str:
        origin = self.layers.origin(path)
        return origin if origin.startswith("--set ") else dotted(path)

    def _block(self, name: str) -> Block | None:
        content = self.layers.tree.get(name, {})
        if not isinstance(content, dict):
            self.errors.append(UsageError(self._where((name,)), f"{content!r} is not a mapping"))
            return None
        plain = {key: value for key, value in content.items() if (name, key) not in SLOTS}
        return self._validate(BLOCKS[name], plain, (name,))

    def _head(self) -> Block | None:
        known = {*BLOCKS, *(path[0] for path in SLOTS), *(path[0] for path in LIST_SLOTS), *OWN_KEYS}
        content = {key: value for key, value in self.layers.tree.items() if key not in known}
        return self._validate(Head, content, (), extra_known=sorted(map(str, known)))

    def _validate(
        self, block: type[Block], content: dict[str, Any], path: Path, extra_known: Sequence[str] = ()
    ) -> Block | None:
        try:
            return block.model_validate(content)
        except ValidationError as error:
            self.errors += [self._translate(item, block, path, extra_known) for item in _merged(error)]
            return None

    def _translate(self, item: Mapping[str, Any], block: type[Block], path: Path, extra_known: Sequence[str]) -> UsageError:
        location = _location(item, path)
        where = self._where(location)
        if item["type"] == "extra_forbidden":
            owner = _block_at(block, location[len(path) : -1])
            known = [*owner.model_fields, *extra_known, *(str(slot[-1]) for slot in SLOTS if slot[:-1] == location[:-1])]
            container = dotted(location[:-1]) or "a recipe"
            inside = repr(container) if location[:-1] else container
            return UsageError(where, f"{location[-1]!r} is not in {inside}", did_you_mean(str(location[-1]), known))
        return UsageError(where, _sentence(item))

    def _list(self, path: Path, kind: str, task: str, dims: int) -> list[ComponentUse]:
        items = self.layers.tree.get(str(path[0]), [])
        uses = [self._component(self.layers.tree, (*path, index), kind, task, dims) for index in range(len(items))]
        if kind == "loss" and not items:
            self.errors.append(UsageError("loss", "a recipe needs at least one loss", "For example: loss: [cross-entropy]"))
        return [use for use in uses if use is not None]

    def _component(self, tree: Any, path: Path, kind: str, task: str, dims: int) -> ComponentUse | None:
        node = tree
        for part in path:
            if isinstance(node, dict) and part not in node:
                return None
            node = node[part]
        given = {key: value for key, value in node.items() if (*path, key) not in SLOTS}
        name = given.pop("use", None)
        where = dotted(path)
        if name is None:
            self.errors.append(UsageError(self._where(path), f"names no {kind}", f"Set {where}.use."))
            return None
        try:
            provided = self.registry.catalog.find(kind, str(name), where)
        except UsageError as error:
            self.errors.append(error)
            return None
        self._check_fits(provided, path, task, dims)
        weight = self._weight(given, path) if kind == "loss" else 1.0
        return ComponentUse(provided, self.params(provided, given, path), weight)

    def _weight(self, given: dict[str, Any], path: Path) -> float:
        weight = given.pop("weight", 1.0)
        self.origins.setdefault((*path, "weight"), "default")
        try:
            return float(weight)
        except (TypeError, ValueError):
            self.errors.append(UsageError(self._where((*path, "weight")), f"{weight!r} is not a float"))
            return 1.0

    def _check_fits(self, provided: Provided, path: Path, task: str, dims: int) -> None:
        component = provided.component
        if dims not in component.dims:
            works = " and ".join(f"{dim}D" for dim in component.dims)
            self.errors.append(
                UsageError(
                    self._where(path),
                    f"{provided.kind} {component.name!r} works in {works}; this recipe has dims: {dims}",
                )
            )
        if task and component.tasks and task not in component.tasks:
            self.errors.append(
                UsageError(
                    self._where(path),
                    f"{provided.kind} {component.name!r} serves {', '.join(component.tasks)}; this recipe's task is {task}",
                )
            )

    def params(self, provided: Provided, given: Mapping[str, Any], path: Path) -> dict[str, Any]:
        component = provided.component
        defaults = self._registry_defaults(provided)
        for key in given:
            if key not in component.params:
                self.errors.append(self._unknown_param(provided, str(key), path))
        params: dict[str, Any] = {}
        for name, param in component.params.items():
            here = (*path, name)
            if name in given:
                value = given[name]
            elif name in defaults:
                value, self.origins[here] = defaults[name], "defaults"
            elif param.required:
                self.errors.append(UsageError(dotted(path), f"{provided.kind} {component.name!r} needs {name!r}"))
                continue
            else:
                params[name], self.origins[here] = param.default, "default"
                continue
            try:
                params[name] = param.coerce(value)
            except ValueError as error:
                self.errors.append(UsageError(self._where(here), str(error)))
        return params

    def _registry_defaults(self, provided: Provided) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, values in self.registry.file.defaults.items():
            kind, _, name = key.partition("/")
            if kind == provided.kind and _same(self.registry.catalog, kind, name, provided.id):
                for unknown in [item for item in values if item not in provided.component.params]:
                    self.errors.append(self._unknown_param(provided, str(unknown), ("defaults", key)))
                found |= values
        return found

    def _unknown_param(self, provided: Provided, name: str, path: Path) -> UsageError:
        params = provided.component.params
        listed = ", ".join(
            f"{key} ({param.type}, {'required' if param.required else f'default {param.default!r}'})"
            for key, param in params.items()
        )
        return UsageError(
            self._where((*path, name)),
            f"{provided.kind} {provided.component.name!r} has no parameter {name!r}",
            did_you_mean(name, params),
            [f"parameters: {listed or 'none'}"],
        )

    def _check_encoder(self, model: ComponentUse | None, encoder: ComponentUse | None) -> None:
        if model is None:
            return
        rule = getattr(model.provided.component, "encoder", "none")
        name = model.provided.component.name
        if rule == "required" and encoder is None and not any("encoder" in error.where for error in self.errors):
            self.errors.append(UsageError("model.encoder", f"architecture {name!r} needs an encoder"))
        if rule == "none" and encoder is not None and self.layers.origin(("model", "encoder")) != "default":
            self.errors.append(UsageError("model.encoder", f"architecture {name!r} takes no encoder"))


def _merged(error: ValidationError) -> list[Mapping[str, Any]]:
    """Return one error per place: pydantic reports each member of a union."""
    found: dict[tuple[str | int, ...], Mapping[str, Any]] = {}
    for item in error.errors():
        location = tuple(part for part in item["loc"] if not _is_union_tag(part))
        found[location] = item
    return list(found.values())


def _is_union_tag(part: str | int) -> bool:
    return isinstance(part, str) and ("[" in part or part in ("int", "float", "bool", "str", "tuple", "dict"))


def _location(item: Mapping[str, Any], path: Path) -> Path:
    return (*path, *(part for part in item["loc"] if not _is_union_tag(part)))


def _block_at(block: type[Block], path: Path) -> type[Block]:
    for part in path:
        inner = block.model_fields[str(part)].annotation
        if isinstance(inner, type) and issubclass(inner, Block):
            block = inner
    return block


def _sentence(item: Mapping[str, Any]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "value_error":
        return message
    if item["type"] == "literal_error":
        expected = str(item["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        hint = did_you_mean(str(item["input"]), expected.split(", "))
        return f"{item['input']!r} is not one of {expected}. {hint}".rstrip()
    rule = message[0].lower() + message[1:]
    return f"{item['input']!r}: {rule}"


def _origin_above(origins: Mapping[Path, str], path: Path) -> str:
    for length in range(len(path) - 1, 0, -1):
        if path[:length] in origins:
            return origins[path[:length]]
    return "default"


def _block_dict(block: Block) -> dict[str, Any]:
    return block.model_dump(mode="json")


def absolute(reference: str) -> str:
    """Return ``FILE[:/internal/path]`` with an absolute file, for records that are read elsewhere."""
    file, separator, inner = reference.partition(":/")
    return f"{FilePath(file).resolve()}{separator}{inner}"

"""A resolved recipe: typed blocks, and components with every parameter filled in."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from volseg_core.recipe.layers import Path, dotted, leaves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from volseg_core.catalog import Provided
    from volseg_core.recipe.blocks import Block, DataBlock, HeadBlock, Header, PredictBlock, TrainBlock
    from volseg_core.volume import ClassMap


@dataclass(frozen=True)
class ComponentUse:
    """A component in a recipe, with all its parameters.

    ``weight`` counts in sums of losses, which a loss joins at ``start_epoch``, counted from 0. ``where`` is
    its place in the recipe (``loss.1``), for messages. One that is not ``used`` was not looked up: it is as written.
    ``head`` is the head of the network whose array a step after the merge takes, or empty.
    """

    provided: Provided
    params: Mapping[str, Any]
    weight: float = 1.0
    where: str = ""
    start_epoch: int = 0
    used: bool = True
    head: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping that a resolved recipe holds."""
        extra = {"weight": self.weight, "start_epoch": self.start_epoch} if self.provided.kind == "loss" else {}
        head = {"head": self.head} if self.head else {}
        return {"use": self.provided.id, **extra, **head, **self.params}


@dataclass(frozen=True)
class Head:
    """One result of a recipe's network: what is learnt, and by which losses and metrics it is judged.

    The only head of a recipe has no name. ``target`` makes what is learnt out of ids; without one the labels are it.
    """

    name: str
    rule: HeadBlock
    losses: tuple[ComponentUse, ...]
    metrics: tuple[ComponentUse, ...]
    target: ComponentUse | None = None

    @property
    def weight(self) -> float:
        """What its losses count in the sum of all heads."""
        return float(getattr(self.rule, "weight", 1.0))

    def components(self) -> list[ComponentUse]:
        """Return its components."""
        return [*([] if self.target is None else [self.target]), *self.losses, *self.metrics]

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of a recipe that are the head's."""
        target = {} if self.target is None else {"target": self.target.to_dict()}
        losses, metrics = ([use.to_dict() for use in uses] for uses in (self.losses, self.metrics))
        return {**_block_dict(self.rule), **target, "loss": losses, "metrics": metrics}


@dataclass(frozen=True)
class Recipe:
    """A resolved recipe. Components are named by the slot that holds them.

    ``origins`` tells where each leaf came from; ``written`` is the recipe's own text, before anything was filled in.
    """

    name: str
    header: Header
    heads: tuple[Head, ...]
    data: DataBlock
    train: TrainBlock
    predict: PredictBlock
    architecture: ComponentUse
    encoder: ComponentUse | None
    augment: ComponentUse
    merge: ComponentUse
    runtime: ComponentUse
    postprocess: tuple[ComponentUse, ...] = ()
    reader: ComponentUse | None = None
    generate: ComponentUse | None = None
    origins: Mapping[Path, str] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)

    def components(self) -> list[ComponentUse]:
        """Return every component that the recipe uses."""
        single = (self.architecture, self.encoder, self.augment, self.merge, self.runtime, self.reader, self.generate)
        of_heads = (use for head in self.heads for use in head.components())
        return [use for use in (*single, *of_heads, *self.postprocess) if use is not None]

    def replace(self, **changes: Any) -> Recipe:
        """Return the recipe with some fields changed."""
        return dataclasses.replace(self, **changes)

    def named(self, classes: Sequence[ClassMap]) -> Recipe:
        """Return the recipe whose heads name their classes, or channels, with their ids."""
        heads = [
            dataclasses.replace(
                head, rule=head.rule.model_copy(update={"classes": {item.name: item.id for item in own.classes}})
            )
            for head, own in zip(self.heads, classes, strict=True)
        ]
        return self.replace(heads=tuple(heads))

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
        if len(self.heads) == 1 and not self.heads[0].name:
            heads = self.heads[0].to_dict()
        else:
            heads = {"heads": {head.name: head.to_dict() for head in self.heads}}
        return {
            **_block_dict(self.header),
            "name": self.name,
            "data": data,
            "model": model,
            **heads,
            "postprocess": [use.to_dict() for use in self.postprocess],
            "train": _block_dict(self.train),
            "predict": predict,
        }

    def explain(self) -> list[tuple[str, Any, str]]:
        """Return key, value and origin of every leaf: default, defaults, a recipe's name, or --set."""
        rows = []
        for path, value in leaves(self.to_dict()):
            origin = self.origins.get(path) or _origin_above(self.origins, path)
            rows.append((dotted(path), value, "--set" if origin.startswith("--set ") else origin))
        return rows


def _origin_above(origins: Mapping[Path, str], path: Path) -> str:
    return next(
        (origins[path[:length]] for length in range(len(path) - 1, 0, -1) if path[:length] in origins), "default"
    )


def _block_dict(block: Block) -> dict[str, Any]:
    return block.model_dump(mode="json")

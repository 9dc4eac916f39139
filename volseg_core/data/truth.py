"""From what label volumes hold to what each head of a network learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.volume.labels import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.catalog import Catalog
    from volseg_core.model import HeadSpec
    from volseg_core.recipe import ComponentUse, Recipe

Array = np.ndarray[Any, Any]
Teacher = Callable[[Array], Array]
"""Makes the target of a head out of the truth (K, *S) of a window."""


def pad_truth(truth: Array, shape: Sequence[int]) -> Array:
    """Pad truth ``(K, *S)`` at its ends with "no label": -1 in integers, NaN in floats."""
    grow = [(0, 0), *((0, max(0, target - size)) for target, size in zip(shape, truth.shape[1:], strict=True))]
    padded: Array = np.pad(truth, grow, constant_values=unlabelled(truth.dtype))
    return padded


def unlabelled(dtype: np.dtype[Any]) -> float:
    """Return what stands for "no label" in truth of a type."""
    return float("nan") if dtype.kind == "f" else IGNORED


def class_indices(truth: Array) -> Array:
    """Return class indices ``(*S)`` int64 of truth that holds them, -1 = none."""
    indices: Array = truth[0].astype(np.int64)
    return indices


@dataclass(frozen=True)
class Looked:
    """Class indices ``(*S)`` int64 of truth that holds ids; ids of no class have no label."""

    head: HeadSpec

    def __call__(self, truth: Array) -> Array:
        """Return the class indices of a window."""
        ids = np.array([item.id for item in self.head.classes.classes])
        order = np.argsort(ids)
        places = np.minimum(np.searchsorted(ids[order], truth[0]), len(ids) - 1)
        indices: Array = np.where(ids[order][places] == truth[0], order[places], IGNORED)
        return indices.astype(np.int64)


@dataclass(frozen=True)
class Values:
    """Values ``(K, *S)`` float32 of truth that holds them, as the head learns them; NaN = none."""

    head: HeadSpec

    def __call__(self, truth: Array) -> Array:
        """Return the values of a window."""
        values = truth.astype(np.float32)
        if not self.head.scale:
            return values
        rows = (self.head.offset, self.head.scale)
        offset, scale = (np.array(row, np.float32).reshape(-1, *[1] * (truth.ndim - 1)) for row in rows)
        scaled: Array = (values - offset) / scale
        return scaled


@dataclass(frozen=True)
class OfIds:
    """What a target component makes of truth that holds ids: ``(K, *S)`` float32, NaN = none."""

    maker: Callable[[Array], Array]

    def __call__(self, truth: Array) -> Array:
        """Return the target of a window."""
        return np.asarray(self.maker(np.ascontiguousarray(truth[0], np.int32)), np.float32)


def ids(truth: Array) -> Array:
    """Return the ids ``(*S)`` themselves, int64, -1 = none, for metrics of instances."""
    return class_indices(truth)


def teachers(
    catalog: Catalog, recipe: Recipe, heads: Sequence[HeadSpec], spacing: Sequence[float] | None
) -> list[Teacher]:
    """Return what makes the target of each head; ``spacing`` (z, y, x) is that which windows share, if any."""
    from_ids = holds_ids(recipe)
    result: list[Teacher] = []
    for head, rule in zip(heads, recipe.heads, strict=True):
        if rule.target is not None:
            result.append(OfIds(build_target(catalog, recipe, rule.target, spacing)))
        elif not head.of_classes:
            result.append(Values(head))
        else:
            result.append(Looked(head) if from_ids else class_indices)
    return result


def build_target(catalog: Catalog, recipe: Recipe, use: ComponentUse, spacing: Sequence[float] | None) -> Any:
    """Return what makes a target out of ids; windows of slices have the last two axes."""
    dims = recipe.header.dims
    context = {"spacing": None if spacing is None else tuple(spacing[-dims:]), "dims": dims}
    return catalog.build(use.provided, use.params, context, use.where)


def holds_ids(recipe: Recipe) -> bool:
    """Whether truth holds ids, out of which at least one head makes its target."""
    return any(head.target is not None for head in recipe.heads)

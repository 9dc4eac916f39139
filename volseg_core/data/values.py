"""Labels that are no classes: ids of objects, and values that a network learns as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError, UsageError
from volseg_core.model import HeadSpec
from volseg_core.volume import ClassMap, ClassName
from volseg_core.volume.grid import pieces
from volseg_core.volume.labels import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.catalog import Catalog
    from volseg_core.recipe import Recipe
    from volseg_core.recipe.assembled import Head
    from volseg_core.recipe.blocks import HeadBlock

Array = np.ndarray[Any, Any]

LARGE_ID = 2**24
"""Ids below this one survive a float32, in which augmentations move them."""


def named_classes(rule: HeadBlock, ignore: tuple[int, ...] = ()) -> ClassMap | None:
    """Return the classes that a head names with their ids, or None where they are to be found."""
    named = rule.classes
    if isinstance(named, dict):
        return ClassMap(tuple(ClassName(number, name) for name, number in named.items()), ignore)
    if isinstance(named, tuple):
        return ClassMap(tuple(ClassName(number, name) for number, name in enumerate(named)), ignore)
    return None


def made_head(catalog: Catalog, recipe: Recipe, head: Head) -> HeadSpec:
    """Return a head whose target is made out of ids: its channels are named as its maker says, or the recipe.

    Raises:
        UsageError: the recipe names another number of channels.
    """
    assert head.target is not None  # noqa: S101  (the caller's)
    context = {"spacing": None, "dims": recipe.header.dims}
    maker = catalog.build(head.target.provided, head.target.params, context, head.target.where)
    return HeadSpec(head.rule.task, _channels(head, tuple(maker.names)), head.name)


def _channels(head: Head, names: Sequence[str]) -> ClassMap:
    """Return the channels of a head with the names that the recipe gives them, else with those given."""
    given = named_classes(head.rule)
    if given is None:
        return ClassMap(tuple(ClassName(number, name) for number, name in enumerate(names)))
    if len(given) != len(names):
        where = f"heads.{head.name}.classes" if head.name else "classes"
        raise UsageError(where, f"names {len(given)} channels; there are {len(names)}: {', '.join(names)}")
    return given


def value_head(recipe: Recipe, labels: Sequence[tuple[Array, str]]) -> HeadSpec:
    """Return the only head, which learns labels (K, Z, Y, X) as they are; of a regression with offset and scale.

    These are mean and standard deviation of each channel over all volumes, so that a network learns values near 0
    whatever the unit is.

    Raises:
        DataError: volumes with different channels, or a channel without a value.
    """
    (head,) = recipe.heads
    counts = {len(array) for array, _ in labels}
    if len(counts) > 1:
        where = next(where for array, where in labels if len(array) != len(labels[0][0]))
        raise DataError(where, f"has other channels than {labels[0][1]}", "All label volumes need the same channels.")
    channels = _channels(head, [f"channel {number}" for number in range(counts.pop())])
    if head.rule.task != "regression":
        return HeadSpec(head.rule.task, channels, head.name)
    rows = [_statistics(labels, number) for number in range(len(channels))]
    offset, scale = (tuple(float(f"{row[item]:.9g}") for row in rows) for item in (0, 1))
    return HeadSpec(head.rule.task, channels, head.name, offset, scale)


def _statistics(labels: Sequence[tuple[Array, str]], channel: int) -> tuple[float, float]:
    """Return mean and standard deviation of a channel; those of a constant are its value and 1."""
    count, total, squares = 0, 0.0, 0.0
    shift = float(next(iter(_numbers(labels[0][0][channel])), np.zeros(1))[0])
    for array, _ in labels:
        for numbers in _numbers(array[channel]):
            values = numbers - shift
            count, total, squares = count + len(values), total + values.sum(), squares + float(values @ values)
    if not count:
        raise DataError(labels[0][1], f"has no finite value in channel {channel}")
    mean = total / count
    deviation = max(0.0, squares / count - mean**2) ** 0.5
    return shift + mean, deviation if deviation > 0 else 1.0


def _numbers(array: Array) -> Any:
    """Yield the finite values of an array piece by piece, as a copy in float64."""
    for box in pieces(array.shape):
        values = array[box].astype(np.float64).ravel()
        values = values[np.isfinite(values)]
        if len(values):
            yield values


def value_truth(labels: Array, head: HeadSpec, ignore: Sequence[int], where: str) -> Array:
    """Return labels (K, Z, Y, X) as float32 values, NaN = none; in those of a multilabel task ids to ignore are none.

    Raises:
        DataError: other channels than the head's, infinities, or labels of a multilabel task beyond 0 and 1.
    """
    if len(labels) != len(head.classes):
        raise DataError(where, f"has {len(labels)} channels; the model gives {len(head.classes)}")
    values = labels.astype(np.float32)
    if head.task == "multilabel":
        values[np.isin(labels, ignore)] = np.nan
    low, high = float(np.nanmin(values, initial=0)), float(np.nanmax(values, initial=0))
    if head.task == "multilabel" and not 0 <= low <= high <= 1:
        what = f"holds values from {low:g} to {high:g}; labels of a multilabel task are 0 or 1"
        raise DataError(where, what, "Ids to leave out go to data.ignore; objects need a target, such as boundaries.")
    if not np.isfinite((low, high)).all():
        raise DataError(where, "holds infinite values", "NaN says that there is none.")
    return values


def object_ids(labels: Array, ignore: Sequence[int], where: str) -> Array:
    """Return ids (1, Z, Y, X) int32, -1 where they are ignored or negative; large ids become consecutive ones.

    Raises:
        DataError: labels that are not integers.
    """
    if labels.dtype.kind == "b":
        labels = labels.view(np.uint8)
    if labels.dtype.kind not in "iu":
        raise DataError(where, f"labels are {labels.dtype}; ids of objects must be integers")
    left_out = labels < 0
    for item in ignore:
        left_out |= labels == item
    kept = np.where(left_out, np.zeros((), labels.dtype), labels)
    if int(kept.max()) >= LARGE_ID:
        numbers, places = np.unique(kept, return_inverse=True)
        kept = places.reshape(kept.shape) + (0 if numbers[0] == 0 else 1)
    ids: Array = kept.astype(np.int32)
    ids[left_out] = IGNORED
    return ids

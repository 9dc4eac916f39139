"""Labels that are no classes: ids of objects, and values that a network learns as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import Target
from volseg_core.data.truth import build_target
from volseg_core.errors import DataError, UsageError
from volseg_core.model import HeadSpec
from volseg_core.volume import ClassMap, ClassName
from volseg_core.volume.grid import pieces
from volseg_core.volume.labels import IGNORED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from volseg_core.catalog import Catalog
    from volseg_core.recipe import Recipe
    from volseg_core.recipe.assembled import Head
    from volseg_core.recipe.blocks import HeadBlock

Array = np.ndarray[Any, Any]
New = Callable[[Any, Any], Array]
"""Makes an array of a shape and a type, whatever it holds."""

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


def made_head(catalog: Catalog, recipe: Recipe, head: Head, spacing: Sequence[float] | None) -> HeadSpec:
    """Return a head whose target is made out of ids: its channels are named as its maker says, or the recipe.

    ``spacing`` is that of the volumes (z, y, x), if any.

    Raises:
        UsageError: the recipe names another number of channels.
    """
    assert head.target is not None  # noqa: S101  (the caller's)
    maker = build_target(catalog, recipe, head.target, spacing)
    target = head.target.provided.component
    assert isinstance(target, Target)  # noqa: S101  (the catalog keeps kinds apart)
    return HeadSpec(head.rule.task, _channels(head, tuple(maker.names)), head.name, directed=target.directed)


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


def value_truth(labels: Array, head: HeadSpec, ignore: Sequence[int], where: str, new: New = np.empty) -> Array:
    """Return labels (K, Z, Y, X) as float32 values, NaN = none; in those of a multilabel task ids to ignore are none.

    ``new`` makes the array for them.

    Raises:
        DataError: other channels than the head's, infinities, or labels of a multilabel task beyond 0 and 1.
    """
    if len(labels) != len(head.classes):
        raise DataError(where, f"has {len(labels)} channels; the model gives {len(head.classes)}")
    values, low, high = new(labels.shape, np.float32), 0.0, 0.0
    for box in boxes(labels):
        part = labels[box].astype(np.float32)
        if head.task == "multilabel":
            part[np.isin(labels[box], ignore)] = np.nan
        low, high = float(np.nanmin(part, initial=low)), float(np.nanmax(part, initial=high))
        values[box] = part
    if head.task == "multilabel" and not 0 <= low <= high <= 1:
        what = f"holds values from {low:g} to {high:g}; labels of a multilabel task are 0 or 1"
        raise DataError(where, what, "Ids to leave out go to data.ignore; objects need a target, such as boundaries.")
    if not np.isfinite((low, high)).all():
        raise DataError(where, "holds infinite values", "NaN says that there is none.")
    return values


def object_ids(labels: Array, ignore: Sequence[int], where: str, new: New = np.empty) -> Array:
    """Return ids (1, Z, Y, X) int32, -1 where they are ignored or negative; large ids become consecutive ones.

    ``new`` makes the array for them.

    Raises:
        DataError: labels that are not integers.
    """
    if labels.dtype.kind == "b":
        labels = labels.view(np.uint8)
    if labels.dtype.kind not in "iu":
        raise DataError(where, f"labels are {labels.dtype}; ids of objects must be integers")
    numbers = np.zeros(1, labels.dtype)
    if max(int(_kept(labels[box], ignore)[0].max()) for box in boxes(labels)) >= LARGE_ID:
        for box in boxes(labels):
            numbers = np.union1d(numbers, _kept(labels[box], ignore)[0])
    ids = new(labels.shape, np.int32)
    for box in boxes(labels):
        kept, left_out = _kept(labels[box], ignore)
        places = np.searchsorted(numbers, kept) if len(numbers) > 1 else kept
        ids[box] = places
        ids[box][left_out] = IGNORED
    return ids


def _kept(ids: Array, ignore: Sequence[int]) -> tuple[Array, Array]:
    """Return ids with 0 for those that are ignored or negative, and where these are."""
    left_out = ids < 0
    for item in ignore:
        left_out |= ids == item
    kept: Array = np.where(left_out, np.zeros((), ids.dtype), ids)
    return kept, left_out


def boxes(array: Array) -> Iterator[tuple[slice, ...]]:
    """Yield boxes that cover an array (K, Z, Y, X), each of all its channels."""
    for box in pieces(array.shape[1:]):
        yield (slice(None), *box)

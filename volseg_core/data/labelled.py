"""Labelled volumes in memory: read, checked against one another, with one class map for all."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.files import VolumeLike, open_volume
from volseg_core.data.lazy import held, mapped, too_large
from volseg_core.data.truth import holds_ids
from volseg_core.data.values import LARGE_ID, made_head, named_classes, object_ids, value_head, value_truth
from volseg_core.errors import DataError, UsageError
from volseg_core.model import HeadSpec
from volseg_core.recipe.layers import HEADS
from volseg_core.tasks import CLASS_TASKS
from volseg_core.volume import ClassMap, Grid, Normalisation, Volume
from volseg_core.volume.grid import pieces
from volseg_core.volume.labels import IGNORED, class_names, find_ids
from volseg_core.volume.resample import resample, resampled_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from volseg_core.catalog import Catalog
    from volseg_core.data.values import New
    from volseg_core.recipe import Recipe
    from volseg_core.recipe.assembled import Head
    from volseg_core.recipe.blocks import HeadBlock
    from volseg_core.volume.normalise import Normaliser

    Array = np.ndarray[Any, Any]

log = logging.getLogger("volseg")

_WHERE = "labels"


@dataclass(frozen=True)
class Labelled:
    """A volume with its labels: ``data`` (C, Z, Y, X) as stored, ``labels`` (Z, Y, X) class indices, -1 = none.

    Windows are laid by ``labels``. What they teach is ``truth`` (K, Z, Y, X): ids, or values with NaN where there is
    none; without it the class indices themselves. Windows come from it ``weight`` times as often as they would.
    """

    data: Array
    labels: Array
    normaliser: Normaliser
    grid: Grid
    truth: Array | None = None
    weight: float = 1.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y and x."""
        z, y, x = self.labels.shape
        return z, y, x

    @property
    def taught(self) -> Array:
        """The truth (K, Z, Y, X) that targets are made of."""
        return self.labels[np.newaxis] if self.truth is None else self.truth


@dataclass(frozen=True)
class _Pair:
    """An image (C, Z, Y, X) and its labels (K, Z, Y, X), as they were read."""

    image: Array
    grid: Grid
    labels: Array
    where: str
    names: Mapping[int, str]


def read_labelled(
    catalog: Catalog,
    recipe: Recipe,
    data: Sequence[VolumeLike],
    labels: Sequence[VolumeLike],
    known: Sequence[HeadSpec] | None = None,
    unit: str = "",
) -> tuple[list[Labelled], tuple[HeadSpec, ...]]:
    """Read pairs of volumes and labels, and say what each head of the recipe learns from them.

    The caller's arrays and files are never changed. With ``known`` the heads are given. Spacings are told in ``unit``,
    by default that of the first volume, where a volume says its own.

    Raises:
        DataError: whatever is wrong with a file or a pair, naming it. UsageError: heads that need labels apart.
    """
    values = _learns_values(recipe)
    both = list(zip(data, labels, strict=True))
    lazy = _lazy(catalog, recipe, both)
    pairs: list[_Pair] = []
    for image, label in both:
        pairs.append(_read_pair(catalog, recipe, image, label, unit, values=values, lazy=lazy))
        unit = unit or pairs[0].grid.unit
    _check_channels(pairs)
    if values:
        heads = known or (value_head(recipe, [(pair.labels, pair.where) for pair in pairs]),)
    else:
        heads = known or _heads(catalog, recipe, pairs)
    result = []
    while pairs:  # the labels as read are given up one by one
        result.append(_labelled(pairs.pop(0), heads, recipe, values=values, new=mapped if lazy else np.empty))
    return result, tuple(heads)


def weighted(volumes: Sequence[Labelled], weights: Sequence[float]) -> list[Labelled]:
    """Return volumes with the weights of a recipe; those of none are 1.

    Raises:
        UsageError: not one weight for each.
    """
    if not weights:
        return list(volumes)
    if len(weights) != len(volumes):
        raise UsageError("data.weights", f"{len(weights)} weights for {len(volumes)} volumes; give one for each")
    return [replace(volume, weight=weight) for volume, weight in zip(volumes, weights, strict=True)]


def _learns_values(recipe: Recipe) -> bool:
    """Return whether labels are values, which the only head learns as they are.

    Raises:
        UsageError: there are other heads, which need other labels.
    """
    plain = [head for head in recipe.heads if head.target is None and head.rule.task not in CLASS_TASKS]
    if plain and len(recipe.heads) > 1:
        what = f"head {plain[0].name!r} learns the labels' values, from which other heads learn classes or objects"
        raise UsageError(HEADS, what, "Give it a target, such as boundaries, or a recipe of its own.")
    return bool(plain)


def _heads(catalog: Catalog, recipe: Recipe, pairs: Sequence[_Pair]) -> tuple[HeadSpec, ...]:
    """Return the heads of a recipe whose labels are ids of classes, or of objects where all make targets of them."""
    classes: ClassMap | None = None
    found = []
    for head in recipe.heads:
        if head.target is not None:
            found.append(made_head(catalog, recipe, head, pairs[0].grid.spacing))
            continue
        if classes is None:
            classes, named = _classes(recipe, head, pairs), head.rule.classes
        elif head.rule.classes not in ("auto", named):
            raise UsageError(
                f"heads.{head.name}.classes", "differ from those of another head, which has the same labels"
            )
        else:
            _check_count(head.rule, classes)
        found.append(HeadSpec(head.rule.task, classes, head.name))
    largest = 0 if classes is None else max(item.id for item in classes.classes)
    if largest >= LARGE_ID and holds_ids(recipe):
        raise DataError(_WHERE, f"have class id {largest}; beside a target ids must be below {LARGE_ID}")
    return tuple(found)


def _classes(recipe: Recipe, head: Head, pairs: Sequence[_Pair]) -> ClassMap:
    counts: dict[int, int] = {}
    for pair in pairs:
        for item, count in find_ids(pair.labels[0], pair.where).items():
            counts[item] = counts.get(item, 0) + count
    ignore = tuple(recipe.data.ignore)
    classes = class_map(head.rule, ignore, counts, _names(pairs) if head.rule.classes == "auto" else {})
    absent = [item.name for item in classes.classes if item.id not in counts]
    if absent:
        log.warning("no voxel is labelled %s", ", ".join(absent))
    return classes


def read_unlabelled(
    catalog: Catalog, recipe: Recipe, items: Sequence[VolumeLike], channels: int, unit: str = ""
) -> list[Labelled]:
    """Read volumes that have no labels, their spacing in a unit where they say theirs.

    Each voxel counts as if it had class 0, so that windows may lie anywhere.

    Raises:
        DataError: a file is wrong, or has other channels than the labelled volumes.
    """
    result = []
    lazy = _lazy(catalog, recipe, ((item,) for item in items))
    for item in items:
        with open_volume(catalog, item, "data", recipe.reader) as source:
            volume = Volume(held(source, lazy=lazy), source.grid.in_unit(unit))
        if (target := recipe.data.resample) is not None:
            shape = resampled_shape(volume.shape, volume.grid, target)
            new = mapped if lazy else np.empty
            grid = replace(volume.grid, spacing=target)
            volume = Volume(resample(volume.data, shape, linear=True, new=new), grid)
        where = volume.grid.source
        if volume.data.shape[0] != channels:
            raise DataError(where, f"has {volume.data.shape[0]} channels but the labelled volumes have {channels}")
        normaliser = Normalisation(recipe.data.normalise.kind, recipe.data.normalise.clip).fit(volume.data, where)
        nowhere = np.broadcast_to(np.zeros((), np.int16), volume.shape)
        result.append(Labelled(volume.data, nowhere, normaliser, volume.grid))
    return result


def _lazy(catalog: Catalog, recipe: Recipe, pairs: Iterable[tuple[VolumeLike, ...]]) -> bool:
    """Return whether volumes are read from disk patch by patch: as the recipe says, else where they are too large."""
    if recipe.data.lazy != "auto":
        return recipe.data.lazy
    sizes = []
    for role, item in ((role, item) for pair in pairs for role, item in zip(("data", "labels"), pair, strict=False)):
        with open_volume(catalog, item, role, recipe.reader) as source:
            if source.reader is not None:
                sizes.append(source.channels * math.prod(source.shape) * source.dtype.itemsize)
    lazy = too_large(sizes)
    if lazy:
        log.info("the volumes have %.1f GiB: their patches are read from disk", sum(sizes) / 2**30)
    return lazy


def _labelled(pair: _Pair, heads: Sequence[HeadSpec], recipe: Recipe, *, values: bool, new: New) -> Labelled:
    truth: Array | None = None
    classes = next((head.classes for head in heads if head.of_classes), None)
    if values:
        truth = value_truth(pair.labels, heads[0], recipe.data.ignore, pair.where, new)
        labels = _kinds(truth, new)
    elif holds_ids(recipe):
        truth = object_ids(pair.labels, recipe.data.ignore, pair.where, new)
        labels = _kinds(truth, new) if classes is None else classes.encode(pair.labels[0], pair.where, new)
    else:
        assert classes is not None  # noqa: S101  (every head of a recipe without targets gives classes)
        labels = classes.encode(pair.labels[0], pair.where, new)
    _check_not_empty(labels, pair.where)
    normaliser = Normalisation(recipe.data.normalise.kind, recipe.data.normalise.clip).fit(pair.image, pair.grid.source)
    if normaliser.sampled:
        log.info("%s: intensity statistics were taken from a sample of its voxels", pair.grid.source)
    return Labelled(pair.image, labels, normaliser, pair.grid, truth)


def _kinds(truth: Array, new: New) -> Array:
    """Return what windows are laid by (Z, Y, X) int8: -1 = none, else 0, of ids 1 where there is an object."""
    kinds = new(truth.shape[1:], np.int8)
    for box in pieces(kinds.shape):
        part = truth[(slice(None), *box)]
        kinds[box] = np.where(np.isnan(part).all(0), IGNORED, 0) if part.dtype.kind == "f" else np.sign(part[0])
    return kinds


def _read_pair(
    catalog: Catalog, recipe: Recipe, image: VolumeLike, label: VolumeLike, unit: str, *, values: bool, lazy: bool
) -> _Pair:
    """Read a pair; the labels' shape is compared before their voxels are read. Only values may have channels."""
    with open_volume(catalog, image, "data", recipe.reader) as source:
        volume = Volume(held(source, lazy=lazy), source.grid.in_unit(unit))
    with open_volume(catalog, label, "labels", recipe.reader) as source:
        where = source.grid.source
        if source.channels != 1 and not values:
            raise DataError(where, f"labels have {source.channels} channels; they need exactly one")
        if source.shape != volume.shape:
            raise DataError(
                where,
                f"labels have shape {_shape(source.shape)} but {volume.grid.source} has {_shape(volume.shape)}",
                "Data and labels must lie on the same voxels.",
            )
        pair = _Pair(volume.data, volume.grid, held(source, lazy=lazy), where, class_names(source.attributes))
        return _resampled(pair, recipe, linear=values, new=mapped if lazy else np.empty)


def _resampled(pair: _Pair, recipe: Recipe, *, linear: bool, new: New) -> _Pair:
    """Return a pair with voxels of the spacing that a recipe asks for; ids are those of the nearest voxel."""
    target = recipe.data.resample
    if target is None:
        return pair
    shape = resampled_shape(pair.image.shape[1:], pair.grid, target)
    image = resample(pair.image, shape, linear=True, new=new)
    labels = resample(pair.labels, shape, linear=linear, new=new)
    return replace(pair, image=image, labels=labels, grid=replace(pair.grid, spacing=target))


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _check_channels(pairs: Sequence[_Pair]) -> None:
    for pair in pairs:
        channels, first = pair.image.shape[0], pairs[0].image.shape[0]
        if channels != first:
            raise DataError(
                pair.grid.source,
                f"has {channels} channels but {pairs[0].grid.source} has {first}",
                "All volumes of a recipe need the same channels.",
            )


def _names(pairs: Sequence[_Pair]) -> dict[int, str]:
    """Return the names that label files give to ids.

    Raises:
        DataError: two files name an id differently.
    """
    names: dict[int, str] = {}
    first: dict[int, str] = {}
    for pair in pairs:
        for number, name in pair.names.items():
            if names.setdefault(number, name) != name:
                raise DataError(
                    pair.where,
                    f"names id {number} {name!r} but {first[number]} names it {names[number]!r}",
                    "Set classes in the recipe, or correct a file.",
                )
            first.setdefault(number, pair.where)
    return names


def _check_not_empty(encoded: np.ndarray[Any, Any], where: str) -> None:
    if not any(bool((encoded[box] >= 0).any()) for box in pieces(encoded.shape)):
        raise DataError(where, "has no labelled voxel: every voxel is ignored", "See data.ignore.")


def class_map(
    rule: HeadBlock, ignore: tuple[int, ...], counts: Mapping[int, int], names: Mapping[int, str]
) -> ClassMap:
    """Return the classes that a head names, or those of the ids that were found.

    ``names`` are those that the label files give to ids.

    Raises:
        DataError: fewer than two ids where they had to be found.
    """
    named = named_classes(rule, ignore)
    if named is not None:
        return named
    found = ClassMap.of_ids(counts, names, ignore)
    if len(found) < 2:  # noqa: PLR2004
        only = f"the only id is {found.classes[0].id}" if len(found) else "every voxel is ignored"
        raise DataError(
            _WHERE,
            f"are empty: {only}",
            "Training needs two classes or more; check the file and its dataset, or data.ignore.",
        )
    _check_count(rule, found)
    return found


def _check_count(rule: HeadBlock, classes: ClassMap) -> None:
    if rule.task == "binary" and len(classes) != 2:  # noqa: PLR2004
        raise DataError(_WHERE, f"have {len(classes)} ids ({', '.join(classes.names)}) but the task is binary")

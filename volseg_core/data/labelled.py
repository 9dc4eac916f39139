"""Labelled volumes in memory: read, checked against one another, with one class map for all."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.files import VolumeLike, open_volume
from volseg_core.errors import DataError
from volseg_core.volume import ClassMap, ClassName, Grid, Normalisation
from volseg_core.volume.grid import pieces
from volseg_core.volume.labels import class_names, find_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from volseg_core.catalog import Catalog
    from volseg_core.recipe import Recipe
    from volseg_core.volume.normalise import Normaliser

log = logging.getLogger("volseg")

_WHERE = "labels"


@dataclass(frozen=True)
class Labelled:
    """A volume with its labels: ``data`` (C, Z, Y, X) as stored, ``labels`` (Z, Y, X) class indices, -1 = none."""

    data: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    normaliser: Normaliser
    grid: Grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y and x."""
        z, y, x = self.labels.shape
        return z, y, x


@dataclass(frozen=True)
class _Pair:
    """An image (C, Z, Y, X) and its label ids (Z, Y, X), as they were read."""

    image: np.ndarray[Any, Any]
    grid: Grid
    ids: np.ndarray[Any, Any]
    where: str
    names: Mapping[int, str]


def read_labelled(
    catalog: Catalog,
    recipe: Recipe,
    data: Sequence[VolumeLike],
    labels: Sequence[VolumeLike],
    known: ClassMap | None = None,
) -> tuple[list[Labelled], ClassMap]:
    """Read pairs of volumes and labels and map all label ids to one set of classes.

    The caller's arrays and files are never changed. With ``known`` the classes are given.

    Raises:
        DataError: whatever is wrong with a file or a pair, naming it.
    """
    pairs = [_read_pair(catalog, recipe, image, label) for image, label in zip(data, labels, strict=True)]
    _check_channels(pairs)
    counts: dict[int, int] = {}
    for pair in pairs:
        for item, count in find_ids(pair.ids, pair.where).items():
            counts[item] = counts.get(item, 0) + count
    classes = known or class_map(recipe, counts, _names(pairs) if recipe.head.classes == "auto" else {})
    absent = [item.name for item in classes.classes if item.id not in counts]
    if absent and known is None:
        log.warning("no voxel is labelled %s", ", ".join(absent))
    result = []
    while pairs:  # the ids as read are given up one by one
        result.append(_labelled(pairs.pop(0), classes, recipe))
    return result, classes


def read_unlabelled(catalog: Catalog, recipe: Recipe, items: Sequence[VolumeLike], channels: int) -> list[Labelled]:
    """Read volumes that have no labels. Each voxel counts as if it had class 0, so that windows may lie anywhere.

    Raises:
        DataError: a file is wrong, or has other channels than the labelled volumes.
    """
    result = []
    for item in items:
        with open_volume(catalog, item, "data", recipe.reader) as source:
            volume = source.volume()
        where = volume.grid.source
        if volume.data.shape[0] != channels:
            raise DataError(where, f"has {volume.data.shape[0]} channels but the labelled volumes have {channels}")
        normaliser = Normalisation(recipe.data.normalise.kind, recipe.data.normalise.clip).fit(volume.data, where)
        nowhere = np.broadcast_to(np.zeros((), np.int16), volume.shape)
        result.append(Labelled(volume.data, nowhere, normaliser, volume.grid))
    return result


def _labelled(pair: _Pair, classes: ClassMap, recipe: Recipe) -> Labelled:
    encoded = classes.encode(pair.ids, pair.where)
    _check_not_empty(encoded, pair.where)
    normaliser = Normalisation(recipe.data.normalise.kind, recipe.data.normalise.clip).fit(pair.image, pair.grid.source)
    if normaliser.sampled:
        log.info("%s: intensity statistics were taken from a sample of its voxels", pair.grid.source)
    return Labelled(pair.image, encoded, normaliser, pair.grid)


def _read_pair(catalog: Catalog, recipe: Recipe, image: VolumeLike, label: VolumeLike) -> _Pair:
    """Read a pair; the labels' shape is compared before their voxels are read."""
    with open_volume(catalog, image, "data", recipe.reader) as source:
        volume = source.volume()
    with open_volume(catalog, label, "labels", recipe.reader) as source:
        where = source.grid.source
        if source.channels != 1:
            raise DataError(where, f"labels have {source.channels} channels; they need exactly one")
        if source.shape != volume.shape:
            raise DataError(
                where,
                f"labels have shape {_shape(source.shape)} but {volume.grid.source} has {_shape(volume.shape)}",
                "Data and labels must lie on the same voxels.",
            )
        return _Pair(volume.data, volume.grid, source.read()[0], where, class_names(source.attributes))


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


def class_map(recipe: Recipe, counts: Mapping[int, int], names: Mapping[int, str]) -> ClassMap:
    """Return the classes that the recipe names, or those of the ids that were found.

    ``names`` are those that the label files give to ids.

    Raises:
        DataError: fewer than two ids where they had to be found.
    """
    ignore = tuple(recipe.data.ignore)
    named = recipe.head.classes
    if isinstance(named, dict):
        return ClassMap(tuple(ClassName(number, name) for name, number in named.items()), ignore)
    if isinstance(named, tuple):
        return ClassMap(tuple(ClassName(number, name) for number, name in enumerate(named)), ignore)
    found = ClassMap.of_ids(counts, names, ignore)
    if len(found) < 2:  # noqa: PLR2004
        only = f"the only id is {found.classes[0].id}" if len(found) else "every voxel is ignored"
        raise DataError(
            _WHERE,
            f"are empty: {only}",
            "Training needs two classes or more; check the file and its dataset, or data.ignore.",
        )
    if recipe.head.task == "binary" and len(found) != 2:  # noqa: PLR2004
        raise DataError(_WHERE, f"have {len(found)} ids ({', '.join(found.names)}) but the task is binary")
    return found

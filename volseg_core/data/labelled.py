"""Labelled volumes in memory: read, checked against one another, with one class map for all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volseg_core.catalog import Catalog
from volseg_core.data.files import VolumeLike, open_volume
from volseg_core.errors import DataError
from volseg_core.recipe import Recipe
from volseg_core.volume import ClassMap, ClassName, Grid, Normalisation
from volseg_core.volume.labels import class_names, find_ids
from volseg_core.volume.normalise import Normaliser

log = logging.getLogger("volseg")


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


def read_labelled(
    catalog: Catalog, recipe: Recipe, data: Sequence[VolumeLike], labels: Sequence[VolumeLike], known: ClassMap | None = None
) -> tuple[list[Labelled], ClassMap]:
    """Read pairs of volumes and labels and map all label ids to one set of classes.

    The caller's arrays and files are never changed. With ``known`` the classes are given.

    Raises:
        DataError: whatever is wrong with a file or a pair, naming it.
    """
    raw: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], Grid, str]] = []
    counts: dict[int, int] = {}
    names: dict[int, str] = {}
    for image, label in zip(data, labels, strict=True):
        array, grid = _read_image(catalog, recipe, image)
        ids, where, named = _read_ids(catalog, recipe, label, array, grid)
        names |= named
        for item, count in find_ids(ids, where).items():
            counts[item] = counts.get(item, 0) + count
        raw.append((array, ids, grid, where))
    _check_channels([item[0] for item in raw], [item[2] for item in raw])
    classes = known or class_map(recipe, counts, names)
    rule = Normalisation(recipe.data.normalise.kind, recipe.data.normalise.clip)
    result = []
    for array, ids, grid, where in raw:
        encoded = classes.encode(ids, where)
        _check_not_empty(encoded, where)
        normaliser = rule.fit(array, grid.source)
        if normaliser.sampled:
            log.info("%s: intensity statistics were taken from a sample of its planes", grid.source)
        result.append(Labelled(array, encoded, normaliser, grid))
    return result, classes


def _read_image(catalog: Catalog, recipe: Recipe, item: VolumeLike) -> tuple[np.ndarray[Any, Any], Grid]:
    with open_volume(catalog, item, "data", recipe.reader) as source:
        volume = source.volume()
    if volume.data.dtype.kind not in "uifb":
        raise DataError(volume.grid.source, f"holds {volume.data.dtype} values; a volume holds numbers")
    return volume.data, volume.grid


def _read_ids(
    catalog: Catalog, recipe: Recipe, item: VolumeLike, array: np.ndarray[Any, Any], grid: Grid
) -> tuple[np.ndarray[Any, Any], str, dict[int, str]]:
    with open_volume(catalog, item, "labels", recipe.reader) as source:
        where = source.grid.source
        if source.channels != 1:
            raise DataError(where, f"labels have {source.channels} channels; they need exactly one")
        if source.shape != array.shape[1:]:
            raise DataError(
                where,
                f"labels have shape {_shape(source.shape)} but {grid.source} has {_shape(array.shape[1:])}",
                "Data and labels must lie on the same voxels.",
            )
        return source.read()[0], where, class_names(source.attributes)


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _check_channels(arrays: Sequence[np.ndarray[Any, Any]], grids: Sequence[Grid]) -> None:
    for array, grid in zip(arrays, grids, strict=True):
        if array.shape[0] != arrays[0].shape[0]:
            raise DataError(
                grid.source, f"has {array.shape[0]} channels but {grids[0].source} has {arrays[0].shape[0]}"
            )


def _check_not_empty(encoded: np.ndarray[Any, Any], where: str) -> None:
    if not any(bool((plane >= 0).any()) for plane in encoded):
        raise DataError(where, "has no labelled voxel: every voxel is ignored", "See data.ignore.")


def class_map(recipe: Recipe, counts: dict[int, int], names: dict[int, str]) -> ClassMap:
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
        only = found.names[0] if len(found) else "none"
        raise DataError(
            "labels",
            f"are empty: the only id is {only}",
            "Training needs two classes or more; check the file and its dataset, or data.ignore.",
        )
    if recipe.head.task == "binary" and len(found) != 2:  # noqa: PLR2004
        raise DataError("labels", f"have {len(found)} ids ({', '.join(found.names)}) but the task is binary")
    return found

"""A prediction and its truth, read together piece by piece as metrics take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError
from volseg_core.volume import ClassMap
from volseg_core.volume.labels import class_names, find_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from volseg_core.data.files import VolumeSource

Array = np.ndarray[Any, Any]
Piece = dict[str, Array]

SLAB = 16
"""Planes that are read together where a volume may be taken in pieces."""


def slabs(depth: int, planes: int = SLAB) -> list[slice]:
    """Return slices of ``planes`` planes that cover ``depth``."""
    return [slice(at, min(at + planes, depth)) for at in range(0, depth, planes)]


class ComparedClasses:
    """Class indices, and probabilities where they are given, of two volumes of one shape.

    The classes are the ids of both volumes and those of the probabilities' channels, in ascending order.

    Raises:
        DataError: ids that are no classes, no voxel that counts, or channels that belong to no ids.
    """

    def __init__(
        self, ours: VolumeSource, truth: VolumeSource, chances: VolumeSource | None, ignore: Sequence[int]
    ) -> None:
        self.ours, self.truth, self.chances = ours, truth, chances
        self.where = (ours.grid.source or "prediction", truth.grid.source or "labels")
        check_one_channel(ours, "prediction")
        check_one_channel(truth, "labels")
        ids = _ids(ours, self.where[0]) | _ids(truth, self.where[1])
        if not ids - set(ignore):
            raise DataError(self.where[1], "has no labelled voxel: every voxel is ignored")
        channels = [] if chances is None else _channel_ids(chances, sorted(ids - set(ignore)))
        names = class_names(ours.attributes) or class_names(truth.attributes)
        self.classes = ClassMap.of_ids(ids | set(channels), names, ignore)
        self.channels = [channels.index(item.id) if item.id in channels else None for item in self.classes.classes]

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in index order."""
        return self.classes.names

    def read(self, part: slice, *, image: bool) -> Piece:
        """Return a slab of planes as ``classes``, ``target`` and ``valid`` (z, Y, X), ``probabilities`` (C, z, Y, X).

        With ``image`` a single plane has no z axis.

        Raises:
            DataError: the prediction has no class at a voxel that counts.
        """
        target = self.classes.encode(read_planes(self.truth, part)[0], self.where[1])
        found = self.classes.encode(read_planes(self.ours, part)[0], self.where[0])
        valid = target >= 0
        if (valid & (found < 0)).any():
            what = "holds an ignored id where the labels have a class"
            raise DataError(self.where[0], what, "A prediction has a class at every voxel that counts.")
        piece = {"classes": found, "target": target, "valid": valid}
        if self.chances is not None:
            piece["probabilities"] = self._in_class_order(read_planes(self.chances, part))
        return as_image(piece, image=image)

    def _in_class_order(self, values: Array) -> Array:
        """Return a channel per class; one that the prediction does not know has probability 0."""
        if self.channels == list(range(len(values))):
            return values
        ordered = np.zeros((len(self.channels), *values.shape[1:]), values.dtype)
        for index, channel in enumerate(self.channels):
            if channel is not None:
                ordered[index] = values[channel]
        return ordered


class ComparedInstances:
    """Ids of objects of two volumes of one shape, 0 where there is none.

    Raises:
        DataError: a volume does not hold integers.
    """

    names: tuple[str, ...] = ()

    def __init__(self, ours: VolumeSource, truth: VolumeSource, ignore: Sequence[int]) -> None:
        self.ours, self.truth = ours, truth
        ignored_ids(ours, "prediction", ignore)
        self.ignored = ignored_ids(truth, "labels", ignore)

    def read(self, part: slice, *, image: bool) -> Piece:
        """Return a slab of planes as ``classes`` (ids), ``target`` and ``valid``, as `ComparedClasses`."""
        target = read_planes(self.truth, part)[0]
        valid = ~np.isin(target, self.ignored)
        piece = {"classes": read_planes(self.ours, part)[0], "target": target, "valid": valid}
        return as_image(piece, image=image)


def ignored_ids(source: VolumeSource, name: str, ignore: Sequence[int]) -> Array:
    """Return those of ``ignore`` that a volume of ids may hold, in its type.

    Raises:
        DataError: it holds no integers, or several channels.
    """
    where = source.grid.source or name
    if source.dtype.kind not in "iub":
        raise DataError(where, f"holds {source.dtype} values; ids must be integers")
    check_one_channel(source, name)
    limits = np.iinfo(np.uint8 if source.dtype.kind == "b" else source.dtype)
    return np.array([item for item in ignore if limits.min <= item <= limits.max], source.dtype)


def check_one_channel(source: VolumeSource, name: str) -> None:
    """Raise a DataError when a volume of ids has several channels."""
    if source.channels > 1:
        what = f"has {source.channels} channels; ids have one"
        raise DataError(source.grid.source or name, what, "Several channels are compared with a prediction of floats.")


def read_planes(source: VolumeSource, part: slice) -> Array:
    """Return planes (C, z, Y, X) of a volume."""
    _, height, width = source.shape
    return source.read((part, slice(0, height), slice(0, width)))


def as_image(piece: Piece, *, image: bool) -> Piece:
    """Return a piece without its z axis when it is to be an ``image`` and has a single plane."""
    if not image or piece["target"].shape[-3] > 1:
        return piece
    return {name: values[..., 0, :, :] for name, values in piece.items()}


def _ids(source: VolumeSource, name: str) -> set[int]:
    ids: set[int] = set()
    for part in slabs(source.shape[0]):
        ids |= set(find_ids(read_planes(source, part)[0], name))
    return ids


def _channel_ids(chances: VolumeSource, found: Iterable[int]) -> list[int]:
    """Return the id of each channel: those that the file names, else the ids found where they are as many."""
    ids = list(class_names(chances.attributes) or found)
    if len(ids) != chances.channels:
        raise DataError(
            chances.grid.source or "probabilities",
            f"has {chances.channels} channels for {len(ids)} classes",
            "Probabilities hold a channel for each class, in the order of the ids.",
        )
    return ids

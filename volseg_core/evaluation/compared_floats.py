"""Volumes of floats and their truth, read together: channels of probabilities, boundary maps, values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError
from volseg_core.evaluation.compared import Piece, as_image, ignored_ids, read_planes
from volseg_core.volume.labels import class_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.data.files import VolumeSource

Array = np.ndarray[Any, Any]


class ComparedChannels:
    """Probabilities (K, Z, Y, X) and, in as many channels, whether a voxel belongs: 0 or 1, ignored ids for none.

    Raises:
        DataError: the prediction holds no floats, or the volumes differ in channels.
    """

    def __init__(self, ours: VolumeSource, truth: VolumeSource, ignore: Sequence[int]) -> None:
        self.ours, self.truth, self.ignore = ours, truth, ignore
        self.where = truth.grid.source or "labels"
        _check_floats(ours)
        _check_channels(ours, truth)
        self.names = _channel_names(ours)

    def read(self, part: slice, *, image: bool) -> Piece:
        """Return a slab of planes as ``probabilities`` (``classes`` are the same), ``target``, ``valid`` (K, z, Y, X).

        Raises:
            DataError: the labels hold a value outside [0, 1].
        """
        labels = read_planes(self.truth, part)
        valid = ~(np.isin(labels, self.ignore) | np.isnan(labels))
        target = np.where(valid, labels, 0).astype(np.float32)
        if target.size and not (target.min() >= 0 and target.max() <= 1):
            wrong = target.max() if target.max() > 1 else target.min()
            hint = "Labels of several channels say of each whether a voxel belongs; class ids have one channel."
            raise DataError(self.where, f"holds {wrong:g} where 0 or 1 is expected, beside probabilities", hint)
        chances = read_planes(self.ours, part)
        return as_image({"classes": chances, "probabilities": chances, "target": target, "valid": valid}, image=image)


class ComparedMaps:
    """Probabilities of boundaries (K, Z, Y, X) and ids of objects (Z, Y, X), 0 where there is none.

    Raises:
        DataError: the prediction holds no floats, or the labels are not integers of one channel.
    """

    def __init__(self, ours: VolumeSource, truth: VolumeSource, ignore: Sequence[int]) -> None:
        self.ours, self.truth = ours, truth
        _check_floats(ours)
        self.ignored = ignored_ids(truth, "labels", ignore)
        self.names = _channel_names(ours)

    def read(self, part: slice, *, image: bool) -> Piece:
        """Return a slab of planes as ``probabilities`` (K, z, Y, X), ``target`` (ids) and ``valid`` (z, Y, X)."""
        target = read_planes(self.truth, part)[0]
        valid = ~np.isin(target, self.ignored)
        chances = read_planes(self.ours, part)
        return as_image({"probabilities": chances, "target": target, "valid": valid}, image=image)


class ComparedValues:
    """Values (K, Z, Y, X) of two volumes; NaN in the truth is no value.

    Raises:
        DataError: the volumes differ in channels.
    """

    def __init__(self, ours: VolumeSource, truth: VolumeSource) -> None:
        self.ours, self.truth = ours, truth
        _check_channels(ours, truth)
        self.names = _channel_names(ours)

    def read(self, part: slice, *, image: bool) -> Piece:
        """Return a slab of planes as ``values``, ``target`` and ``valid`` (K, z, Y, X)."""
        values, target = (_floats(read_planes(source, part)) for source in (self.ours, self.truth))
        valid = ~np.isnan(target)
        return as_image({"values": values, "target": np.where(valid, target, 0), "valid": valid}, image=image)


def _floats(values: Array) -> Array:
    """Return numbers as floats that hold them all: float32, of long integers float64."""
    return values.astype(np.result_type(values.dtype, np.float32), copy=False)


def _check_floats(ours: VolumeSource) -> None:
    if ours.dtype.kind != "f":
        where = ours.grid.source or "prediction"
        raise DataError(where, f"holds {ours.dtype} values; probabilities are floats", "Predict with --probabilities.")


def _check_channels(ours: VolumeSource, truth: VolumeSource) -> None:
    if ours.channels != truth.channels:
        what = f"has {ours.channels} channels but the labels have {truth.channels}"
        raise DataError(ours.grid.source or "prediction", what, "Each channel is compared with its own.")


def _channel_names(ours: VolumeSource) -> tuple[str, ...]:
    """Return the names that the file gives to as many classes as it has channels, else their numbers."""
    names = tuple(class_names(ours.attributes).values())
    fits = len(names) == len(set(names)) == ours.channels
    return names if fits else tuple(map(str, range(ours.channels)))

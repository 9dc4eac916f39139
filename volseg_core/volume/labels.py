"""Label ids and class indices: one map for all volumes, and back to the original ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volseg_core.errors import DataError

IGNORED = -1
"""Class index of voxels without a label."""

_MAX_CLASSES = 1024


@dataclass(frozen=True)
class ClassName:
    """A class: its id in label volumes and its name."""

    id: int
    name: str


@dataclass(frozen=True)
class ClassMap:
    """The classes in index order, and the ids that stand for "no label here"."""

    classes: tuple[ClassName, ...]
    ignore: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        ids = [item.id for item in self.classes]
        if len(set(ids)) != len(ids) or len({item.name for item in self.classes}) != len(ids):
            raise DataError("classes", f"ids and names must differ from one another, got {ids}")
        if any(item < 0 for item in ids):
            raise DataError("classes", f"a class id must not be negative, got {min(ids)}", "Give it to data.ignore.")

    @classmethod
    def of_ids(cls, ids: Iterable[int], names: Mapping[int, str], ignore: Sequence[int] = ()) -> ClassMap:
        """Return the map of the ids found in label volumes, in ascending order; unnamed ones are named by number."""
        kept = sorted(set(ids) - set(ignore))
        return cls(tuple(ClassName(item, names.get(item, str(item))) for item in kept), tuple(ignore))

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in index order."""
        return tuple(item.name for item in self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def describe(self) -> str:
        """Return ``index = name (id)`` for every class, as training says it."""
        return ", ".join(
            f"{index} = {item.name}" + ("" if item.name == str(item.id) else f" (id {item.id})")
            for index, item in enumerate(self.classes)
        )

    def encode(self, labels: np.ndarray[Any, Any], where: str = "labels") -> np.ndarray[Any, Any]:
        """Return a new array of class indices (int8 or int16), -1 where the id is ignored.

        Raises:
            DataError: ids that belong to no class.
        """
        dtype = np.int8 if len(self) <= np.iinfo(np.int8).max else np.int16
        result = np.empty(labels.shape, dtype)
        ids = np.array([item.id for item in self.classes] + list(self.ignore), dtype=np.int64)
        indices = np.array([*range(len(self)), *(IGNORED for _ in self.ignore)], dtype=dtype)
        order = np.argsort(ids, kind="stable")
        ids, indices = ids[order], indices[order]
        for z in range(labels.shape[0]):
            plane = labels[z].astype(np.int64)
            place = np.minimum(np.searchsorted(ids, plane), len(ids) - 1)
            unknown = ids[place] != plane
            if unknown.any():
                raise self._outside(np.unique(labels), where)
            result[z] = indices[place]
        return result

    def _outside(self, found: np.ndarray[Any, Any], where: str) -> DataError:
        known = {item.id for item in self.classes} | set(self.ignore)
        outside = [int(item) for item in found if int(item) not in known]
        shown = ", ".join(map(str, outside[:8])) + (", ..." if len(outside) > 8 else "")  # noqa: PLR2004
        return DataError(
            where,
            f"ids {shown} are not among the classes {{{', '.join(str(item.id) for item in self.classes)}}}",
            "Name them in classes, or set data.ignore to leave them out.",
        )

    def decode(self, indices: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the original ids of class indices, in the smallest of uint8, uint16 and uint32."""
        table = np.array([item.id for item in self.classes], dtype=self.id_dtype)
        return table[indices]

    @property
    def id_dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every id."""
        return np.dtype(np.min_scalar_type(max(item.id for item in self.classes)))


def find_ids(labels: np.ndarray[Any, Any], where: str) -> dict[int, int]:
    """Return how many voxels each id has.

    Raises:
        DataError: the labels are not integers, or look like instance ids.
    """
    if labels.dtype.kind == "b":
        labels = labels.view(np.uint8)
    if labels.dtype.kind not in "iu":
        raise DataError(
            where,
            f"labels are {labels.dtype}; class ids must be integers",
            "If the values are whole numbers, convert the file to uint8 first.",
        )
    counts: dict[int, int] = {}
    for plane in labels:
        for item, count in zip(*_plane_counts(plane), strict=True):
            counts[int(item)] = counts.get(int(item), 0) + int(count)
        if len(counts) > _MAX_CLASSES:
            raise DataError(
                where,
                f"has more than {_MAX_CLASSES} different ids, which look like instances and not like classes",
                "Give a volume whose ids are classes.",
            )
    return dict(sorted(counts.items()))


def _plane_counts(plane: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    if plane.dtype.itemsize <= 2 and plane.dtype.kind == "u":  # noqa: PLR2004  (a table of 65536 counts beats a sort)
        counts = np.bincount(plane.reshape(-1), minlength=1)
        ids = np.flatnonzero(counts)
        return ids, counts[ids]
    return np.unique(plane, return_counts=True)


def class_names(attributes: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of ids that a label file carries in its attribute ``classes``."""
    listed = attributes.get("classes") or ()
    try:
        return {int(item["id"]): str(item["name"]) for item in listed}
    except (TypeError, KeyError, ValueError):
        return {}

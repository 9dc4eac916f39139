"""Label ids and class indices: one map for all volumes, and back to the original ids."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError
from volseg_core.volume.grid import pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

IGNORED = -1
"""Class index of voxels without a label."""

_MAX_CLASSES = 1024
_MAX_ID = 2**32 - 1
_TABLE = 1 << 20
"""Ids that span no more than this are looked up in a table."""
_SHOWN = 8
_WHERE = "classes"


@dataclass(frozen=True)
class ClassName:
    """A class: its id in label volumes and its name."""

    id: int
    name: str


@dataclass(frozen=True)
class ClassMap:
    """The classes in index order, and the ids that stand for "no label here".

    Raises:
        DataError: ids or names are used twice, an id is negative, above 32 bits, or both a class and ignored.
    """

    classes: tuple[ClassName, ...]
    ignore: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        ids = [item.id for item in self.classes]
        if twice := _repeated(ids):
            raise DataError(_WHERE, f"id {twice[0]} stands for two classes", "Give each class an id of its own.")
        if same := _repeated(self.names):
            raise DataError(_WHERE, f"two classes are named {same[0]!r}", "Give each class a name of its own.")
        if any(item < 0 for item in ids):
            raise DataError(_WHERE, f"a class id must not be negative, got {min(ids)}", "Give it to data.ignore.")
        if any(item > _MAX_ID for item in ids):
            raise DataError(_WHERE, f"a class id must be at most {_MAX_ID}, got {max(ids)}")
        if both := sorted(set(ids) & set(self.ignore)):
            raise DataError(_WHERE, f"id {both[0]} is a class and ignored", "Take it out of classes or data.ignore.")

    @classmethod
    def of_ids(cls, ids: Iterable[int], names: Mapping[int, str], ignore: Sequence[int] = ()) -> ClassMap:
        """Return the map of the ids found in label volumes, in ascending order.

        Ids without a name, or with a name that another one has too, are named by their number.
        """
        kept = sorted(set(ids) - set(ignore))
        chosen = [names.get(item, str(item)) for item in kept]
        shared = {*_repeated(chosen)}
        named = (str(item) if name in shared else name for item, name in zip(kept, chosen, strict=True))
        return cls(tuple(map(ClassName, kept, named)), tuple(ignore))

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

    def encode(
        self,
        labels: np.ndarray[Any, Any],
        where: str = "labels",
        new: Callable[[Any, Any], np.ndarray[Any, Any]] = np.empty,
    ) -> np.ndarray[Any, Any]:
        """Return an array of class indices (int8 or int16) that ``new`` makes, -1 where the id is ignored.

        Raises:
            DataError: labels that are not integers, or ids that belong to no class.
        """
        labels = _integers(labels, where)
        dtype = np.dtype(np.int8 if len(self) <= np.iinfo(np.int8).max else np.int16)
        result = new(labels.shape, dtype)
        known = {item.id: index for index, item in enumerate(self.classes)} | dict.fromkeys(self.ignore, IGNORED)
        for box in pieces(labels.shape):
            encoded = _look_up(labels[box], known, dtype)
            if encoded is None:
                raise self._outside(find_ids(labels, where), where)
            result[box] = encoded
        return result

    def _outside(self, found: Iterable[int], where: str) -> DataError:
        outside = sorted(set(found) - {item.id for item in self.classes} - set(self.ignore))
        shown = ", ".join(map(str, outside[:_SHOWN])) + (", ..." if len(outside) > _SHOWN else "")
        holds = f"id {shown}, which is" if len(outside) == 1 else f"ids {shown}, which are"
        return DataError(
            where,
            f"holds {holds} not among the classes {{{', '.join(str(item.id) for item in self.classes)}}}",
            "Name them in classes, or set data.ignore to leave them out.",
        )

    def decode(self, indices: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the original ids of class indices (0 and up), in the smallest of uint8, uint16 and uint32."""
        table = np.array([item.id for item in self.classes], dtype=self.id_dtype)
        if np.array_equal(table, np.arange(len(table))):
            return indices.astype(table.dtype)
        return np.take(table, indices)

    @property
    def id_dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every id."""
        return np.min_scalar_type(max(item.id for item in self.classes))


def _repeated(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]


def _look_up(
    piece: np.ndarray[Any, Any], known: Mapping[int, int], dtype: np.dtype[Any]
) -> np.ndarray[Any, Any] | None:
    """Return the class indices of a piece, or None when it holds an id that is not known."""
    low, high = min(known, default=0), max(known, default=-1)
    if int(piece.min()) < low or int(piece.max()) > high:
        return None
    unknown = np.iinfo(dtype).min
    wide = piece.astype(np.int64, copy=False)
    if high - low < _TABLE:
        table = np.full(high - low + 1, unknown, dtype)
        for number, index in known.items():
            table[number - low] = index
        encoded = table.take(wide - low if low else wide)
    else:
        ids = np.array(sorted(known), np.int64)
        place = np.searchsorted(ids, wide)
        indices = np.array([known[int(number)] for number in ids], dtype)
        encoded = np.where(ids[place] == wide, indices[place], unknown).astype(dtype)
    return None if (encoded == unknown).any() else encoded


def _integers(labels: np.ndarray[Any, Any], where: str) -> np.ndarray[Any, Any]:
    """Return labels as integers without a copy: those of booleans are 0 and 1.

    Raises:
        DataError: they are neither.
    """
    if labels.dtype.kind == "b":
        return labels.view(np.uint8)
    if labels.dtype.kind not in "iu":
        raise DataError(
            where,
            f"labels are {labels.dtype}; class ids must be integers",
            "If the values are whole numbers, convert the file to uint8 first.",
        )
    return labels


def find_ids(labels: np.ndarray[Any, Any], where: str) -> dict[int, int]:
    """Return how many voxels each id has.

    Raises:
        DataError: the labels are not integers, or look like instance ids.
    """
    labels = _integers(labels, where)
    counts: Counter[int] = Counter()
    for box in pieces(labels.shape):
        counts.update(_count(labels[box]))
        if len(counts) > _MAX_CLASSES:
            raise DataError(
                where,
                f"has more than {_MAX_CLASSES} different ids, which look like instances and not like classes",
                "Give a volume whose ids are classes.",
            )
    return dict(sorted(counts.items()))


def _count(piece: np.ndarray[Any, Any]) -> dict[int, int]:
    low, high = int(piece.min()), int(piece.max())
    if high - low < _TABLE and high <= _MAX_ID:  # counting beats sorting
        wide = piece.reshape(-1).astype(np.int64)
        voxels = np.bincount(wide - low if low else wide)
        ids = np.flatnonzero(voxels)
        return dict(zip((ids + low).tolist(), voxels[ids].tolist(), strict=True))
    numbers, voxels = np.unique(piece, return_counts=True)
    return dict(zip(numbers.tolist(), voxels.tolist(), strict=True))


def class_names(attributes: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of ids that a label file carries in its attribute ``classes``, a list of ids and names."""
    listed = attributes.get("classes")
    if not isinstance(listed, (list, tuple)):
        return {}
    try:
        return {int(item["id"]): str(item["name"]) for item in listed}
    except (TypeError, KeyError, ValueError):
        return {}

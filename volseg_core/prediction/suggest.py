"""What to label next: the boxes of a volume where its segmentation is least certain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from volseg_core.volume import ClassMap

    Size = tuple[int, int, int]

EDGES = (64, 48, 32, 24, 16)
"""Edges of a box, the largest with room in the volume for twice as many boxes as wanted, else the last."""
THICKNESS = 8
BYTE = 255
STEPS = 4
"""Boxes are tried a quarter of their size apart."""


@dataclass(frozen=True)
class Suggestion:
    """A box worth labelling: its ranges along z, y and x, its mean score, and the share of each predicted class."""

    box: tuple[slice, slice, slice]
    score: float
    shares: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; ranges are ``[start, stop]`` without the stop."""
        ranges = {axis: [part.start, part.stop] for axis, part in zip("zyx", self.box, strict=True)}
        return {**ranges, "score": self.score, "classes": dict(self.shares)}


def box_size(shape: Size, count: int, size: Sequence[int] = (), *, slabs: bool = False) -> Size:
    """Return the size of the boxes: ``size`` (one number or three) where given, clipped to the volume.

    Without it a cube of 64, or smaller (down to 16) where the volume has no room for twice ``count``; slabs are whole
    planes along z, 8 or as few as leave room for ``count``.

    Raises:
        UsageError: sizes or a count below 1, or other than 1 or 3 sizes (for slabs 1, their thickness).
    """
    if count < 1:
        raise UsageError("--count", f"{count} is below 1")
    if any(edge < 1 for edge in size):
        raise UsageError("--size", f"{min(size)} is below 1")
    if slabs:
        if len(size) > 1:
            raise UsageError("--size", f"slabs have one size, their thickness along z, not {len(size)}")
        thickness = size[0] if size else max(1, min(THICKNESS, shape[0] // count))
        return min(thickness, shape[0]), shape[1], shape[2]
    if len(size) not in (0, 1, 3):
        raise UsageError("--size", f"takes one number or three (z, y, x), not {len(size)}")
    if len(size) == 3:  # noqa: PLR2004  (z, y, x)
        return _clipped((size[0], size[1], size[2]), shape)
    edges = tuple(size) or EDGES
    cubes = [_clipped((edge, edge, edge), shape) for edge in edges]
    roomy = [cube for cube in cubes if _room(cube, shape) >= 2 * count]
    return roomy[0] if roomy else cubes[-1]


def _clipped(size: Size, shape: Size) -> Size:
    return min(size[0], shape[0]), min(size[1], shape[1]), min(size[2], shape[2])


def _room(size: Size, shape: Size) -> int:
    """Return how many boxes lie side by side in a volume."""
    return math.prod(whole // edge for whole, edge in zip(shape, size, strict=True))


def rank(
    scores: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], classes: ClassMap, size: Size, count: int
) -> list[Suggestion]:
    """Return up to ``count`` boxes, the highest mean of ``scores`` (Z, Y, X) first; none overlaps a better one.

    That no two overlap is all that keeps them apart: neighbours of one difficult place may both be listed. Boxes are
    tried a quarter of their size apart; of equal means the first in the order of the volume comes first.
    ``labels`` holds the predicted ids; in scores of bytes 255 counts as 1.
    """
    starts = [_starts(whole, edge) for whole, edge in zip(scores.shape, size, strict=True)]
    means = _means(scores, size, starts)
    chosen: list[tuple[slice, slice, slice]] = []
    result = []
    corners = list(product(*(axis.tolist() for axis in starts)))
    for place in np.argsort(-means.ravel(), kind="stable").tolist():
        z, y, x = (slice(begin, begin + edge) for begin, edge in zip(corners[place], size, strict=True))
        if any(_overlap((z, y, x), other) for other in chosen):
            continue
        chosen.append((z, y, x))
        result.append(Suggestion((z, y, x), float(means.ravel()[place]), _shares(labels[z, y, x], classes)))
        if len(result) == count:
            break
    return result


def _starts(whole: int, edge: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return where boxes begin along an axis, the last one at its end."""
    last = whole - edge
    return np.unique([*range(0, last, max(1, edge // STEPS)), last])


def _means(
    scores: np.ndarray[Any, Any], size: Size, starts: Sequence[np.ndarray[Any, Any]]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the mean of each box, by sums from the corner plane by plane: no copy of the volume is made."""
    rows, columns = starts[1], starts[2]
    planes = np.zeros((scores.shape[0] + 1, len(rows), len(columns)))
    corner = np.zeros((scores.shape[1] + 1, scores.shape[2] + 1))
    for index, plane in enumerate(scores):
        corner[1:, 1:] = plane.astype(np.float64).cumsum(0).cumsum(1)
        bands = corner[rows + size[1]] - corner[rows]
        planes[index + 1] = bands[:, columns + size[2]] - bands[:, columns]
    sums = planes.cumsum(0)
    unit = BYTE if scores.dtype == np.uint8 else 1
    return np.asarray((sums[starts[0] + size[0]] - sums[starts[0]]) / (unit * math.prod(size)), np.float64)


def _overlap(one: Sequence[slice], other: Sequence[slice]) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def _shares(labels: np.ndarray[Any, Any], classes: ClassMap) -> dict[str, float]:
    return {item.name: float((labels == item.id).mean()) for item in classes.classes}

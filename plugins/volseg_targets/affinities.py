"""Whether two voxels at an offset belong to the same object."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import UsageError
from volseg_targets.boundaries import boundary_map, check_connectivity
from volseg_targets.neighbours import UNLABELLED, Array, Slices, known_channels, pair

if TYPE_CHECKING:
    from collections.abc import Sequence

Offset = tuple[int, ...]


class Affinities:
    """Affinity of a voxel and that at an offset: ids (*S) to (K, *S), a channel for each offset.

    1 where both have the same positive id, else 0 (Turaga et al. 2010, doi:10.1162/neco.2009.10-08-881). NaN where
    one of the two has no label or lies outside of the window.

    Args:
        offsets: steps to the partner along the axes of the window, in voxels; null is one step back along each axis.
        background: whether two voxels of the background belong together.
        values: ``same`` is 1 for voxels that belong together, ``different`` is 1 for those that do not.
        placed: which voxel holds the value, the ``first`` of the two or the one in the ``middle``.
        grouped: this many successive offsets share a channel: 1 where all their pairs belong together.
        channel: what comes before them as a channel: ``none``, ``foreground`` or ``boundary`` (thick).
        connectivity: of the boundaries' neighbours, 1 for faces, 2 also edges, 3 also corners.
        dims: dimensions of the windows.

    Raises:
        UsageError: an offset that is none in ``dims`` dimensions, or is there twice; groups of unequal size; the
            connectivity is larger than the dimensions.
    """

    def __init__(
        self,
        *,
        offsets: Sequence[Sequence[int]] | None = None,
        background: bool = False,
        values: str = "same",
        placed: str = "first",
        grouped: int = 1,
        channel: str = "none",
        connectivity: int = 1,
        dims: int,
    ) -> None:
        self.offsets = _checked(_nearest(dims) if offsets is None else offsets, dims)
        if len(self.offsets) % grouped:
            message = f"{len(self.offsets)} offsets do not form groups of {grouped}"
            raise UsageError("target.grouped", message, "Give a divisor of their number.")
        check_connectivity(connectivity, dims)
        self.background = background
        self.different = values == "different"
        self.middle = placed == "middle"
        self.channel = channel
        self.connectivity = connectivity
        self._groups = [self.offsets[start : start + grouped] for start in range(0, len(self.offsets), grouped)]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels, such as ``affinity -1 0 0``."""
        word = "difference" if self.different else "affinity"
        steps = (", ".join(" ".join(map(str, offset)) for offset in group) for group in self._groups)
        before = () if self.channel == "none" else (self.channel,)
        return (*before, *(f"{word} {step}" for step in steps))

    def __call__(self, ids: Array) -> Array:
        """Return the affinities, or the differences, and the channel before them."""
        channels: list[Array] = []
        if self.channel == "foreground":
            channels.append(ids > 0)
        elif self.channel == "boundary":
            channels.append(boundary_map(ids, "thick", self.connectivity))
        unlabelled = ids <= UNLABELLED
        for group in self._groups:
            together = reduce(np.minimum, (self._together(ids, unlabelled, offset) for offset in group))
            channels.append(1 - together if self.different else together)
        return known_channels(channels, ids)

    def _together(self, ids: Array, unlabelled: Array, offset: Offset) -> Array:
        """Return 1 where the two voxels of a pair belong together, 0 where not (*S)."""
        first, second = pair(offset, ids.shape)
        same = ids[first] == ids[second]
        if not self.background:
            same &= ids[first] > 0
        values: Array = np.full(ids.shape, np.nan, np.float32)
        place = _middle(first, offset) if self.middle else first
        values[place] = same
        np.copyto(values[place], np.nan, where=unlabelled[first] | unlabelled[second])
        return values


def _nearest(dims: int) -> list[Offset]:
    return [tuple(-int(axis == step) for axis in range(dims)) for step in range(dims)]


def _middle(first: Slices, offset: Offset) -> Slices:
    """Return a box moved by half the offset, rounded towards where it is."""
    halves = (abs(step) // 2 * (1 if step > 0 else -1) for step in offset)
    return tuple(slice(side.start + half, side.stop + half) for side, half in zip(first, halves, strict=True))


def _checked(offsets: Sequence[Any], dims: int) -> tuple[Offset, ...]:
    where, hint = "target.offsets", f"Write them like {_nearest(dims)[0]}."
    if not offsets:
        raise UsageError(where, "there is none", hint)
    for offset in offsets:
        whole = isinstance(offset, (list, tuple)) and all(type(step) is int for step in offset)
        if not whole or len(offset) != dims or not any(offset):
            raise UsageError(where, f"{offset!r} is no step along {dims} axes in whole voxels", hint)
    found = tuple(map(tuple, offsets))
    if len(set(found)) < len(found):
        twice = next(offset for offset in found if found.count(offset) > 1)
        raise UsageError(where, f"{list(twice)} is there twice", "Name each offset once.")
    return found

"""What steps ask of the arrays that they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]
Spacing = tuple[float, float, float]

WHERE = "postprocess"
LABELS, INSTANCES = "labels", "instances"
_HALF = 0.5


def one_channel(array: Array, channel: int | None) -> Array:
    """Return a channel (*S) of an array (K, *S), the last one for None.

    Raises:
        UsageError: there is no such channel.
    """
    index = len(array) - 1 if channel is None else channel
    if not 0 <= index < len(array):
        raise UsageError(WHERE, f"channel {index} is not among the {len(array)} that there are", "They count from 0.")
    chosen: Array = array[index]
    return chosen


def chosen(array: Array, taken: str, channel: int | None, threshold: float) -> Array:
    """Return where objects are, bool (*S): labels of a class (all but 0 for None), or a channel above a threshold."""
    if taken == LABELS:
        return array > 0 if channel is None else array == channel
    return one_channel(array, channel) > threshold


def inside(array: Array, foreground: int | None) -> Array | None:
    """Return where the channel ``foreground`` of probabilities is above a half, None (everywhere) without one."""
    return None if foreground is None else one_channel(array, foreground) > _HALF


def proportions(spacing: Spacing | None) -> Spacing:
    """Return the size of a voxel along each axis in units of its smallest."""
    if spacing is None:
        return 1.0, 1.0, 1.0
    z, y, x = (size / min(spacing) for size in spacing)
    return z, y, x


def as_offsets(offsets: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    """Return offsets as (z, y, x); those of two axes are (y, x).

    Raises:
        UsageError: one has neither two nor three whole numbers, or is zero.
    """
    found = []
    for offset in offsets:
        parts = list(offset) if isinstance(offset, (list, tuple)) else []
        whole = all(isinstance(part, int) and not isinstance(part, bool) for part in parts)
        if len(parts) not in (2, 3) or not whole or not any(parts):
            raise UsageError(
                WHERE, f"offset {offset!r} is no step (z, y, x)", "For example: offsets=[[-1,0,0],[0,-1,0]]"
            )
        z, y, x = [0] * (3 - len(parts)) + parts
        found.append((z, y, x))
    return found


def enough_channels(name: str, probabilities: Array, offsets: Sequence[Sequence[int]]) -> None:
    """Raise a UsageError when there are more offsets than channels."""
    if len(probabilities) < len(offsets):
        what = f"{name} has {len(offsets)} offsets, and there are {len(probabilities)} channels"
        raise UsageError(WHERE, what, "They must be those of the head's target.")


def ends(offset: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the boxes of the voxels from which a step by ``offset`` stays in the volume, and of those it leads to."""
    starts = tuple(slice(max(0, -step), -step if step > 0 else None) for step in offset)
    return starts, tuple(slice(max(0, step), step if step < 0 else None) for step in offset)

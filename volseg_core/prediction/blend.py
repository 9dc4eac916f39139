"""Blending overlapping windows of a view, in memory for no more planes than one window is deep."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any

from array_api_compat import array_namespace, device

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from volseg_core.volume import Tiling


def blend(parts: Iterable[Any], tiling: Tiling) -> Iterator[tuple[slice, Any]]:
    """Yield runs of planes along the first axis and their probabilities (C, *S), once no later window reaches them.

    ``parts`` are the probabilities (C, *window) of the windows of ``tiling`` in their order, of any array library. The
    weights of overlapping windows add up to 1, so that nothing has to be counted. What was yielded must not be kept:
    the next planes take its place.
    """
    starts = tiling.starts(0)
    ends = [*starts[1:], tiling.shape[0]]
    layer = math.prod(len(tiling.starts(axis)) for axis in range(1, len(tiling.shape)))
    weights = Weights(tiling)
    held: Any = None
    for number, (part, box) in enumerate(zip(parts, tiling.boxes(), strict=True)):
        if held is None:
            held = _zeros(part, (tiling.window[0], *tiling.shape[1:]))
        held[(slice(None), slice(None), *box[1:])] += part * weights.like(part, number)
        if (number + 1) % layer == 0:
            start, stop = starts[number // layer], ends[number // layer]
            yield slice(start, stop), held[:, : stop - start]
            _move_up(held, stop - start)


class Weights:
    """The weights of a tiling's windows, in the library and on the device of what they weigh; profiles are kept."""

    def __init__(self, tiling: Tiling) -> None:
        profiles = [tiling.profiles(axis) for axis in range(len(tiling.shape))]
        self._profiles = list(product(*profiles))
        self._known: dict[int, Any] = {}

    def like(self, part: Any, number: int) -> Any:
        """Return the weights of window ``number`` as an array of the kind of ``part``."""
        *outer, weight = (self._array(part, profile) for profile in self._profiles[number])
        for profile in reversed(outer):
            weight = profile[(slice(None), *[None] * weight.ndim)] * weight
        return weight

    def _array(self, part: Any, profile: Any) -> Any:
        if id(profile) not in self._known:
            self._known[id(profile)] = array_namespace(part).asarray(profile, device=device(part))
        return self._known[id(profile)]


def _move_up(held: Any, by: int) -> None:
    """Move planes towards the start in place, ``by`` at a time so that none is read after it was written."""
    depth = held.shape[1]
    for at in range(0, depth, by):
        count = max(0, min(by, depth - at - by))
        held[:, at : at + count] = held[:, at + by : at + by + count]
        held[:, at + count : at + by] = 0


def _zeros(part: Any, shape: tuple[int, ...]) -> Any:
    xp = array_namespace(part)
    return xp.zeros((part.shape[0], *shape), dtype=xp.float32, device=device(part))

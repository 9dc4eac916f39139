"""Blending overlapping windows of a view, in memory for no more planes than one window is deep."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from array_api_compat import array_namespace, device

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from volseg_core.volume import Tiling


def blend(parts: Iterable[Any], tiling: Tiling) -> Iterator[tuple[slice, Any]]:
    """Yield runs of planes along the first axis and their probabilities (C, *S), once no later window reaches them.

    ``parts`` are the probabilities (C, *window) of the windows of ``tiling`` in their order, of any array library. The
    weights of overlapping windows add up to 1, so that nothing has to be counted. What was yielded must not be kept.
    """
    starts = tiling.starts(0)
    ends = [*starts[1:], tiling.shape[0]]
    layer = math.prod(len(tiling.starts(axis)) for axis in range(1, len(tiling.shape)))
    held: Any = None
    for number, (part, box, weight) in enumerate(zip(parts, tiling.boxes(), tiling.weights(), strict=True)):
        if held is None:
            held = _zeros(part, (tiling.window[0], *tiling.shape[1:]))
        xp = array_namespace(part)
        held[(slice(None), slice(None), *box[1:])] += part * xp.asarray(weight, device=device(part))
        if (number + 1) % layer == 0:
            start, stop = starts[number // layer], ends[number // layer]
            yield slice(start, stop), held[:, : stop - start]
            held = xp.concat((held[:, stop - start :], _zeros(part, (stop - start, *tiling.shape[1:]))), axis=1)


def _zeros(part: Any, shape: tuple[int, ...]) -> Any:
    xp = array_namespace(part)
    return xp.zeros((part.shape[0], *shape), dtype=xp.float32, device=device(part))

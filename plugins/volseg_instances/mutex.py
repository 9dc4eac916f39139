"""The mutex watershed of affinities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mwatershed
import numpy as np

from volseg_instances.inputs import Array, as_offsets, ends, enough_channels, inside

if TYPE_CHECKING:
    from collections.abc import Sequence


class MutexWatershed:
    """Join voxels by affinities above ``bias`` and forbid joins by those below, the most decided first.

    Wolf et al., The Mutex Watershed, ECCV 2018, doi:10.1007/978-3-030-01225-0_34.

    Args:
        offsets: the step (z, y, x), or (y, x), of each channel of affinities, as in the head's target.
        bias: the affinity that says nothing; a larger one splits more.
        foreground: channel of the foreground's probability, after those of affinities; below 0.5 there is no object.
        halo: voxels of context around a block.
    """

    def __init__(
        self, *, offsets: Sequence[Sequence[int]], bias: float = 0.5, foreground: int | None = None, halo: int = 32
    ) -> None:
        self.offsets = as_offsets(offsets)
        self.bias, self.foreground, self.halo = bias, foreground, halo
        self.channels = len(self.offsets) if foreground is None else None

    def __call__(self, probabilities: Array) -> Array:
        """Return instances (*S) of probabilities (K, *S)."""
        enough_channels("mutex-watershed", probabilities, self.offsets)
        edges = probabilities[: len(self.offsets)].astype(np.float64) - self.bias
        mask = inside(probabilities, self.foreground)
        if mask is not None:
            self._cut(edges, mask)
        found = mwatershed.agglom(np.ascontiguousarray(edges), self.offsets)
        return np.asarray(found if mask is None else found * mask)

    def _cut(self, edges: Array, mask: Array) -> None:
        """Take edges that leave the foreground out of the competition: at 0 they come last and forbid what is left."""
        for edge, offset in zip(edges, self.offsets, strict=True):
            here, there = ends(offset)
            within = np.zeros(mask.shape, bool)
            within[here] = mask[here] & mask[there]
            edge[~within] = 0

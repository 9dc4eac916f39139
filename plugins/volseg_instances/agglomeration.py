"""Agglomeration: fragments of a watershed that are joined by the mean affinity of the faces where they touch.

Fragments of affinities are those of waterz's own watershed, which runs along faces between voxels; a boundary has a
thickness, and is flooded from seeds.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import waterz
from skimage.segmentation import watershed

from volseg_core.api import UsageError
from volseg_instances.inputs import (
    WHERE,
    Array,
    Spacing,
    as_offsets,
    ends,
    enough_channels,
    inside,
    one_channel,
    proportions,
)
from volseg_instances.watersheds import fragment_seeds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AXES = 3
_HALF, _LOW, _HIGH = 0.5, 0.1, 0.9
_DIRECT = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))


class Agglomeration:
    """Flood fragments between boundaries and join neighbours, those of the highest mean affinity first.

    Funke et al., Large Scale Image Segmentation with Structured Loss Based Deep Learning for Connectome
    Reconstruction, IEEE TPAMI 2019, doi:10.1109/TPAMI.2018.2835450.

    Args:
        offsets: the step of each channel of affinities, as in the head's target, with the direct neighbours among
            them; None takes ``channel`` as the probability of a boundary, between whose voxels the affinity is 1
            minus the larger.
        channel: channel of the boundary, without ``offsets``; None is the last.
        threshold: joining stops where 1 minus the mean affinity reaches it; a larger one joins more.
        min_distance: without ``offsets`` seeds of fragments are the peaks of the distance to the boundary in a box that
            reaches so far, in the smallest edge of a voxel.
        foreground: channel of the foreground's probability; below 0.5 there is no object.
        halo: voxels of context around a block.
        spacing: size of a voxel (z, y, x), for what it says of their proportions.
    """

    def __init__(
        self, *, offsets: Sequence[Sequence[int]] | None = None, channel: int | None = None, threshold: float = 0.4,
        min_distance: float = 3.0, foreground: int | None = None, halo: int = 32, spacing: Spacing | None = None,
    ) -> None:  # fmt: skip
        self.offsets = None if offsets is None else as_offsets(offsets)
        self.direct = [] if self.offsets is None else _direct(self.offsets)
        self.channel, self.threshold, self.min_distance = channel, threshold, min_distance
        self.foreground, self.halo = foreground, halo
        self.shares = proportions(spacing)

    def __call__(self, probabilities: Array) -> Array:
        """Return instances (*S) of probabilities (K, *S)."""
        mask = inside(probabilities, self.foreground)
        if self.offsets is not None:
            affinities = self._of_direct(probabilities, self.offsets)
            if mask is not None:
                _cut(affinities, mask)
            found = _agglomerate(affinities, self.threshold, None)
            return found if mask is None else found * mask
        boundary = one_channel(probabilities, self.channel)
        seeds = fragment_seeds(boundary, mask, _HALF, self.min_distance, 1.0, self.shares)
        fragments = np.asarray(watershed(boundary, seeds, mask=mask)).astype(np.uint64)
        return _agglomerate(_of_boundary(boundary), self.threshold, fragments) if fragments.any() else fragments

    def _of_direct(self, probabilities: Array, offsets: Sequence[Sequence[int]]) -> Array:
        enough_channels("agglomeration", probabilities, offsets)
        affinities = np.ones((_AXES, *probabilities.shape[1:]), np.float32)
        for axis, (channel, ahead) in enumerate(self.direct):
            here, there = ends(_DIRECT[axis])
            affinities[axis][here] = probabilities[channel][there if ahead else here]
        return affinities


def _direct(offsets: list[tuple[int, int, int]]) -> list[tuple[int, bool]]:
    """Return for each axis the channel of its direct neighbours, and whether its step goes ahead.

    Raises:
        UsageError: an axis has none.
    """
    found = []
    for step in _DIRECT:
        ahead = tuple(-part for part in step)
        match = next(
            ((index, offset == ahead) for index, offset in enumerate(offsets) if offset in (step, ahead)), None
        )
        if match is None:
            raise UsageError(WHERE, f"agglomeration: no offset is {list(step)}", "It needs the direct neighbours.")
        found.append(match)
    return found


def _of_boundary(boundary: Array) -> Array:
    """Return affinities (3, *S) of each voxel to the one before it along each axis."""
    affinities = np.ones((_AXES, *boundary.shape), np.float32)
    for axis, step in enumerate(_DIRECT):
        here, there = ends(step)
        affinities[axis][here] = 1 - np.maximum(boundary[here], boundary[there])
    return affinities


def _cut(affinities: Array, mask: Array) -> None:
    """Set affinities (3, *S) to 0 where one of the two voxels is outside a mask (*S)."""
    for affinity, step in zip(affinities, _DIRECT, strict=True):
        here, there = ends(step)
        affinity[here] *= mask[here] & mask[there]


def _agglomerate(affinities: Array, threshold: float, fragments: Array | None) -> Array:
    """Return instances (*S); without ``fragments`` those of waterz's own watershed of affinities."""
    with _without_its_prints():
        found = waterz.agglomerate(
            affinities, [threshold], fragments=fragments, aff_threshold_low=_LOW, aff_threshold_high=_HIGH
        )
        return np.array(next(iter(found)))


@contextmanager
def _without_its_prints() -> Iterator[None]:
    """Keep off standard output what waterz writes there, from Python and from C++."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            os.dup2(nowhere.fileno(), 1)
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)

"""Blocks: a core box and a halo of real context, the unit of out-of-core and distributed work."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Box = tuple[slice, slice, slice]
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Block:
    """A core box of the volume and the outer box, with its halo, that is read to compute it."""

    index: int
    core: Box
    outer: Box

    @property
    def shape(self) -> Triple:
        """Voxels of the outer box."""
        z, y, x = (part.stop - part.start for part in self.outer)
        return z, y, x

    def inside(self) -> Box:
        """Return the core within the outer box."""
        return within(self.core, self.outer)


@dataclass(frozen=True)
class BlockGrid:
    """A volume cut into ``counts`` blocks along (z, y, x), as even as can be, each with a ``halo``."""

    shape: Triple
    counts: Triple
    halo: Triple = (0, 0, 0)

    @classmethod
    def of_edge(cls, shape: Triple, edge: int, halo: Triple = (0, 0, 0)) -> BlockGrid:
        """Return the grid whose cores measure ``edge`` voxels at most along each axis."""
        z, y, x = (max(1, math.ceil(size / edge)) for size in shape)
        return cls(shape, (z, y, x), halo)

    def __len__(self) -> int:
        return math.prod(self.counts)

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks, x fastest; their cores cover every voxel once."""
        for index in range(len(self)):
            core = self._core(index)
            yield Block(index, core, widened(core, self.halo, self.shape))

    def before(self, index: int, axis: int) -> int | None:
        """Return the index of the block that comes before one along ``axis``, None for the first."""
        step = math.prod(self.counts[axis + 1 :])
        return index - step if index // step % self.counts[axis] else None

    def _core(self, index: int) -> Box:
        parts = []
        for axis, (size, count) in enumerate(zip(self.shape, self.counts, strict=True)):
            place = index // math.prod(self.counts[axis + 1 :]) % count
            parts.append(slice(place * size // count, (place + 1) * size // count))
        return parts[0], parts[1], parts[2]


def widened(box: Box, by: Triple, shape: Triple) -> Box:
    """Return a box grown by (z, y, x) voxels on either side, as far as the volume goes."""
    z, y, x = (
        slice(max(0, part.start - more), min(size, part.stop + more))
        for part, more, size in zip(box, by, shape, strict=True)
    )
    return z, y, x


def within(box: Box, outer: Box) -> Box:
    """Return a box of the volume as a box of an array that holds ``outer``."""
    z, y, x = (
        slice(part.start - around.start, part.stop - around.start) for part, around in zip(box, outer, strict=True)
    )
    return z, y, x


def whole_volume(shape: Triple) -> list[Block]:
    """Return the one block that is the whole volume: exact, without seams."""
    return list(BlockGrid(shape, (1, 1, 1)).blocks())

"""Blocks: a core box and a halo of real context, the unit of out-of-core and distributed work."""

from __future__ import annotations

from dataclasses import dataclass

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Block:
    """A core box of the volume and the outer box, with its halo, that is read to compute it."""

    index: int
    core: Box
    outer: Box

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the outer box."""
        z, y, x = (part.stop - part.start for part in self.outer)
        return z, y, x

    def inside(self) -> Box:
        """Return the core within the outer box."""
        z, y, x = (
            slice(core.start - outer.start, core.stop - outer.start)
            for core, outer in zip(self.core, self.outer, strict=True)
        )
        return z, y, x


def whole_volume(shape: tuple[int, int, int]) -> list[Block]:
    """Return the one block that is the whole volume: exact, without seams."""
    box = (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))
    return [Block(0, box, box)]

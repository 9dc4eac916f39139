"""Stitching: objects that blocks number by themselves get one number each in the whole volume.

Two neighbouring blocks both see the two layers of voxels on either side of the face between their cores, and a margin
of one voxel around it. An object of one and an object of the other are the same where more than the share ``overlap``
of the larger one, counted in these layers, has both numbers; with ``overlap`` 0 one voxel is enough. That is exact for
connected components (of any connectivity): every path between two cores passes such a face. From 0.5 on no object has
two partners across one face, so that a block that sees two objects as one does not join those of its neighbours.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import ResourceError
from volseg_core.volume.blocks import widened, within

if TYPE_CHECKING:
    from volseg_core.volume.blocks import Block, BlockGrid, Box

Array = np.ndarray[Any, Any]

_MOST = np.iinfo(np.uint32).max
_NOWHERE = np.iinfo(np.int64).max


class Numbers:
    """Numbers of objects that are joined, and the first voxel of each in the order of memory (C order)."""

    def __init__(self) -> None:
        self._parents = array("q", [0])
        self._first = [np.full(1, _NOWHERE)]

    def add(self, first: Array) -> int:
        """Take objects by their first voxels and return the number that comes before theirs.

        Raises:
            ResourceError: there are more than 32 bits can number.
        """
        before = len(self._parents) - 1
        if before + len(first) > _MOST:
            raise ResourceError("postprocess", "there are more than 4 294 967 295 objects", "Remove small ones first.")
        self._parents.extend(range(before + 1, before + 1 + len(first)))
        self._first.append(first)
        return before

    def join(self, one: int, other: int) -> None:
        """Make two numbers mean one object."""
        low, high = sorted((self._root(one), self._root(other)))
        self._parents[high] = low

    def _root(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def table(self) -> Array:
        """Return the final number of every number, uint32: 1 and up in the order of first voxels, 0 where none is."""
        parents = np.frombuffer(self._parents, np.int64).copy()
        while (parents != (above := parents[parents])).any():
            parents = above
        first = np.full(len(parents), _NOWHERE)
        np.minimum.at(first, parents, np.concatenate(self._first))
        return ranked(first)[parents]


class Stitcher:
    """Takes what blocks of a grid found, in the grid's order, and joins objects where blocks meet."""

    def __init__(self, grid: BlockGrid, overlap: float) -> None:
        self._grid, self._overlap = grid, overlap
        self._numbers = Numbers()
        self._faces: dict[tuple[int, int], Array] = {}

    def add(self, block: Block, ids: Array) -> Array:
        """Return the numbers (uint32) of a block's core; ``ids`` (its outer box) are what it found, 0 for none."""
        local, count = consecutive(ids)
        first = first_voxels(local[block.inside()], count, block.core, self._grid.shape)
        before = self._numbers.add(first)
        local[local > 0] += np.uint32(before)
        for axis in range(3):
            self._meet(block, local, axis)
        return local[block.inside()]

    def _meet(self, block: Block, numbers: Array, axis: int) -> None:
        """Join with the block before, and keep the face for the block behind."""
        before = self._grid.before(block.index, axis)
        if before is not None:
            there = self._faces.pop((before, axis))
            for one, other in matches(there, numbers[self._face(block, axis, block.core[axis].start)], self._overlap):
                self._numbers.join(one, other)
        if block.core[axis].stop < self._grid.shape[axis]:
            self._faces[block.index, axis] = numbers[self._face(block, axis, block.core[axis].stop)].copy()

    def _face(self, block: Block, axis: int, place: int) -> Box:
        box = list(widened(block.core, (1, 1, 1), self._grid.shape))
        box[axis] = slice(place - 1, place + 1)
        return within((box[0], box[1], box[2]), block.outer)

    def table(self) -> Array:
        """Return the final number of every number given out (`Numbers.table`)."""
        return self._numbers.table()


def consecutive(ids: Array) -> tuple[Array, int]:
    """Return ids as uint32 numbers 0 to ``count``, in their order, and how many there are besides 0."""
    top = int(ids.max(initial=0))
    if top <= max(1 << 16, 4 * ids.size):
        present = np.zeros(top + 1, bool)
        present[ids.reshape(-1)] = True
        present[0] = False
        table = np.cumsum(present, dtype=np.uint32) * present
        return table[ids], int(np.count_nonzero(present))
    known, numbers = np.unique(ids, return_inverse=True)
    shift = 0 if known[0] == 0 else 1
    return (numbers + shift).astype(np.uint32).reshape(ids.shape), len(known) - 1 + shift


def first_voxels(numbers: Array, count: int, box: Box, shape: tuple[int, int, int]) -> Array:
    """Return where in the volume, in C order, each number 1 to ``count`` of a box is met first (int64)."""
    first = np.full(count + 1, _NOWHERE)
    _, height, width = shape
    z, y, x = (np.arange(part.start, part.stop, dtype=np.int64) for part in box)
    plane = (y[:, None] * width + x).reshape(-1)[::-1]
    for index in range(len(z) - 1, -1, -1):  # what is written last stays: the first voxel
        first[numbers[index].reshape(-1)[::-1]] = z[index] * height * width + plane
    return first[1:]


def ranked(first: Array) -> Array:
    """Return new numbers (uint32) of numbers by their first voxels: 1 and up in that order, 0 for those that are gone.

    What stands at 0 is the background.
    """
    there = np.flatnonzero(first[1:] != _NOWHERE) + 1
    table = np.zeros(len(first), np.uint32)
    table[there[np.argsort(first[there], kind="stable")]] = np.arange(1, len(there) + 1, dtype=np.uint32)
    return table


def matches(one: Array, other: Array, overlap: float) -> list[tuple[int, int]]:
    """Return pairs of numbers of two arrays of the same voxels that mean the same object (`Stitcher`)."""
    both = (one > 0) & (other > 0)
    pairs, counts = np.unique(one[both].astype(np.uint64) << 32 | other[both], return_counts=True)
    left, right = pairs >> 32, pairs & _MOST
    larger = np.maximum(_sizes(one, left), _sizes(other, right))
    same = counts > overlap * larger
    return list(zip(left[same].tolist(), right[same].tolist(), strict=True))


def _sizes(numbers: Array, wanted: Array) -> Array:
    known, counts = np.unique(numbers, return_counts=True)
    return counts[np.searchsorted(known, wanted)]

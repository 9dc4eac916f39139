"""One step after the merge over a whole volume, block by block where it allows that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.catalog import blame
from volseg_core.errors import PluginError, UsageError, VolsegError
from volseg_core.prediction.stitching import Stitcher, first_voxels, ranked
from volseg_core.tasks import INSTANCES, LABELS, PROBABILITIES, VALUES
from volseg_core.volume.blocks import BlockGrid

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.prediction.scratch import Scratch
    from volseg_core.progress import Progress
    from volseg_core.recipe.steps import Step
    from volseg_core.volume.blocks import Block, Box, Triple

Array = np.ndarray[Any, Any]

BLOCK_VALUES = 1 << 25
"""Values (voxels times channels) that a step is given at once, its halo included."""
_SMALLEST_EDGE = 32
_FLOATS = (PROBABILITIES, VALUES)
OVERLAP = 0.5


@dataclass(frozen=True)
class Layer:
    """An array of the whole volume that is read box by box: integers (Z, Y, X), or float32 (K, Z, Y, X).

    ``channels`` is K, 0 for integers; ``most`` the largest number that integers may have. ``free`` gives up its memory.
    """

    kind: str
    shape: Triple
    channels: int
    most: int
    read: Callable[[Box], Array]
    free: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Running:
    """A step with the object that does it."""

    step: Step
    target: Any

    @property
    def name(self) -> str:
        """Name of the component."""
        return self.step.use.provided.component.name

    @property
    def halo(self) -> Triple | None:
        """Context of a block in voxels (z, y, x); None where the step needs the whole volume.

        Raises:
            PluginError: it is no number of voxels.
        """
        halo = getattr(self.target, "halo", None)
        if halo is None:
            return None
        try:
            z, y, x = (int(part) for part in (halo if isinstance(halo, (tuple, list)) else (halo,) * 3))
        except (TypeError, ValueError):
            z, y, x = -1, -1, -1
        if min(z, y, x) < 0:
            raise self.wrong(f"has halo {halo!r}, which is neither a number of voxels, nor (z, y, x), nor None")
        least = 1 if self.step.gives == INSTANCES and self.step.takes != INSTANCES else 0
        return max(z, least), max(y, least), max(x, least)

    def call(self, function: Callable[..., Any], array: Array) -> Any:
        """Call code of the step; what it raises unexpectedly is told as its plugin's error."""
        try:
            return function(array)
        except (VolsegError, MemoryError):
            raise
        except Exception as error:
            raise blame(self.step.use.provided, error, self.step.use.where) from error

    def wrong(self, what: str) -> PluginError:
        """Return an error of the step's code."""
        return PluginError(self.step.use.where, f"{self.step.use.provided.describe()} {what}")


def apply_step(
    running: Running, layer: Layer, most: int, scratch: Scratch, progress: Progress, edge: int | None = None
) -> Layer:
    """Return what a step makes of a layer; ``most`` is the largest class index that labels may have.

    Blocks measure ``edge`` voxels at most, by default as many as make `BLOCK_VALUES` with their halo; a volume of no
    more than that is one block. Where blocks meet, instances are stitched (`Stitcher`); they are numbered from 1 on in
    the order of their first voxels, so that the result does not depend on the blocks where the step does not.

    Raises:
        PluginError: the step fails, or gives something else than it declares. UsageError: it takes other channels.
    """
    _check_channels(running, layer)
    grid = _grid(running, layer, edge)
    with progress.task(running.name, len(grid), "blocks") as task:
        look = getattr(running.target, "look", None)
        if look is not None:
            for block in BlockGrid(grid.shape, grid.counts).blocks():
                running.call(look, layer.read(block.core))
        if running.step.gives == LABELS:
            return _labels(running, layer, grid, most, scratch, task.advance)
        keeps = layer.kind == INSTANCES and len(grid) > 1
        return (_kept if keeps else _stitched)(running, layer, grid, scratch, task.advance)


def _check_channels(running: Running, layer: Layer) -> None:
    wanted = getattr(running.target, "channels", None)
    if wanted is not None and layer.kind in _FLOATS and wanted != layer.channels:
        what = f"{running.name!r} takes {wanted} channels, and there are {layer.channels}"
        raise UsageError(running.step.use.where, what, "Its parameters must be those of the head's target.")


def _grid(running: Running, layer: Layer, edge: int | None) -> BlockGrid:
    halo = running.halo
    if halo is None:
        return BlockGrid(layer.shape, (1, 1, 1))
    if edge is None:
        values = BLOCK_VALUES // max(1, layer.channels)
        if np.prod(layer.shape, dtype=np.int64) <= values:
            return BlockGrid(layer.shape, (1, 1, 1))
        edge = max(round(values ** (1 / 3)) - 2 * max(halo), *halo, _SMALLEST_EDGE)
    return BlockGrid.of_edge(layer.shape, edge, halo)


def _labels(
    running: Running, layer: Layer, grid: BlockGrid, most: int, scratch: Scratch, advance: Callable[[int], None]
) -> Layer:
    found = scratch.array(grid.shape, np.min_scalar_type(most))
    for block in grid.blocks():
        found[block.core] = _result(running, layer, block, most)[block.inside()]
        advance(1)
    return Layer(LABELS, grid.shape, 0, most, lambda box: np.asarray(found[box]), lambda: scratch.free(found))


def _stitched(
    running: Running, layer: Layer, grid: BlockGrid, scratch: Scratch, advance: Callable[[int], None]
) -> Layer:
    found = scratch.array(grid.shape, np.uint32)
    stitcher = Stitcher(grid, float(getattr(running.target, "overlap", OVERLAP)))
    for block in grid.blocks():
        found[block.core] = stitcher.add(block, _result(running, layer, block, np.iinfo(np.int64).max))
        advance(1)
    return _numbered(found, stitcher.table(), scratch)


def _kept(running: Running, layer: Layer, grid: BlockGrid, scratch: Scratch, advance: Callable[[int], None]) -> Layer:
    """Return instances of instances: their numbers mean the same in all blocks, and some may be gone."""
    found = scratch.array(grid.shape, np.uint32)
    first = np.full(layer.most + 1, np.iinfo(np.int64).max)
    for block in grid.blocks():
        core = _result(running, layer, block, layer.most)[block.inside()]
        np.minimum(first[1:], first_voxels(core, layer.most, block.core, grid.shape), out=first[1:])
        found[block.core] = core
        advance(1)
    return _numbered(found, ranked(first), scratch)


def _numbered(found: Array, table: Array, scratch: Scratch) -> Layer:
    count = int(table.max(initial=0))
    return Layer(
        INSTANCES, (found.shape[0], found.shape[1], found.shape[2]), 0, count,
        lambda box: table[found[box]], lambda: scratch.free(found),
    )  # fmt: skip


def _result(running: Running, layer: Layer, block: Block, most: int) -> Array:
    """Return what the step makes of a block's outer box, checked."""
    result = np.asarray(running.call(running.target, layer.read(block.outer)))
    if result.shape != block.shape or result.dtype.kind not in "iu":
        raise running.wrong(f"gives {result.dtype} of shape {result.shape}, not integers of shape {block.shape}")
    if result.size and not 0 <= int(result.min()) <= int(result.max()) <= most:
        raise running.wrong(f"gives values from {result.min()} to {result.max()}, beyond 0 to {most}")
    return result

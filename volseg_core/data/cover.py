"""The sampler ``grid``: places that cover the regions, and batches that take each of them once an epoch."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.sampling import Place, box_shape
from volseg_core.errors import DataError
from volseg_core.volume import SLICES
from volseg_core.volume.labels import IGNORED
from volseg_core.volume.windows import step_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from volseg_core.data.split import Region
    from volseg_core.data.windows import Draw, Group
    from volseg_core.recipe.blocks import SamplerBlock

    Array = np.ndarray[Any, Any]


class GridPlaces:
    """Places of a group that lie on a grid and hold enough labels; the last ones of an axis are moved inside.

    Raises:
        DataError: no place holds enough.
    """

    def __init__(self, group: Group, sampler: SamplerBlock) -> None:
        self._group = group
        kept = [_kept(group, region, sampler) for region in group.regions]
        self._regions = np.repeat(np.arange(len(kept)), [len(corners) for corners in kept])
        self._corners = np.concatenate(kept)
        if not len(self):
            window = " x ".join(map(str, group.window))
            wanted = f"{sampler.labelled:g} of its voxels labelled and {sampler.foreground:g} in the foreground"
            raise DataError("data.sampler", f"no window of {window} has {wanted}", "Lower labelled or foreground.")

    def __len__(self) -> int:
        return len(self._corners)

    def place(self, index: int, random: np.random.Generator) -> Place:  # noqa: ARG002  (`Places` draws)
        """Return the place of an index; they repeat after the last one."""
        number = index % len(self)
        plane, row, column = map(int, self._corners[number])
        depth, height, width = box_shape(self._group.window)
        region = self._group.regions[int(self._regions[number])]
        return Place(region, plane, (slice(row, row + height), slice(column, column + width)), depth)


def _kept(group: Group, region: Region, sampler: SamplerBlock) -> Array:
    """Return the first voxels (N, 3) of windows that hold enough labels, counted in the group's view."""
    labels = group.view.apply(region.volume.labels[region.box])
    window = box_shape(group.window)
    starts = [_starts(size, edge, sampler.overlap) for size, edge in zip(labels.shape, window, strict=True)]
    if group.dims == SLICES:
        starts[0] = region.planes(group.axis).tolist()
    corners = [corner for corner in product(*starts) if _holds_enough(labels, corner, window, sampler)]
    return np.array(corners, np.int64).reshape(-1, 3)


def _starts(size: int, edge: int, overlap: float) -> list[int]:
    """Return where windows of ``edge`` voxels begin that cover ``size``, each at most ``overlap`` beyond the next."""
    return [*range(0, size - edge, step_between(edge, overlap)), max(0, size - edge)]


def _holds_enough(labels: Array, corner: Sequence[int], window: Sequence[int], sampler: SamplerBlock) -> bool:
    inside = labels[tuple(slice(at, at + edge) for at, edge in zip(corner, window, strict=True))]
    known = int(np.count_nonzero(inside != IGNORED))
    objects = int(np.count_nonzero(inside > 0))
    return known > 0 and known >= sampler.labelled * inside.size and objects >= sampler.foreground * inside.size


class GridPlan:
    """The batches of every epoch: all places of all groups in a new order, then all again. A torch batch sampler.

    Where an epoch has fewer steps than there are batches, the next one goes on with the rest.
    """

    def __init__(self, counts: Sequence[int], steps: int | None, batch: int, seed: int) -> None:
        self._counts, self.batch, self.seed, self.epoch = tuple(counts), batch, seed, 0
        self._groups = np.repeat(np.arange(len(counts)), [-(-count // batch) for count in counts])
        self._firsts = np.concatenate([np.arange(0, count, batch) for count in counts])
        self.steps = steps or len(self._groups)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches are iterated next."""
        self.epoch = epoch

    def for_steps(self, steps: int, epoch: int) -> GridPlan:
        """Return the plan of an epoch of another length."""
        plan = GridPlan(self._counts, steps, self.batch, self.seed)
        plan.epoch = epoch
        return plan

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[Draw]]:
        order: tuple[int, Array, list[Array]] | None = None
        for step in range(self.epoch * self.steps, (self.epoch + 1) * self.steps):
            round_, number = divmod(step, len(self._groups))
            if order is None or order[0] != round_:
                order = (round_, *self._shuffled(round_))
            batch = order[1][number]
            group, first = int(self._groups[batch]), int(self._firsts[batch])
            count = self._counts[group]
            places = order[2][group].take(range(first, first + self.batch), mode="wrap")
            yield [(self.epoch, group, round_ * count + int(place)) for place in places]

    def _shuffled(self, round_: int) -> tuple[Array, list[Array]]:
        """Return the order of all batches, and that of the places of each group."""
        random = np.random.default_rng([self.seed, round_, 2])
        return random.permutation(len(self._groups)), [random.permutation(count) for count in self._counts]

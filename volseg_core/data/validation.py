"""Whole slices of the held-out part, as the network sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from volseg_core.data.sampling import Place, stacked
from volseg_core.volume import View, padded_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.data.sampling import Window
    from volseg_core.data.split import Region
    from volseg_core.model import ModelSpec


@dataclass(frozen=True)
class ValidationSlice:
    """One whole slice of a held-out region."""

    region: Region
    axis: int
    index: int

    def load(self, spec: ModelSpec) -> Window:
        """Return the slice as the network sees it, padded to the divisor (labels with "no label")."""
        view = View.parse("zyx"[self.axis])
        height, width = view.shape(self.region.shape)[1:]
        shape = tuple(padded_size(size, spec.divisor, spec.min_size) for size in (height, width))
        place = Place(self.region, self.index, (slice(0, height), slice(0, width)))
        image, labels = place.cut(view, shape, spec.neighbours)
        return stacked(self.region.volume.normaliser(image)), labels.astype(np.int64)


def validation_slices(regions: Sequence[Region], axes: str, limit: int) -> list[ValidationSlice]:
    """Return whole slices with labels along ``axes``, evenly spread and at most ``limit`` per region and axis.

    A slab is looked at along the axis that it was cut off along, if that is one of ``axes``: its slices along the
    others would be strips, too narrow to judge a network by.
    """
    result = []
    for region in regions:
        whole = [letter for letter in axes if region.has_whole_planes("zyx".index(letter))]
        for letter in whole or axes:
            axis = "zyx".index(letter)
            planes = region.planes(axis)
            chosen = np.unique(np.linspace(0, len(planes) - 1, min(len(planes), limit)).round().astype(int))
            result += [ValidationSlice(region, axis, int(index)) for index in planes[chosen]]
    return result


class SliceDataset:
    """Validation slices as a dataset of `Window`."""

    def __init__(self, slices: Sequence[ValidationSlice], spec: ModelSpec) -> None:
        self.slices, self.spec = list(slices), spec

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> Window:
        return self.slices[index].load(self.spec)

    def batches(self, batch: int) -> list[list[int]]:
        """Return indices in batches of slices of one shape."""
        shapes: dict[tuple[int, int, int], list[int]] = {}
        for index, item in enumerate(self.slices):
            height, width = View.parse("zyx"[item.axis]).shape(item.region.shape)[1:]
            shapes.setdefault((item.axis, height, width), []).append(index)
        return [members[at : at + batch] for members in shapes.values() for at in range(0, len(members), batch)]

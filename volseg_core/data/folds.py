"""Cross-validation: each labelled voxel, or whole volume, is held out in one of k folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from volseg_core.data.split import Region, automatic_gap, cut, slab_axis, whole
from volseg_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.data.labelled import Labelled
    from volseg_core.data.split import Profile
    from volseg_core.recipe.blocks import ValidationBlock


def split_fold(
    volumes: Sequence[Labelled], rule: ValidationBlock, axes: str, folds: int, fold: int
) -> tuple[list[Region], list[Region]]:
    """Return training and validation regions of one fold, counted from 1.

    With as many volumes as folds or more, whole volumes are held out, every k-th one. Else each volume is cut into k
    slabs that hold about as many labelled voxels each; one is held out, and a gap on both of its sides is not used.

    Raises:
        DataError: a volume has too few labelled planes for k slabs, or the gap leaves nothing to train on.
    """
    if len(volumes) >= folds:
        numbered = [(index % folds + 1, whole(volume)) for index, volume in enumerate(volumes)]
        return [part for own, part in numbered if own != fold], [part for own, part in numbered if own == fold]
    train: list[Region] = []
    held: list[Region] = []
    for volume in volumes:
        kept, slab = _slab(volume, rule, axes, folds, fold)
        train += kept
        held.append(slab)
    return train, held


def _slab(volume: Labelled, rule: ValidationBlock, axes: str, folds: int, fold: int) -> tuple[list[Region], Region]:
    axis = slab_axis(volume, rule.model_copy(update={"fraction": 1 / folds}), axes)
    size = volume.shape[axis]
    gap = automatic_gap(volume, size) if rule.gap == "auto" else rule.gap
    labelled = whole(volume).labelled[axis]
    start, stop = _bounds(volume, labelled, "zyx"[axis], folds)[fold - 1 : fold + 1]
    kept = [slice(0, max(0, start - gap)), slice(min(size, stop + gap), size)]
    train = [cut(volume, axis, part) for part in kept if labelled[part].any()]
    if not train:
        raise DataError(
            volume.grid.source,
            f"fold {fold} of {folds} leaves nothing to train on: {size} voxels along {'zyx'[axis]}, a gap of {gap}",
            "Set a smaller data.val.gap, or another data.val.axis.",
        )
    return train, cut(volume, axis, slice(start, stop))


def _bounds(volume: Labelled, labelled: Profile, axis: str, folds: int) -> list[int]:
    """Return where the slabs begin and end: k + 1 indices, with labels between any two of them."""
    planes = np.flatnonzero(labelled)
    if len(planes) < folds:
        raise DataError(
            volume.grid.source,
            f"has {len(planes)} labelled planes along {axis}, too few for {folds} folds",
            "Set a smaller data.folds, or another data.val.axis.",
        )
    share = labelled[planes].cumsum() / labelled.sum()
    inner = [int(np.searchsorted(share, number / folds - 1e-9)) + 1 for number in range(1, folds)]
    for index in range(folds - 1):  # at least one labelled plane in each slab
        low, high = (inner[index - 1] if index else 0) + 1, len(planes) - (folds - 1 - index)
        inner[index] = min(max(inner[index], low), high)
    return [0, *(int(planes[index]) for index in inner), len(labelled)]

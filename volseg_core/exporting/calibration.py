"""Windows of a volume as the network sees them, for calibrating what it computes in integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.files import VolumeLike, open_volume
from volseg_core.data.labelled import Labelled
from volseg_core.data.split import whole
from volseg_core.data.windows import BatchPlan, Group, WindowDataset, window_groups
from volseg_core.prediction.plan import check_input
from volseg_core.volume import SLICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from volseg_core.catalog import Catalog
    from volseg_core.model import ModelSpec
    from volseg_core.recipe import Recipe

    Window = np.ndarray[Any, np.dtype[np.float32]]

WINDOWS = 64
"""Windows that a calibration looks at."""


def calibration_windows(
    catalog: Catalog, recipe: Recipe, spec: ModelSpec, item: VolumeLike, count: int = WINDOWS
) -> Iterator[Window]:
    """Return windows (1, C, *S) of a volume one by one, anywhere in it and along every axis that was trained on.

    They are drawn as for training, without augmentation, always the same ones; in the one size that a file takes if
    it takes one only, else of the automatic size of training windows.

    Raises:
        DataError: the volume cannot be read. UsageError: it is not of the kind that the network was trained on.
    """
    with open_volume(catalog, item, "data", recipe.reader) as source:
        check_input(spec, source.channels, source.grid.source, independent=source.grid.independent)
        volume = source.volume()
    everywhere = np.broadcast_to(np.zeros((), np.int16), volume.shape)
    normaliser = spec.normalisation.fit(volume.data, volume.grid.source)
    region = whole(Labelled(volume.data, everywhere, normaliser, volume.grid))
    axes = "z" if volume.grid.independent or volume.shape[0] == 1 else spec.axes
    if spec.window:
        sliced = axes if spec.dims == SLICES else "z"
        groups = [Group("zyx".index(axis), spec.window, (region,)) for axis in sliced]
    else:
        groups = window_groups([region], axes, "auto", spec.sizes)
    dataset = WindowDataset(groups, _unchanged, seed=0, neighbours=spec.neighbours)
    return (dataset[draw][0][np.newaxis] for batch in BatchPlan(groups, count, 1, seed=0) for draw in batch)


def _unchanged(image: Window, labels: Any, *, seed: int) -> tuple[Window, Any]:  # noqa: ARG001  (an augmentation's)
    return image, labels

"""Measuring what a file of less precision loses: predicting with it and with the float32 file, and comparing."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.files import Reference, open_volume
from volseg_core.data.labelled import read_labelled
from volseg_core.errors import DataError, VolsegError
from volseg_core.exporting.loss import Loss
from volseg_core.prediction.choose import model_and_recipe
from volseg_core.prediction.predictor import run_prediction
from volseg_core.recipe import resolve_recipe
from volseg_core.volume import SLICES, Volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.data.files import VolumeLike
    from volseg_core.data.split import Region
    from volseg_core.model import ModelFile
    from volseg_core.progress import Progress
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

    Labels = np.ndarray[Any, Any]

log = logging.getLogger("volseg")


@dataclass(frozen=True)
class Sample:
    """A volume to measure on, its labels as class indices (Z, Y, X; -1 = none) if there are any, and directions."""

    name: str
    volume: Volume
    truth: Labels | None = None
    views: tuple[str, ...] = ()


@dataclass
class _Dice:
    """Dice over samples, by the metric of that name; only classes that the target holds count, without class 0."""

    scorer: Any
    names: Sequence[str]
    present: set[int] = field(default_factory=set)

    def update(self, found: Labels, target: Labels) -> None:
        self.scorer.update(found, target)
        self.present |= {index for index in range(1, len(self.names)) if (target == index).any()}

    def mean(self) -> float:
        scores = self.scorer.compute()
        return float(np.mean([scores[f"dice/{self.names[index]}"] for index in self.present] or [math.nan]))


def measure(
    registry: Registry, full: ModelFile, reduced: ModelFile, samples: Sequence[Sample], progress: Progress
) -> Loss:
    """Predict samples with the float32 file and with the one of less precision, on the CPU, and compare the labels.

    Raises:
        DataError: the samples hold no foreground to compare. VolsegError: they cannot be predicted.
    """
    names = full.spec.heads[0].classes.names
    scores = [_dice(registry, names) for _ in range(3)]
    for sample in samples:
        one, other = (_labels(registry, model, sample, progress) for model in (full, reduced))
        pairs = [(other, one)] if sample.truth is None else [(other, one), (other, sample.truth), (one, sample.truth)]
        for score, (found, target) in zip(scores, pairs, strict=False):
            score.update(found, target)
    where = ", ".join(sample.name for sample in samples)
    labelled = all(sample.truth is not None for sample in samples)
    same, *against = (score.mean() for score in scores[: 3 if labelled else 1])
    if not all(map(math.isfinite, (same, *against))):
        what = "holds no voxel of a class other than the first: nothing can be compared"
        raise DataError(where, what, "Measure on another volume: --on VOLUME --labels FILE")
    return Loss(where, same, *against)


def _dice(registry: Registry, names: Sequence[str]) -> _Dice:
    metric = registry.catalog.find("metric", "dice")
    context = {"classes": names, "task": "multiclass"}
    return _Dice(registry.catalog.build(metric, {"background": False}, context), names)


def _labels(registry: Registry, model: ModelFile, sample: Sample, progress: Progress) -> Labels:
    """Return the class indices (Z, Y, X) that a file gives, predicted as its recipe says."""
    views = [f"predict.views=[{', '.join(sample.views)}]"] if sample.views else []
    file, recipe = model_and_recipe(registry, model, "", views, "cpu", "onnxruntime")
    done = run_prediction(registry.catalog, file, recipe, sample.volume, progress, device="cpu")
    head = file.spec.heads[0]
    return head.classes.encode(done.arrays[head.array("labels")])


def given_sample(
    registry: Registry, model: ModelFile, recipe: Recipe, on: VolumeLike, labels: VolumeLike | None
) -> Sample:
    """Return a volume that the caller names, with labels if there are any.

    Raises:
        VolsegError: what is wrong with them.
    """
    if labels is None:
        with open_volume(registry.catalog, on, "data", recipe.reader) as source:
            volume = source.volume()
        return Sample(_named(volume.grid.source), volume)
    pair = read_labelled(registry.catalog, recipe, [on], [labels], model.spec.heads, model.spec.unit)[0][0]
    return Sample(_named(pair.grid.source), Volume(pair.data, pair.grid), pair.labels)


def held_out(registry: Registry, model: ModelFile) -> list[Sample]:
    """Return what a run was validated on, where its files are still there: each part along its whole slices.

    An ensemble of folds has no such part, nor has a run on arrays.
    """
    from volseg_core.training.run import prepare

    try:
        recipe = resolve_recipe(registry, model.recipe)
        data = recipe.data
        if not data.train or (data.folds and data.fold is None):
            return []
        regions = prepare(registry, recipe, data.train, data.labels).held
    except VolsegError as error:
        log.info("the held-out part cannot be read: %s", error.line())
        return []
    return [_sample(region, model.spec.axes if model.spec.dims == SLICES else "") for region in regions]


def _sample(region: Region, axes: str) -> Sample:
    volume, box = region.volume, region.box
    source = volume.grid.source
    name = _named(source) + region.describe().removeprefix(source)
    part = Volume(np.ascontiguousarray(volume.data[(slice(None), *box)]), volume.grid)
    views = tuple(axis for axis in axes if region.has_whole_planes("zyx".index(axis)))
    return Sample(name, part, volume.labels[box], views)


def _named(source: str) -> str:
    """Return a source without its folder, which is nobody's business once the file is given away."""
    reference = Reference.parse(source)
    return str(Reference(Path(reference.path.name), reference.dataset))

"""Fitting the merge ``fusion``: a weight per view and class, from a labelled volume, judged on a part held out."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.files import Reference
from volseg_core.data.labelled import read_labelled
from volseg_core.data.split import split, whole
from volseg_core.errors import DataError, UsageError
from volseg_core.model import write_model
from volseg_core.prediction.predictor import opened_job
from volseg_core.prediction.sampled import Gatherer, Voxels, draw_voxels
from volseg_core.prediction.segment import Segmenter
from volseg_core.recipe.blocks import ValidationBlock
from volseg_core.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from volseg_core.catalog import Catalog
    from volseg_core.data.files import VolumeLike
    from volseg_core.data.labelled import Labelled
    from volseg_core.data.split import Region
    from volseg_core.model import ModelFile
    from volseg_core.prediction.plan import Plan
    from volseg_core.progress import Progress
    from volseg_core.recipe import Recipe

    Array = np.ndarray[Any, np.dtype[np.float64]]

log = logging.getLogger("volseg")

SAMPLES = 50_000
"""Voxels that are drawn to fit on, and as many again to judge."""
HELD_OUT = 0.4
STRENGTH = 0.01
"""How much the weights are drawn to equality: 0.01 of cross-entropy where all differ from it by their own size."""


@dataclass(frozen=True)
class FusionFit:
    """Weights by view and class, and Dice by class on the part held out, with equal weights and with these."""

    weights: Mapping[str, Sequence[float]]
    mean: Mapping[str, float]
    fusion: Mapping[str, float]
    path: Path | None = None

    @property
    def gain(self) -> float:
        """How far the mean Dice over classes rises; classes absent from the part held out do not count."""
        return float(np.nanmean([self.fusion[name] - self.mean[name] for name in self.mean]))


def run_fit(
    catalog: Catalog,
    model: ModelFile,
    recipe: Recipe,
    data: VolumeLike,
    labels: VolumeLike,
    progress: Progress,
    *,
    path: Path,
    force: bool = False,
    device: str = "auto",
) -> FusionFit:
    """Fit weights and store them in ``path``; where they score lower than equal ones only if ``force`` says so."""
    fusion = catalog.find("merge", "fusion")
    if isinstance(data, (str, os.PathLike)) and _file(os.fspath(data)) in map(_file, recipe.data.train):
        log.warning("%s was trained on: the weights will trust views that only remember it", os.fspath(data))
    fit = fit_fusion(catalog, model, recipe, data, labels, progress, device=device)
    if fit.gain < 0 and not force:
        return fit
    store_fusion(model, recipe, fusion.id, fit.weights, path)
    return dataclasses.replace(fit, path=path)


def fit_fusion(
    catalog: Catalog,
    model: ModelFile,
    recipe: Recipe,
    data: VolumeLike,
    labels: VolumeLike,
    progress: Progress,
    *,
    device: str = "auto",
) -> FusionFit:
    """Predict a labelled volume along the views of ``recipe`` and fit their weights on a slab of it.

    The other slab, past a gap, is only scored. Voxels without a label do not count. What is kept is what each view
    says about 50 000 voxels of each slab, about as many of each class.

    Raises:
        VolsegError: what is wrong with the volumes; one view only, or too few labels to hold some out.
    """
    classes = model.spec.only_classes("fit-merge").classes
    volumes, _ = read_labelled(catalog, recipe, [data], [labels], model.spec.heads, model.spec.unit)
    fitted, judged = (draw_voxels(part, len(classes), SAMPLES, 0) for part in _parts(volumes[0]))
    plan, probabilities = _predicted(
        catalog, model, recipe, volumes[0], np.concatenate([fitted.places, judged.places]), progress, device
    )
    here, there = np.split(probabilities, [len(fitted)], axis=2)
    weights = fit_weights(here, fitted)
    views = [(view.name, weight) for view, weight in plan.views]
    equal = np.repeat([[weight] for _, weight in views], len(classes), axis=1)
    return FusionFit(
        {name: [float(f"{value:.6g}") for value in row] for (name, _), row in zip(views, weights, strict=True)},
        dict(zip(classes.names, _dice(_scores(there, equal), judged), strict=True)),
        dict(zip(classes.names, _dice(_scores(there, weights), judged), strict=True)),
    )


def _file(reference: str) -> Path:
    return Reference.parse(reference).path.resolve()


def _parts(volume: Labelled) -> tuple[Region, Region]:
    """Return the slab to fit on and the one to judge by, along the axis that has the most planes with labels."""
    planes = [len(whole(volume).planes(axis)) for axis in range(3)]
    axis: Any = "z" if volume.grid.independent else "zyx"[int(np.argmax(planes))]
    try:
        fitted, judged = split([volume], ValidationBlock(fraction=HELD_OUT, axis=axis), axis)
    except DataError as error:
        raise DataError(error.where, error.what, "Give a volume with more labelled planes.") from None
    return fitted[0], judged[0]


def _predicted(
    catalog: Catalog,
    model: ModelFile,
    recipe: Recipe,
    volume: Labelled,
    places: np.ndarray[Any, Any],
    progress: Progress,
    device: str,
) -> tuple[Plan, np.ndarray[Any, Any]]:
    """Return the plan, and what each of its views says at ``places`` (N, 3): probabilities (V, C, N)."""
    with opened_job(catalog, model, recipe, Volume(volume.data, volume.grid), device=device) as job:
        views = job.plan.views
        if len(views) == 1:
            what = f"there is one direction ({views[0][0].name}): nothing is to be weighed"
            raise UsageError("--quality", what, "Use --quality high.")
        stored, normaliser = job.read()
        gatherer = Gatherer(places, len(views))
        with progress.task("predicting", job.plan.count(volume.shape), job.plan.unit) as task:
            Segmenter(job.plan, job.runtime, normaliser, task.advance).block(stored, gatherer)
        return job.plan, gatherer.probabilities


def fit_weights(probabilities: np.ndarray[Any, Any], voxels: Voxels) -> Array:
    """Return the weights (V, C), at least 0, of the probabilities (V, C, N) that views give to labelled voxels.

    Multinomial logistic regression on weighted sums, as the fusion of Multi-Planar U-Net (Perslev et al. 2019,
    doi:10.1007/978-3-030-32245-8_4), without a bias. A weight is ``t / V * (1 + d)``: t, the same for all, is fitted
    first, then d (at least -1) with a penalty of 0.01 times its mean square, which draws the labels to those of the
    mean. Classes count by the square root of their voxels, half-way between accuracy and all classes alike.
    """
    from scipy.optimize import minimize, minimize_scalar

    views, classes, _ = probabilities.shape
    given = probabilities.astype(np.float64)
    importance = _importance(voxels, classes)
    truth = np.eye(classes)[voxels.truth].T
    mean = given.mean(0)
    found = minimize_scalar(
        lambda power: _cross_entropy(math.exp(power) * mean, truth, importance)[0], bounds=(-3, 6), method="bounded"
    )
    common = math.exp(found.x) / views

    def objective(flat: Array) -> tuple[float, Array]:
        apart = flat.reshape(views, classes)
        loss, slope = _cross_entropy(_scores(given, common * (1 + apart)), truth, importance)
        gradient = common * np.einsum("cn,vcn->vc", slope, given) + 2 * STRENGTH * apart / apart.size
        return loss + STRENGTH * float((apart**2).mean()), gradient.ravel()

    start = np.zeros(views * classes)
    best = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=[(-1, None)] * start.size)
    return np.asarray(common * (1 + best.x.reshape(views, classes)), np.float64)


def _importance(voxels: Voxels, classes: int) -> Array:
    """Return what each voxel counts (N), 1 together: classes by the square root of the voxels they stand for."""
    size = np.bincount(voxels.truth, voxels.stands_for, classes)[voxels.truth]
    importance = voxels.stands_for / np.sqrt(size)
    return np.asarray(importance / importance.sum(), np.float64)


def _scores(probabilities: np.ndarray[Any, Any], weights: Array) -> Array:
    """Return weighted sums (C, N) of probabilities (V, C, N)."""
    return np.asarray(np.einsum("vc,vcn->cn", weights, probabilities), np.float64)


def _cross_entropy(scores: Array, truth: Array, importance: Array) -> tuple[float, Array]:
    """Return the cross-entropy of the softmax of scores (C, N) and its gradient."""
    scores = scores - scores.max(0)
    power = np.exp(scores)
    total = power.sum(0)
    loss = float((importance * (np.log(total) - (scores * truth).sum(0))).sum())
    return loss, (power / total - truth) * importance


def _dice(scores: Array, voxels: Voxels) -> list[float]:
    """Return the Dice of each class in the part that the voxels stand for, NaN of one that has no voxel there."""
    labels, result = scores.argmax(0), []
    for index in range(len(scores)):
        true, chosen = voxels.truth == index, labels == index
        both, one, other = (float(voxels.stands_for[mask].sum()) for mask in (true & chosen, true, chosen))
        result.append(2 * both / (one + other) if one else math.nan)
    return result


def store_fusion(model: ModelFile, recipe: Recipe, use: str, weights: Mapping[str, Sequence[float]], path: Path) -> str:
    """Write the model to ``path`` with a recipe that merges by these weights; return its id, which stays the same.

    ``use`` is the merge's name. Quality and views become those of ``recipe``. The file is replaced at once or not.
    """
    from safetensors.torch import load_file

    merge = {"use": use, "weights": {name: list(row) for name, row in weights.items()}}
    predict = {"quality": recipe.predict.quality, "views": list(recipe.predict.views), "merge": merge}
    content = {**model.recipe, "predict": {**model.recipe.get("predict", {}), **predict}}
    return write_model(path, load_file(model.path), model.spec, content)

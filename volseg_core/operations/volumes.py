"""Looking at volumes: scores, synthetic ones, what is wrong with them, a recipe for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.data.files import refuse_existing
from volseg_core.evaluation.run import run_evaluation
from volseg_core.progress import Progress, Silent
from volseg_core.recipe.resolve import resolve_component
from volseg_core.registry import Registry, load_registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from volseg_core.advice.findings import Finding
    from volseg_core.data.files import VolumeLike
    from volseg_core.operations.common import PathLike


def evaluate(
    prediction: VolumeLike,
    labels: VolumeLike,
    *,
    metrics: Sequence[str] = (),
    ignore: Sequence[int] = (-1,),
    overrides: Sequence[str] = (),
    probabilities: VolumeLike | None = None,
    instances: bool = False,
    values: bool = False,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Compare a prediction with labels and return scores by name; a class absent from both has NaN.

    Classes are the ids of both volumes; voxels whose label is in ``ignore`` do not count. A prediction of floats holds
    probabilities (K, Z, Y, X): metrics of boundary maps compare their objects with ids, others take labels of 0 or 1 in
    each channel. With ``instances`` the volumes hold ids of objects, 0 for none; with ``values``, or metrics of them,
    numbers (K, Z, Y, X), NaN for none. ``metrics`` are dice and iou unless named, for instances adapted-rand,
    variation-of-information, average-precision and panoptic-quality, for values psnr, ssim and mse; ``overrides`` are
    their parameters as ``METRIC.NAME=VALUE``. Those of probabilities of classes take ``probabilities`` (C, Z, Y, X),
    by default what `predict` wrote beside the prediction. Distances are in the unit of the voxel size of the labels,
    else of the prediction, else in voxels.

    Raises:
        DataError: shapes or channels differ, or ids are not classes. UsageError: no such metric or parameter, or none
            for what is compared; no probabilities.
    """
    return run_evaluation(
        registry or load_registry(),
        prediction,
        labels,
        progress or Silent(),
        metrics=metrics,
        ignore=ignore,
        overrides=overrides,
        probabilities=probabilities,
        instances=instances,
        values=values,
    )


def generate(
    generator: str,
    *,
    output: PathLike | None = None,
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    registry: Registry | None = None,
) -> dict[str, np.ndarray[Any, Any]]:
    """Make a synthetic volume and return its arrays by name; with ``output`` also write them.

    ``overrides`` are the generator's parameters as ``name=value``.

    Raises:
        UsageError: no such generator or parameter. DataError: the output exists or cannot be written.
    """
    from volseg_core.data.generated import generate_sample, write_sample

    registry = registry or load_registry()
    provided, params = resolve_component(registry, "generator", generator, overrides)
    path = None if output is None else Path(output)
    if path is not None:
        refuse_existing(path, overwrite=overwrite)
    sample = generate_sample(registry.catalog, provided, params)
    if path is not None:
        write_sample(registry.catalog, sample, path, {"generator": {"use": provided.id, **params}})
    return {"data": sample.data, "labels": sample.labels, **sample.extra}


def check(data: VolumeLike, labels: VolumeLike | None = None, *, registry: Registry | None = None) -> list[Finding]:
    """Look for what ruins a training in an image and its labels, and return the findings (``ok, note, fatal``).

    Raises:
        VolsegError: a file cannot be opened.
    """
    from volseg_core.advice.check import check as look

    return look((registry or load_registry()).catalog, data, labels)


def suggest(
    data: VolumeLike, labels: VolumeLike, *, dims: int = 2, objects: bool = False, registry: Registry | None = None
) -> str:
    """Look at a labelled volume and at the machine, and return a recipe (YAML) with the reason for each choice.

    ``dims`` is 2 for a network on slices, 3 for one on patches. ``objects`` says that the labels number objects, which
    3D recipes learn; without it ids count as classes unless they are many or spread far apart.

    Raises:
        DataError: the pair cannot be trained on.
    """
    from volseg_core.advice.suggest import suggest as choose

    return choose(registry or load_registry(), data, labels, dims=dims, objects=objects)

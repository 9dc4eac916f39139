"""Scoring a segmentation: which metrics see what of the volumes, and in which pieces."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import Metric
from volseg_core.catalog import blame
from volseg_core.data.files import Reference, VolumeLike, VolumeSource, open_volume
from volseg_core.errors import DataError, UsageError, VolsegError
from volseg_core.evaluation.compared import SLAB, ComparedClasses, ComparedInstances, slabs
from volseg_core.evaluation.compared_floats import ComparedChannels, ComparedMaps, ComparedValues
from volseg_core.evaluation.comparison import Comparison, asked, check_serves, comparison_of
from volseg_core.recipe.resolve import resolve_component

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from volseg_core.catalog import Catalog, Provided
    from volseg_core.progress import Progress
    from volseg_core.registry import Registry

log = logging.getLogger("volseg")

Array = np.ndarray[Any, Any]

Pieces = ComparedClasses | ComparedChannels | ComparedInstances | ComparedMaps | ComparedValues

_CLOSE = 1e-3
_PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class _Use:
    """A metric that was asked for, with its parameters."""

    provided: Provided
    params: Mapping[str, Any]

    @property
    def component(self) -> Metric:
        assert isinstance(self.provided.component, Metric)  # noqa: S101  (found as a metric)
        return self.provided.component

    @property
    def name(self) -> str:
        return self.component.name

    def call(self, function: Callable[..., Any], *arrays: Any) -> Any:
        """Call the metric's code; what it raises unexpectedly is told as its plugin's error."""
        try:
            return function(*arrays)
        except (VolsegError, MemoryError):
            raise
        except Exception as error:
            raise blame(self.provided, error) from error


def run_evaluation(
    registry: Registry,
    prediction: VolumeLike,
    labels: VolumeLike,
    progress: Progress,
    *,
    metrics: Sequence[str],
    ignore: Sequence[int],
    overrides: Sequence[str],
    probabilities: VolumeLike | None,
    instances: bool,
    values: bool,
) -> dict[str, float]:
    """Score a prediction; the arguments are those of `volseg_core.evaluate`.

    A metric that streams gets slabs of planes. One that does not gets the whole volume in one piece, or each plane by
    itself where there is one or they are independent.
    """
    comparison = asked(instances=instances, values=values)
    uses = _uses(registry, metrics or (comparison or Comparison.CLASSES).metrics, overrides)
    components = [use.component for use in uses]
    with ExitStack() as stack:
        ours = stack.enter_context(open_volume(registry.catalog, prediction, "labels"))
        truth = stack.enter_context(open_volume(registry.catalog, labels, "labels"))
        comparison = comparison or comparison_of(components, floats=ours.dtype.kind == "f")
        for component in components:
            check_serves(component, comparison)
        _check_shape(ours, truth)
        beside = _probabilities(registry.catalog, uses, prediction, probabilities, ours, comparison)
        if beside is not None:
            _check_shape(stack.enter_context(beside), truth)
        spacing = _spacing(ours, truth) if any("spacing" in component.wants for component in components) else None
        pieces = _pieces(comparison, ours, truth, beside, ignore)
        context = {"classes": pieces.names, "spacing": spacing, "task": comparison.task}
        scorers = [(use, registry.catalog.build(use.provided, use.params, context)) for use in uses]
        _score(scorers, pieces, truth, independent=ours.grid.independent or truth.grid.independent, progress=progress)
    return {key: float(value) for use, scorer in scorers for key, value in use.call(scorer.compute).items()}


def _pieces(
    comparison: Comparison,
    ours: VolumeSource,
    truth: VolumeSource,
    chances: VolumeSource | None,
    ignore: Sequence[int],
) -> Pieces:
    match comparison:
        case Comparison.CLASSES:
            return ComparedClasses(ours, truth, chances, ignore)
        case Comparison.CHANNELS:
            return ComparedChannels(ours, truth, ignore)
        case Comparison.INSTANCES:
            return ComparedInstances(ours, truth, ignore)
        case Comparison.MAPS:
            return ComparedMaps(ours, truth, ignore)
        case Comparison.VALUES:
            return ComparedValues(ours, truth)


def _score(
    scorers: Sequence[tuple[_Use, Any]],
    pieces: Pieces,
    truth: VolumeSource,
    *,
    independent: bool,
    progress: Progress,
) -> None:
    depth = truth.shape[0]
    streaming = [(use, scorer) for use, scorer in scorers if use.component.streaming]
    whole = [(use, scorer) for use, scorer in scorers if not use.component.streaming]
    passes = [(streaming, SLAB, False), (whole, 1 if independent else depth, True)]
    passes = [item for item in passes if item[0]]
    with progress.task("evaluating", depth * len(passes), "planes") as task:
        for group, step, image in passes:
            for part in slabs(depth, step):
                piece = pieces.read(part, image=image)
                for use, scorer in group:
                    use.call(scorer.update, piece[use.component.inputs], piece["target"], piece["valid"])
                task.advance(part.stop - part.start)


def _uses(registry: Registry, metrics: Sequence[str], overrides: Sequence[str]) -> list[_Use]:
    """Return the metrics, each once, with their targets imported; ``overrides`` are ``METRIC.NAME=VALUE``."""
    catalog = registry.catalog
    found = {provided.id: provided for provided in (catalog.find("metric", name) for name in metrics)}
    given: dict[str, list[str]] = {identity: [] for identity in found}
    for item in overrides:
        key, separator, value = item.partition("=")
        name, _, param = key.strip().rpartition(".")
        if not (separator and name):
            raise UsageError(f"--set {item}", "is not METRIC.NAME=VALUE", "For example: -s surface-dice.tolerance=2")
        chosen = catalog.find("metric", name, f"--set {item}")
        if chosen.id not in given:
            raise UsageError(f"--set {item}", f"metric {name!r} is not among those asked for", f"Add --metric {name}.")
        given[chosen.id].append(f"{param}={value}")
    uses = [_Use(*resolve_component(registry, "metric", identity, given[identity])) for identity in found]
    for use in uses:
        catalog.load(use.provided)
    return uses


def _check_shape(ours: VolumeSource, truth: VolumeSource) -> None:
    if ours.shape != truth.shape:
        raise DataError(
            ours.grid.source or "prediction",
            f"has shape {' x '.join(map(str, ours.shape))} but the labels have {' x '.join(map(str, truth.shape))}",
            "Score the same voxels: cut one of them first.",
        )


def _probabilities(
    catalog: Catalog,
    uses: Sequence[_Use],
    prediction: VolumeLike,
    given: VolumeLike | None,
    ours: VolumeSource,
    comparison: Comparison,
) -> VolumeSource | None:
    """Open the probabilities when a metric of classes takes them: those given, else those beside the prediction.

    Raises:
        UsageError: a metric takes them and there are none, or some are given and none does.
    """
    if comparison is not Comparison.CLASSES:
        if given is not None:
            raise UsageError("--probabilities", f"are for scores of classes, not of {comparison.value}", "Drop them.")
        return None
    wanted = [use.name for use in uses if use.component.inputs == _PROBABILITIES]
    if not wanted and given is not None:
        raise UsageError("--probabilities", f"none of the metrics takes them: {', '.join(use.name for use in uses)}")
    if not wanted:
        return None
    for candidate in _places(prediction, ours.dataset) if given is None else _places(given):
        try:
            return open_volume(catalog, str(candidate))
        except DataError:
            continue
    if given is not None:
        return open_volume(catalog, given)
    raise UsageError(
        f"metric {wanted[0]!r}",
        f"needs probabilities, and there are none beside {ours.grid.source or 'the prediction'}",
        "Make them with volseg predict --probabilities, or say where they are with --probabilities FILE.",
    )


def _places(item: VolumeLike, labels: str | None = None) -> list[Reference]:
    """Return where `predict` puts probabilities in a file: beside its dataset ``labels``, or in a file beside it.

    There are none for an array, nor for a file whose dataset is named while ``labels`` is not.
    """
    if not isinstance(item, (str, os.PathLike)):
        return []
    reference = Reference.parse(os.fspath(item))
    if reference.dataset and labels is None:
        return []
    path, (group, _, _) = reference.path, (labels or "").rpartition("/")
    beside = path.with_name(f"{path.stem}_{_PROBABILITIES}{path.suffix}")
    return [Reference(path, f"{group}/{_PROBABILITIES}"), Reference(beside)]


def _spacing(ours: VolumeSource, truth: VolumeSource) -> tuple[float, float, float] | None:
    """Return the voxel size of the labels, else of the prediction; one that differs is warned of."""
    first, second = truth.grid, ours.grid.in_unit(truth.grid.unit)
    if first.spacing and second.spacing:
        same = np.allclose(first.spacing, second.spacing, rtol=_CLOSE, atol=0)
        if not same or (first.unit and second.unit and first.unit != second.unit):
            log.warning("voxel sizes differ: labels %s, prediction %s", truth.grid.voxel_size, ours.grid.voxel_size)
    chosen = truth if first.spacing else ours
    if chosen.grid.spacing is None:
        log.info("no voxel size is known: distances are in voxels")
    else:
        log.info("voxel size %s, from the %s", chosen.grid.voxel_size, "labels" if chosen is truth else "prediction")
    return chosen.grid.spacing

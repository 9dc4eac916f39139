"""The predictor: from a model and a volume to label ids, confidence and probabilities, written or in memory."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from volseg_core.api import ArraySpec, MergeResult, MergeState, Sink
from volseg_core.data.files import VolumeLike, VolumeSource, default_params, open_volume, writer_for
from volseg_core.errors import DataError, Interrupted
from volseg_core.machine import thread_count
from volseg_core.prediction.plan import Plan, check_channels, make_plan
from volseg_core.prediction.segment import Segmenter, slabs, to_numpy
from volseg_core.provenance import made_with, write_json
from volseg_core.volume.blocks import Block, whole_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from volseg_core.catalog import Catalog
    from volseg_core.model import ModelFile
    from volseg_core.progress import Progress
    from volseg_core.recipe import Recipe
    from volseg_core.volume.normalise import Normaliser

log = logging.getLogger("volseg")


@dataclass(frozen=True)
class Prediction:
    """The result: arrays by name when they were kept in memory, the files when they were written."""

    arrays: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    paths: Sequence[Path] = ()
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        """Original label ids (Z, Y, X)."""
        return self.arrays["labels"]


class Memory:
    """A sink that keeps arrays in memory."""

    def __init__(self, arrays: Mapping[str, ArraySpec]) -> None:
        self.paths: Sequence[Path] = ()
        self.arrays = {name: np.empty(spec.shape, spec.dtype) for name, spec in arrays.items()}

    def write(self, name: str, slices: tuple[slice, ...], values: np.ndarray[Any, Any]) -> None:
        """Write a box."""
        self.arrays[name][slices] = values

    def commit(self) -> None:
        """Nothing to do."""

    def abort(self) -> None:
        """Nothing to do."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def serial(task: Callable[[Block], None], blocks: Iterable[Block]) -> None:
    """Execute blocks one after the other in this process."""
    for block in blocks:
        task(block)


def run_prediction(
    catalog: Catalog,
    model: ModelFile,
    recipe: Recipe,
    item: VolumeLike,
    progress: Progress,
    *,
    device: str = "auto",
    wanted: Sequence[str] = ("labels",),
    output: Path | None = None,
    overwrite: bool = False,
) -> Prediction:
    """Segment a volume with a model; ``recipe`` is the model's own with the caller's changes to ``predict``.

    Raises:
        VolsegError: whatever is wrong with model, volume, device or output; the output is complete or absent.
    """
    start = time.time()
    if output is not None:
        writer_for(catalog, output)
        _refuse_existing([output], overwrite=overwrite)
    try:
        with open_volume(catalog, item, "data", recipe.reader) as source:
            check_channels(model.spec, source.channels, source.grid.source)
            plan = make_plan(
                model.spec, recipe.predict, recipe.merge, source.shape, wanted, independent=source.grid.independent
            )
            job = _Job(catalog, model, recipe, plan, _runtime(catalog, model, recipe, device))
            sink, record = job.run(source, progress, output, overwrite=overwrite)
    except KeyboardInterrupt:
        raise Interrupted("prediction", "interrupted; nothing was written", "Start it again.") from None
    record["seconds"] = round(time.time() - start, 3)
    if output is not None:
        write_json(record_path(output), record)
    return Prediction(getattr(sink, "arrays", {}), tuple(sink.paths), record)


@dataclass(frozen=True)
class _Job:
    """A prediction with everything decided."""

    catalog: Catalog
    model: ModelFile
    recipe: Recipe
    plan: Plan
    runtime: Any

    def run(
        self, source: VolumeSource, progress: Progress, output: Path | None, *, overwrite: bool
    ) -> tuple[Any, dict[str, Any]]:
        """Segment the volume into a sink and return the sink and the record of what was done."""
        merge = self.recipe.merge
        name = merge.provided.component.name
        log.info("%d directions on %s, merge %s", len(self.plan.views), self.runtime.device, name)
        data = np.ascontiguousarray(source.read())
        normaliser = self.model.spec.normalisation.fit(data, source.grid.source)
        record = _record(self.model, self.recipe, self.plan, source, normaliser, str(self.runtime.device))
        specs = array_specs(self.model, source.shape, self.plan.wanted)
        sink = _sink(self.catalog, output, specs, {**_attributes(self.model, source), "provenance": record})
        with sink, progress.task("predicting", self.plan.slices(source.shape), "slices") as task:
            _refuse_existing(sink.paths, overwrite=overwrite)
            segmenter = Segmenter(self.plan, self.runtime, normaliser, task.advance)

            def segment(block: Block) -> None:
                state = self.catalog.build(merge.provided, merge.params)
                segmenter.block(data[(slice(None), *block.outer)], state)
                write_result(state, block, self.plan, self.model, sink)

            serial(segment, whole_volume(source.shape))
            sink.commit()
        return sink, record


def _runtime(catalog: Catalog, model: ModelFile, recipe: Recipe, device: str) -> Any:
    def network() -> Any:
        from volseg_core.network import build_network, load_weights
        from volseg_core.training.targets import output_channels

        spec = model.spec
        built = build_network(
            catalog, recipe, spec.in_channels, output_channels(spec.task, len(spec.classes)), pretrained=False
        )
        load_weights(built, model)
        return built.eval()

    context = {"network": network, "device": device, "threads": thread_count()}
    return catalog.build(recipe.runtime.provided, recipe.runtime.params, context)


def array_specs(model: ModelFile, shape: tuple[int, int, int], wanted: Sequence[str]) -> dict[str, ArraySpec]:
    """Return shape and type of every array that is wanted."""
    classes = len(model.spec.classes)
    known = {
        "labels": ArraySpec(shape, model.spec.classes.id_dtype.name),
        "confidence": ArraySpec(shape, "uint8"),
        "probabilities": ArraySpec((classes, *shape), "float16", "czyx"),
    }
    return {name: known[name] for name in wanted}


def write_result(merge: MergeState, block: Block, plan: Plan, model: ModelFile, sink: Sink | Memory) -> None:
    """Write a finished block slab by slab: no array of the whole block is made beside the merge's state."""
    inside = block.inside()
    core = block.core
    shape = (core[0].stop - core[0].start, core[1].stop - core[1].start, core[2].stop - core[2].start)
    for slab in slabs(shape):
        box = (slice(inside[0].start + slab.start, inside[0].start + slab.stop), inside[1], inside[2])
        where = (slice(core[0].start + slab.start, core[0].start + slab.stop), core[1], core[2])
        result = merge.result(box, plan.wanted)
        for name, values in _values(result, plan, model).items():
            sink.write(name, (slice(0, values.shape[0]), *where) if values.ndim == 4 else where, values)  # noqa: PLR2004


def _values(result: MergeResult, plan: Plan, model: ModelFile) -> dict[str, np.ndarray[Any, Any]]:
    values: dict[str, np.ndarray[Any, Any]] = {}
    if "labels" in plan.wanted:
        values["labels"] = model.spec.classes.decode(to_numpy(result.labels))
    if "confidence" in plan.wanted:
        values["confidence"] = np.rint(to_numpy(result.confidence) * 255).astype(np.uint8)
    if "probabilities" in plan.wanted:
        values["probabilities"] = to_numpy(result.probabilities).astype(np.float16)
    return values


def _sink(catalog: Catalog, output: Path | None, specs: Mapping[str, ArraySpec], attributes: Mapping[str, Any]) -> Any:
    if output is None:
        return Memory(specs)
    writer = writer_for(catalog, output)
    return catalog.build(writer, default_params(writer)).create(output, specs, attributes)


def _attributes(model: ModelFile, source: VolumeSource) -> dict[str, Any]:
    classes = [{"id": item.id, "name": item.name} for item in model.spec.classes.classes]
    return {"spacing": source.grid.spacing, "unit": source.grid.unit, "classes": classes}


def _record(
    model: ModelFile, recipe: Recipe, plan: Plan, source: VolumeSource, normaliser: Normaliser, device: str
) -> dict[str, Any]:
    return {
        "model": str(model.path),
        "model_id": model.id,
        "input": source.grid.source,
        "shape": list(source.shape),
        "views": [{"view": view.name, "weight": weight} for view, weight in plan.views],
        "merge": recipe.merge.to_dict(),
        "runtime": recipe.runtime.to_dict(),
        "device": device,
        "normalisation": normaliser.as_dict(),
        "made_with": made_with(recipe.components()),
    }


def record_path(output: Path) -> Path:
    """Return where the record of a prediction stands: beside the output, ``STEM.predict.json``."""
    return output.with_name(f"{output.stem}.predict.json")


def _refuse_existing(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Raise a DataError when an output exists, before any work is done."""
    for path in paths:
        if path.exists() and not overwrite:
            raise DataError(str(path), "exists", "Use --overwrite to replace it, or another -o.")

"""The predictor: from a model and a volume to label ids, probabilities and their certainty, written or in memory."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.files import VolumeLike, VolumeSource, default_params, open_volume, refuse_existing, writer_for
from volseg_core.errors import Interrupted, UsageError
from volseg_core.exporting.reading import exported_path
from volseg_core.machine import thread_count
from volseg_core.prediction.arrays import Memory, Merges, Streamed, array_specs, asked_arrays
from volseg_core.prediction.plan import Plan, check_input, make_plan
from volseg_core.prediction.postprocess import Chain, Held, check_merge
from volseg_core.prediction.regrid import Regrid, regridded, stored_specs
from volseg_core.prediction.scratch import Scratch
from volseg_core.prediction.seams import measure_seams, seam_windows
from volseg_core.prediction.segment import Segmenter
from volseg_core.provenance import made_with, versions, write_json
from volseg_core.recipe.steps import link_steps
from volseg_core.tasks import HEAD_ARRAYS
from volseg_core.volume.blocks import Block, whole_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from volseg_core.api import ArraySpec
    from volseg_core.catalog import Catalog, Provided
    from volseg_core.model import ModelFile
    from volseg_core.prediction.seams import Seams
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
    seams: Seams | None = None
    """How far windows show, where that was asked for and there is more than one window."""

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        """Original label ids (Z, Y, X) of an only head without a name.

        Raises:
            UsageError: the prediction holds other arrays.
        """
        if "labels" not in self.arrays:
            raise UsageError("labels", f"the prediction holds {', '.join(self.arrays) or 'no arrays'}", "See arrays.")
        return self.arrays["labels"]


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
    seams: bool = False,
) -> Prediction:
    """Segment a volume with a model; ``recipe`` is the model's own with the caller's changes to ``predict``.

    With ``seams`` the middle of the volume is first predicted on two grids of windows, to measure how far they show.

    Raises:
        VolsegError: whatever is wrong with model, volume, device or output; the output is complete or absent.
    """
    start = time.time()
    if output is not None:
        writer_for(catalog, output)
        refuse_existing(output, overwrite=overwrite)
    try:
        with opened_job(catalog, model, recipe, item, device=device, wanted=wanted) as job:
            found = job.seams(progress) if seams else None
            sink, record = job.run(progress, output, overwrite=overwrite)
    except KeyboardInterrupt:
        raise Interrupted("prediction", "interrupted; nothing was written", "Start it again.") from None
    if seams:
        record["seams"] = found.as_dict() if found else None
    record["seconds"] = round(time.time() - start, 3)
    if output is not None:
        write_json(record_path(output), record)
    return Prediction(getattr(sink, "arrays", {}), tuple(sink.paths), record, found)


@contextmanager
def opened_job(
    catalog: Catalog,
    model: ModelFile,
    recipe: Recipe,
    item: VolumeLike,
    *,
    device: str = "auto",
    wanted: Sequence[str] = ("labels",),
) -> Iterator[Job]:
    """Open a volume, check that the model can segment it as wanted, and load the network."""
    with open_volume(catalog, item, "data", recipe.reader) as stored:
        check_input(model.spec, stored.channels, stored.grid.source, independent=stored.grid.independent)
        source = regridded(stored, recipe.data.resample, model.spec.unit)
        chain = _chain(model, recipe, source) if "labels" in wanted else None
        kinds = dict.fromkeys((*wanted, *(chain.kinds_of_classes() if chain else ())))
        plan = make_plan(
            model.spec, recipe.predict, recipe.merge, source.shape, tuple(kinds), independent=source.grid.independent
        )
        asked = asked_arrays(plan, wanted, chain.needed() if chain else ())
        yield Job(catalog, model, recipe, stored, source, plan, _runtime(catalog, model, recipe, device), asked, chain)


@dataclass(frozen=True)
class Job:
    """A prediction with everything decided; ``asked`` are the arrays to write, ``chain`` the steps that follow.

    ``source`` is the volume on the grid of the network, ``stored`` as it was given; mostly they are one.
    """

    catalog: Catalog
    model: ModelFile
    recipe: Recipe
    stored: VolumeSource
    source: VolumeSource
    plan: Plan
    runtime: Any
    asked: tuple[str, ...]
    chain: Chain | None

    def read(self) -> tuple[np.ndarray[Any, Any], Normaliser]:
        """Return the volume (C, Z, Y, X) as stored and the normaliser fitted to it; it is read once."""
        return self._scan

    @cached_property
    def _scan(self) -> tuple[np.ndarray[Any, Any], Normaliser]:
        data = np.ascontiguousarray(self.source.read())
        return data, self.model.spec.normalisation.fit(data, self.source.grid.source)

    def run(self, progress: Progress, output: Path | None, *, overwrite: bool) -> tuple[Any, dict[str, Any]]:
        """Segment the volume into a sink and return the sink and the record of what was done."""
        source, merge = self.source, self.recipe.merge
        states = [
            self.catalog.build(merge.provided, merge.params, self.plan.merge_context(head), merge.where)
            for head in self.model.spec.heads
        ]
        merges = Merges(self.plan, states)
        name = merge.provided.component.name
        log.info("%d directions on %s, merge %s", len(self.plan.views), self.runtime.device, name)
        data, normaliser = self.read()
        writer = None if output is None else writer_for(self.catalog, output)
        record = _record(self, normaliser, writer)
        made = array_specs(self.plan, source.shape)
        specs = {name: made[name] for name in self.asked} | (self.chain.specs(source.shape) if self.chain else {})
        attributes = {**_attributes(self.model, self.stored), "provenance": record}
        shape = self.stored.shape
        sink = _sink(self.catalog, output, writer, stored_specs(specs, shape), attributes)
        if self.source is not self.stored:
            sink = Regrid(specs, sink, shape)
        with sink, Scratch(None if output is None else output.parent) as scratch:
            refuse_existing(*sink.paths, overwrite=overwrite)
            held = Held(self.chain, made, self.asked, sink, scratch) if self.chain else None
            with progress.task("predicting", self.plan.count(source.shape), self.plan.unit) as task:
                segmenter = Segmenter(self.plan, self.runtime, normaliser, task.advance)

                def segment(block: Block) -> None:
                    part = data[(slice(None), *block.outer)]
                    if self.plan.in_order:
                        segmenter.block(part, Streamed(merges, held or sink))
                    else:
                        segmenter.block(part, merges)
                        merges.write(block, held or sink)

                serial(segment, whole_volume(source.shape))
            if held is not None:
                held.finish(self.catalog, progress)
            sink.commit()
        return sink, record

    def seams(self, progress: Progress) -> Seams | None:
        """Measure how far windows show in the middle of the volume; None where there is one window."""
        data, normaliser = self.read()
        with progress.task("seams", seam_windows(self.plan, self.source.shape), self.plan.unit) as task:
            return measure_seams(self.plan, self.runtime, normaliser, data, task.advance)


def _chain(model: ModelFile, recipe: Recipe, source: VolumeSource) -> Chain | None:
    heads = model.spec.heads
    steps = link_steps(recipe.postprocess, {head.name: HEAD_ARRAYS[head.task] for head in heads})
    check_merge(steps, recipe.merge)
    classes = {head.name: head.classes if head.of_classes else None for head in heads}
    return Chain(tuple(steps), classes, source.grid.in_unit(model.spec.unit).spacing) if steps else None


def _runtime(catalog: Catalog, model: ModelFile, recipe: Recipe, device: str) -> Any:
    def network() -> Any:
        from volseg_core.network import trained_network

        return trained_network(catalog, recipe, model)

    context = {"network": network, "model": exported_path(model), "device": device, "threads": thread_count()}
    return catalog.build(recipe.runtime.provided, recipe.runtime.params, context)


def _sink(
    catalog: Catalog,
    output: Path | None,
    writer: Provided | None,
    specs: Mapping[str, ArraySpec],
    attributes: Mapping[str, Any],
) -> Any:
    if writer is None:
        return Memory(specs)
    return catalog.build(writer, default_params(writer)).create(output, specs, attributes)


def _attributes(model: ModelFile, source: VolumeSource) -> dict[str, Any]:
    named = {
        head.array("classes"): [{"id": item.id, "name": item.name} for item in head.classes.classes]
        for head in model.spec.heads
    }
    return {"spacing": source.grid.spacing, "unit": source.grid.unit, **named}


def _record(job: Job, normaliser: Normaliser, writer: Provided | None) -> dict[str, Any]:
    model, recipe, reader = job.model, job.recipe, job.source.reader
    return {
        "model": str(model.path),
        "model_id": model.id,
        "input": job.source.grid.source,
        "shape": list(job.stored.shape),
        "resampled": None if job.source is job.stored else list(job.source.shape),
        "views": [{"view": view.name, "weight": weight} for view, weight in job.plan.views],
        "reader": None if reader is None else reader.id,
        "merge": recipe.merge.to_dict(),
        "postprocess": [use.to_dict() for use in recipe.postprocess],
        "runtime": recipe.runtime.to_dict(),
        "writer": None if writer is None else writer.id,
        "device": str(job.runtime.device),
        "normalisation": normaliser.as_dict(),
        "made_with": {
            **made_with(recipe.components()),
            **versions(provided for provided in (reader, writer) if provided is not None),
        },
    }


def record_path(output: Path) -> Path:
    """Return where the record of a prediction stands: beside the output, ``STEM.predict.json``."""
    return output.with_name(f"{output.stem}.predict.json")

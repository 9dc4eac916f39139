"""Steps after the merge on a finished prediction: labels, instances, probabilities or values of a file or an array."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.data.files import VolumeLike, VolumeSource, default_params, open_volume, refuse_existing, writer_for
from volseg_core.errors import Interrupted, UsageError
from volseg_core.prediction.arrays import Memory
from volseg_core.prediction.blockwise import Layer
from volseg_core.prediction.postprocess import Chain, write_layers
from volseg_core.prediction.predictor import Prediction
from volseg_core.prediction.scratch import Scratch
from volseg_core.provenance import made_with, write_json
from volseg_core.recipe import ComponentUse
from volseg_core.recipe.resolve import resolve_component
from volseg_core.recipe.steps import link_steps
from volseg_core.tasks import INSTANCES, LABELS, PROBABILITIES, VALUES
from volseg_core.volume import ClassMap
from volseg_core.volume.grid import whole_chunks
from volseg_core.volume.labels import IGNORED, class_names, find_ids

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from volseg_core.progress import Progress
    from volseg_core.registry import Registry
    from volseg_core.volume.blocks import Box

Array = np.ndarray[Any, Any]

_FLOATS = (PROBABILITIES, VALUES)
_FEW_IDS = 1 << 24
"""Largest number of an object up to which numbers stay as they are: steps make tables of as many entries."""


def run_postprocess(
    registry: Registry,
    volume: VolumeLike,
    steps: Sequence[str],
    overrides: Sequence[str],
    progress: Progress,
    *,
    output: Path | None,
    overwrite: bool,
    block: int | None,
    instances: bool,
) -> Prediction:
    """Apply steps; the arguments are those of `volseg_core.postprocess`.

    Raises:
        VolsegError: what is wrong with volume, steps or output, which is complete or absent.
    """
    start = time.time()
    uses = _uses(registry, steps, overrides)
    if output is not None:
        refuse_existing(output, overwrite=overwrite)
    with open_volume(registry.catalog, volume, "labels") as source:
        linked = link_steps(uses, {"": _kinds(source, instances=instances)})
        classes = _classes(source) if linked[0].takes == LABELS else None
        chain = Chain(tuple(linked), {"": classes}, source.grid.spacing, block)
        layer = _layer(source, linked[0].takes, classes)
        record: dict[str, Any] = {
            "input": source.grid.source,
            "took": layer.kind,
            "postprocess": [use.to_dict() for use in uses],
            "made_with": made_with(uses),
        }
        sink = _sink(registry, chain, source, output, record)
        try:
            with sink, Scratch(None if output is None else output.parent) as scratch:
                write_layers(chain.run(registry.catalog, lambda *_: layer, scratch, progress), sink)
                sink.commit()
        except KeyboardInterrupt:
            raise Interrupted("postprocess", "interrupted; nothing was written", "Start it again.") from None
    record["seconds"] = round(time.time() - start, 3)
    if output is not None:
        write_json(output.with_name(f"{output.stem}.postprocess.json"), record)
    return Prediction(getattr(sink, "arrays", {}), tuple(sink.paths), record)


def _uses(registry: Registry, steps: Sequence[str], overrides: Sequence[str]) -> list[ComponentUse]:
    """Return the steps with parameters from overrides ``NAME=VALUE``, of several steps ``STEP.NAME=VALUE``."""
    if not steps:
        raise UsageError("--use", "names no step", "For example: --use connected-components")
    catalog = registry.catalog
    ids = [catalog.find("postprocess", name, "--use").id for name in steps]
    given: list[list[str]] = [[] for _ in ids]
    for item in overrides:
        key, separator, value = item.partition("=")
        name, _, param = key.strip().rpartition(".")
        index = _named(registry, name, steps, ids, item) if separator else 0
        given[index].append(f"{param}={value}" if separator else item)
    uses = []
    for name, own in zip(ids, given, strict=True):
        provided, params = resolve_component(registry, "postprocess", name, own)
        uses.append(ComponentUse(provided, params, where=f"--use {provided.component.name}"))
    return uses


def _named(registry: Registry, name: str, steps: Sequence[str], ids: Sequence[str], item: str) -> int:
    """Return which step an override is for: its position, or its name where one step has it."""
    if name.isdigit() and int(name) < len(ids):
        return int(name)
    if name:
        name = registry.catalog.find("postprocess", name, f"--set {item}").id
    found = [index for index, identity in enumerate(ids) if name in ("", identity)]
    if len(found) != 1:
        what = f"could be for {len(found)} of the steps" if found else "is for a step that is not used"
        raise UsageError(f"--set {item}", what, f"Write {steps[0]}.NAME=VALUE or 0.NAME=VALUE.")
    return found[0]


def _kinds(source: VolumeSource, *, instances: bool) -> tuple[str, ...]:
    """Return what a volume can be taken as."""
    if source.dtype.kind not in "iub" or source.channels > 1:
        if instances:
            raise UsageError(
                "--instances", f"{source.grid.source} holds {source.channels} x {source.dtype}, no numbers"
            )
        return _FLOATS
    return (INSTANCES,) if instances else (LABELS,)


def _classes(source: VolumeSource) -> ClassMap:
    """Return the classes of labels: the ids that there are, 0 for the background among them; negative ones are none."""
    found: set[int] = {0}
    for planes, rows in whole_chunks(source.shape):
        found.update(find_ids(source.read((planes, rows, slice(0, source.shape[2])))[0], source.grid.source))
    ignored = tuple(item for item in found if item < 0)
    return ClassMap.of_ids(found, class_names(source.attributes), ignored)


def _layer(source: VolumeSource, kind: str, classes: ClassMap | None) -> Layer:
    if kind in _FLOATS:
        return Layer(kind, source.shape, source.channels, 0, lambda box: _floats(source, box))
    if classes is not None:
        return Layer(kind, source.shape, 0, len(classes) - 1, lambda box: _indices(source, classes, box))
    largest = _largest(source)
    if largest < _FEW_IDS:
        return Layer(kind, source.shape, 0, largest, lambda box: _objects(source, box).astype(np.int64))
    known = _numbers(source)
    return Layer(kind, source.shape, 0, len(known) - 1, lambda box: np.searchsorted(known, _objects(source, box)))


def _floats(source: VolumeSource, box: Box) -> Array:
    """Return a box (K, z, y, x) as float32; of bytes 255 stands for 1."""
    values: Array = source.read(box).astype(np.float32)
    return values / 255 if source.dtype == np.uint8 else values


def _indices(source: VolumeSource, classes: ClassMap, box: Box) -> Array:
    indices = classes.encode(source.read(box)[0], source.grid.source)
    kept: Array = np.where(indices == IGNORED, 0, indices).astype(indices.dtype)
    return kept


def _objects(source: VolumeSource, box: Box) -> Array:
    ids: Array = source.read(box)[0]
    return np.maximum(ids, 0) if ids.dtype.kind == "i" else ids


def _largest(source: VolumeSource) -> int:
    found = 0
    for planes, rows in whole_chunks(source.shape):
        found = max(found, int(source.read((planes, rows, slice(0, source.shape[2]))).max()))
    return found


def _numbers(source: VolumeSource) -> Array:
    """Return the numbers that objects have, 0 among them, ascending."""
    known = np.zeros(1, source.dtype)
    for planes, rows in whole_chunks(source.shape):
        known = np.union1d(known, _objects(source, (planes, rows, slice(0, source.shape[2]))))
    return known


def _sink(registry: Registry, chain: Chain, source: VolumeSource, output: Path | None, record: dict[str, Any]) -> Any:
    specs = chain.specs(source.shape)
    if output is None:
        return Memory(specs)
    writer = writer_for(registry.catalog, output)
    classes = chain.classes[""]
    named = [{"id": item.id, "name": item.name} for item in classes.classes] if classes else []
    attributes = {"spacing": source.grid.spacing, "unit": source.grid.unit, "classes": named, "provenance": record}
    return registry.catalog.build(writer, default_params(writer)).create(output, specs, attributes)

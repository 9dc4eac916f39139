"""The arrays that a prediction gives: shapes and types, a sink that keeps them in memory, and filling one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from volseg_core.api import ArraySpec
from volseg_core.prediction.segment import to_numpy
from volseg_core.volume import CHUNK
from volseg_core.volume.blocks import Block
from volseg_core.volume.grid import whole_chunks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from volseg_core.api import MergeResult, MergeState, Sink
    from volseg_core.model import HeadSpec
    from volseg_core.prediction.plan import Plan
    from volseg_core.prediction.postprocess import Held


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


def array_specs(plan: Plan, shape: tuple[int, int, int]) -> dict[str, ArraySpec]:
    """Return shape and type of every array that is wanted of all heads; in bytes, 255 stands for 1."""
    specs: dict[str, ArraySpec] = {}
    for head in plan.spec.heads:
        channels = len(head.classes)
        known = {
            "labels": ArraySpec(shape, head.classes.id_dtype.name),
            "confidence": ArraySpec(shape, "uint8"),
            "probabilities": ArraySpec((channels, *shape), "float16", "czyx"),
            "values": ArraySpec((channels, *shape), "float32", "czyx"),
            "entropy": ArraySpec(shape, "uint8"),
            "variance": ArraySpec(shape, "float16"),
        }
        specs |= {head.array(name): known[name] for name in plan.wanted_of(head)}
    return specs


def asked_arrays(plan: Plan, wanted: Sequence[str], taken: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the arrays that are written: those ``wanted`` of heads with classes, and what others give.

    What steps have ``taken`` of others is written only where ``probabilities`` are wanted.
    """
    names = []
    for head in plan.spec.heads:
        for kind in wanted if head.of_classes else plan.wanted_of(head):
            name = head.array(kind)
            if head.of_classes or name not in taken or "probabilities" in wanted:
                names.append(name)
    return tuple(names)


class Merges:
    """The merges of all heads as one receiver: each takes its share of the results."""

    def __init__(self, plan: Plan, states: Sequence[MergeState]) -> None:
        self.plan, self.states = plan, list(states)

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:  # noqa: ARG002  (of all heads)
        """Begin a block of ``(Z, Y, X)`` voxels."""
        for (head, _), state in zip(self.plan.parts, self.states, strict=True):
            state.start(shape, len(head.classes), views)

    def add(self, probabilities: Any, where: tuple[slice, ...], view: int, weight: int = 1) -> None:
        """Give each merge the results ``(C, *box)`` of its head."""
        for (_, part), state in zip(self.plan.parts, self.states, strict=True):
            state.add(probabilities[part], where, view, weight)

    def write(self, block: Block, sink: Sink | Memory | Held) -> None:
        """Write what all merges found in a block."""
        for (head, _), state in zip(self.plan.parts, self.states, strict=True):
            write_result(state, head, block, self.plan.wanted_of(head), sink)


class Streamed:
    """A receiver of one view whose planes come in their order: merges hold a slab of them, which is written when full.

    Their state does not grow with the depth of the volume.
    """

    def __init__(self, merges: Merges, sink: Sink | Memory | Held) -> None:
        self._merges, self._sink = merges, sink

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:
        """Begin a volume of ``(Z, Y, X)`` voxels."""
        self._shape, self._announced = shape, (classes, views)
        self._begin(0)

    def add(self, probabilities: Any, where: tuple[slice, ...], view: int, weight: int = 1) -> None:
        """Give the merges the next planes ``(C, *box)``, and write the slabs that they fill."""
        first, at = where[0].start, where[0].start
        while at < where[0].stop:
            slab = self._slab
            end = min(where[0].stop, slab.stop)
            box = (slice(at - slab.start, end - slab.start), *where[1:])
            self._merges.add(probabilities[:, at - first : end - first], box, view, weight)
            if end == slab.stop:
                planes = (slab, slice(0, self._shape[1]), slice(0, self._shape[2]))
                self._merges.write(Block(0, planes, planes), self._sink)
                self._begin(end)
            at = end

    def _begin(self, start: int) -> None:
        depth, height, width = self._shape
        self._slab = slice(start, min(start + CHUNK, depth))
        if start < depth:
            self._merges.start((self._slab.stop - start, height, width), *self._announced)


def write_result(
    merge: MergeState, head: HeadSpec, block: Block, wanted: Sequence[str], sink: Sink | Memory | Held
) -> None:
    """Write a finished block piece by piece: no array of the whole block is made beside the merge's state."""
    inside, core = block.inside(), block.core
    for planes, rows in whole_chunks([part.stop - part.start for part in core]):
        box = (_moved(planes, inside[0].start), _moved(rows, inside[1].start), inside[2])
        where = (_moved(planes, core[0].start), _moved(rows, core[1].start), core[2])
        result = merge.result(box, wanted)
        for name, values in _values(result, head, wanted).items():
            sink.write(head.array(name), (slice(0, values.shape[0]), *where) if values.ndim == 4 else where, values)  # noqa: PLR2004


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _values(result: MergeResult, head: HeadSpec, wanted: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    values: dict[str, np.ndarray[Any, Any]] = {}
    if "labels" in wanted:
        values["labels"] = head.classes.decode(to_numpy(result.labels))
    if "values" in wanted:
        values["values"] = to_numpy(result.values).astype(np.float32, copy=False)
    for name in ("confidence", "entropy"):
        if name in wanted:
            values[name] = np.rint(to_numpy(getattr(result, name)) * 255).astype(np.uint8)
    for name in ("probabilities", "variance"):
        if name in wanted:
            values[name] = to_numpy(getattr(result, name)).astype(np.float16)
    return values

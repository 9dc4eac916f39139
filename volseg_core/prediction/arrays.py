"""The arrays that a prediction gives: shapes and types, a sink that keeps them in memory, and filling one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from volseg_core.api import ArraySpec
from volseg_core.prediction.segment import slabs, to_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from volseg_core.api import MergeResult, MergeState, Sink
    from volseg_core.model import HeadSpec
    from volseg_core.prediction.plan import Plan
    from volseg_core.prediction.postprocess import Held
    from volseg_core.volume.blocks import Block


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


def write_result(
    merge: MergeState, head: HeadSpec, block: Block, wanted: Sequence[str], sink: Sink | Memory | Held
) -> None:
    """Write a finished block slab by slab: no array of the whole block is made beside the merge's state."""
    inside = block.inside()
    core = block.core
    shape = (core[0].stop - core[0].start, core[1].stop - core[1].start, core[2].stop - core[2].start)
    for slab in slabs(shape):
        box = (slice(inside[0].start + slab.start, inside[0].start + slab.stop), inside[1], inside[2])
        where = (slice(core[0].start + slab.start, core[0].start + slab.stop), core[1], core[2])
        result = merge.result(box, wanted)
        for name, values in _values(result, head, wanted).items():
            sink.write(head.array(name), (slice(0, values.shape[0]), *where) if values.ndim == 4 else where, values)  # noqa: PLR2004


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

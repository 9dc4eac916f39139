"""What follows the merge: the steps of a recipe's ``postprocess``, on the arrays of the whole volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import ArraySpec, Merge
from volseg_core.errors import UsageError
from volseg_core.prediction.blockwise import Layer, Running, apply_step
from volseg_core.tasks import INSTANCES, LABELS, array_name
from volseg_core.volume.grid import whole_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from volseg_core.api import Sink
    from volseg_core.catalog import Catalog
    from volseg_core.prediction.arrays import Memory
    from volseg_core.prediction.scratch import Scratch
    from volseg_core.progress import Progress
    from volseg_core.recipe import ComponentUse
    from volseg_core.recipe.steps import Step
    from volseg_core.volume import ClassMap
    from volseg_core.volume.blocks import Triple

Array = np.ndarray[Any, Any]

LABELS_WITHOUT_CLASSES = "uint16"
"""Type of labels that steps make at a head without classes."""


@dataclass(frozen=True)
class Chain:
    """Steps with what they are built with: classes of each head by its name (None where it has none), and spacing."""

    steps: tuple[Step, ...]
    classes: Mapping[str, ClassMap | None]
    spacing: tuple[float, float, float] | None = None
    edge: int | None = None

    def needed(self) -> tuple[str, ...]:
        """Return the names of the arrays that first steps take."""
        return tuple(dict.fromkeys(array_name(step.head, step.takes) for step in self.steps if step.first))

    def kinds_of_classes(self) -> tuple[str, ...]:
        """Return the kinds of the arrays that first steps take of heads with classes."""
        return tuple(step.takes for step in self.steps if step.first and self.classes[step.head] is not None)

    def given(self) -> tuple[tuple[str, str], ...]:
        """Return head and kind of the arrays that steps give and that are written."""
        return tuple(dict.fromkeys((step.head, step.gives) for step in self.steps))

    def specs(self, shape: Triple) -> dict[str, ArraySpec]:
        """Return shape and type of the arrays that are written: ``labels`` and ``instances`` (Z, Y, X)."""
        return {array_name(head, kind): ArraySpec(shape, self._dtype(head, kind)) for head, kind in self.given()}

    def _dtype(self, head: str, kind: str) -> str:
        classes = self.classes[head]
        if kind == INSTANCES:
            return "uint32"
        return LABELS_WITHOUT_CLASSES if classes is None else classes.id_dtype.name

    def run(
        self, catalog: Catalog, read: Callable[[str, str], Layer], scratch: Scratch, progress: Progress
    ) -> dict[str, Layer]:
        """Apply the steps and return what is to be written, labels as original ids; ``read`` gives what heads gave."""
        found: dict[tuple[str, str], Layer] = {}
        last: Layer | None = None
        for step in self.steps:
            classes = self.classes[step.head]
            names = () if classes is None else classes.names
            context = {"classes": names, "spacing": self.spacing, "taken": step.takes}
            target = catalog.build(step.use.provided, step.use.params, context, step.use.where)
            layer = read(step.head, step.takes) if step.first or last is None else last
            most = len(names) - 1 if names else np.iinfo(LABELS_WITHOUT_CLASSES).max
            last = apply_step(Running(step, target), layer, most, scratch, progress, self.edge)
            replaced = found.pop((step.head, step.gives), None)
            if replaced is not None:
                replaced.free()
            found[step.head, step.gives] = last
        return {array_name(head, kind): self._as_ids(head, layer) for (head, kind), layer in found.items()}

    def _as_ids(self, head: str, layer: Layer) -> Layer:
        classes = self.classes[head]
        if layer.kind != LABELS or classes is None:
            return layer
        return Layer(LABELS, layer.shape, 0, layer.most, lambda box: classes.decode(layer.read(box)), layer.free)


def check_merge(steps: Sequence[Step], merge: ComponentUse) -> None:
    """Raise a UsageError when a step takes what the merge cannot give."""
    component = merge.provided.component
    assert isinstance(component, Merge)  # noqa: S101  (the catalog keeps kinds apart)
    for step in steps:
        if step.first and step.takes not in component.gives:
            name = step.use.provided.component.name
            what = f"{name!r} takes {step.takes}, which merge {component.name!r} does not give"
            raise UsageError(step.use.where, what, "Use another merge, such as -s predict.merge=mean.")


def write_layers(layers: Mapping[str, Layer], sink: Sink | Memory) -> None:
    """Write arrays piece by piece."""
    for name, layer in layers.items():
        for planes, rows in whole_chunks(layer.shape):
            box = (planes, rows, slice(0, layer.shape[2]))
            sink.write(name, box, layer.read(box))


class Held:
    """A sink that keeps back what steps take and hands on what is written as it is.

    ``specs`` are the arrays that are written to it; ``asked`` those of them that are for the user.
    """

    def __init__(
        self, chain: Chain, specs: Mapping[str, ArraySpec], asked: Sequence[str], sink: Sink | Memory, scratch: Scratch
    ) -> None:
        self._chain, self._sink, self._scratch = chain, sink, scratch
        made = {array_name(head, kind) for head, kind in chain.given()}
        self._passed = {name for name in asked if name not in made}
        self._kept = {name: scratch.array(specs[name].shape, specs[name].dtype) for name in chain.needed()}

    def write(self, name: str, slices: tuple[slice, ...], values: Array) -> None:
        """Keep a box of an array, labels as original ids, or write it, or both."""
        if name in self._kept:
            self._kept[name][slices] = values
        if name in self._passed:
            self._sink.write(name, slices, values)

    def finish(self, catalog: Catalog, progress: Progress) -> None:
        """Apply the steps and write what they give."""
        write_layers(self._chain.run(catalog, self._layer, self._scratch, progress), self._sink)

    def _layer(self, head: str, kind: str) -> Layer:
        kept = self._kept[array_name(head, kind)]
        return stored_layer(kind, kept, self._chain.classes[head])


def stored_layer(kind: str, array: Array, classes: ClassMap | None) -> Layer:
    """Return the layer of an array of a head: labels are original ids (Z, Y, X), others floats (K, Z, Y, X)."""
    z, y, x = array.shape[-3:]
    if kind == LABELS:
        assert classes is not None  # noqa: S101  (only heads with classes give labels)
        return Layer(kind, (z, y, x), 0, len(classes) - 1, lambda box: classes.encode(np.asarray(array[box])))
    return Layer(kind, (z, y, x), array.shape[0], 0, lambda box: np.asarray(array[(slice(None), *box)], np.float32))

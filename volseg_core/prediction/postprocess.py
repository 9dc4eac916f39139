"""What follows the merge: the steps of a recipe's ``postprocess``, on the labels of the whole volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import ArraySpec, PluginError, Postprocess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from volseg_core.catalog import Catalog
    from volseg_core.model import ModelFile
    from volseg_core.recipe import ComponentUse

    Labels = np.ndarray[Any, Any]

INSTANCES = "instances"
_LABELS = "labels"


def extra_arrays(uses: Sequence[ComponentUse], shape: tuple[int, int, int]) -> dict[str, ArraySpec]:
    """Return the arrays that the steps give beside labels: ``instances`` (Z, Y, X) uint32, if the last one does."""
    return {INSTANCES: ArraySpec(shape, "uint32")} if uses and _gives(uses[-1]) == INSTANCES else {}


class Held:
    """A sink that keeps the labels back for the steps and hands all other arrays on.

    Raises:
        PluginError: a step gives another shape, no integers, or class indices that there are not.
    """

    def __init__(
        self, catalog: Catalog, uses: Sequence[ComponentUse], model: ModelFile, sink: Any, spec: ArraySpec,
        spacing: tuple[float, float, float] | None,
    ) -> None:  # fmt: skip
        self._sink = sink
        self._classes = model.spec.only_classes("postprocess").classes
        self._labels: Labels = np.zeros(spec.shape, spec.dtype)
        context = {"classes": self._classes.names, "spacing": spacing}
        self._steps = [(use, catalog.build(use.provided, use.params, context, use.where)) for use in uses]

    def write(self, name: str, slices: tuple[slice, ...], values: Labels) -> None:
        """Keep labels (original ids), or write a box of another array."""
        if name == _LABELS:
            self._labels[slices] = values
        else:
            self._sink.write(name, slices, values)

    def finish(self) -> None:
        """Apply the steps and write what they give."""
        indices = self._classes.encode(self._labels)
        arrays: Mapping[str, Labels] = {}
        for use, step in self._steps:
            result = np.asarray(step(indices))
            self._check(use, result)
            if _gives(use) == INSTANCES:
                arrays = {INSTANCES: result.astype(np.uint32)}
            else:
                indices = result.astype(indices.dtype)
        everything = tuple(slice(0, size) for size in self._labels.shape)
        for name, values in {_LABELS: self._classes.decode(indices), **arrays}.items():
            self._sink.write(name, everything, values)

    def _check(self, use: ComponentUse, result: Labels) -> None:
        if result.shape != self._labels.shape or result.dtype.kind not in "iu":
            what = f"gives {result.dtype} of shape {result.shape}, not integers of shape {self._labels.shape}"
            raise PluginError(use.where, f"{use.provided.describe()} {what}")
        most = np.iinfo(np.uint32).max if _gives(use) == INSTANCES else len(self._classes) - 1
        if result.size and not 0 <= int(result.min()) <= int(result.max()) <= most:
            what = f"gives values from {result.min()} to {result.max()}, beyond 0 to {most}"
            raise PluginError(use.where, f"{use.provided.describe()} {what}")


def _gives(use: ComponentUse) -> str:
    component = use.provided.component
    assert isinstance(component, Postprocess)  # noqa: S101  (the catalog keeps kinds apart)
    return component.gives

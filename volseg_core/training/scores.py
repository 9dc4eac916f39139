"""Scoring the heads of a network during validation, by the metrics of the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.tasks import HEAD_ARRAYS
from volseg_core.training.targets import in_unit, predicted_class, probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from volseg_core.api import Metric
    from volseg_core.model import HeadSpec

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Scorer:
    """The metrics of one head, each with its descriptor."""

    head: HeadSpec
    metrics: Sequence[tuple[Metric, Any]]

    @property
    def looks_at_objects(self) -> bool:
        """Whether a metric compares with ids of objects, whatever the head learns."""
        return any(descriptor.truth == "instances" for descriptor, _ in self.metrics)

    def reset(self) -> None:
        """Forget what was counted."""
        for _, metric in self.metrics:
            metric.reset()

    def update(self, output: Tensor, target: Tensor, ids: Tensor | None = None) -> None:
        """Count an output (N, channels, *S) of the head against its target, or against ``ids`` (N, *S) of objects."""
        given = self._given(output)
        truths = {"target": self._truth(target)}
        if ids is not None:
            objects = ids.cpu().numpy()
            truths["instances"] = (objects, objects >= 0)
        for descriptor, metric in self.metrics:
            prediction = given[descriptor.inputs]
            truth, valid = truths[descriptor.truth]
            if descriptor.streaming:
                metric.update(prediction, truth, valid)
                continue
            for number in range(len(target)):  # one slice, or box, is one image
                metric.update(*(_image(array, number, output.ndim - 1) for array in (prediction, truth, valid)))

    def _given(self, output: Tensor) -> dict[str, Array]:
        """Return what metrics may ask for: classes (N, *S), and probabilities or values (K, N, *S).

        A multilabel task has no classes; its probabilities stand for them.
        """
        task = self.head.task
        given: dict[str, Array] = {}
        if self.head.of_classes:
            given["classes"] = predicted_class(task, output).cpu().numpy()
        if not self.head.of_classes or any(descriptor.inputs != "classes" for descriptor, _ in self.metrics):
            given[HEAD_ARRAYS[task][-1]] = _channels_first(in_unit(self.head, probabilities(task, output)))
        return {"classes": given["probabilities"], **given} if task == "multilabel" else given

    def _truth(self, target: Tensor) -> tuple[Array, Array]:
        """Return the target as metrics take it, class indices (N, *S) or values (K, N, *S), and what of it is known."""
        if self.head.of_classes:
            indices = target.cpu().numpy()
            return indices, indices >= 0
        values = _channels_first(in_unit(self.head, target))
        known = ~np.isnan(values)
        return np.where(known, values, 0), known

    def compute(self) -> dict[str, float]:
        """Return all scores; with several heads their names begin with the head's."""
        prefix = f"{self.head.name}/" if self.head.name else ""
        return {f"{prefix}{key}": float(value) for _, metric in self.metrics for key, value in metric.compute().items()}


def _channels_first(values: Tensor) -> Array:
    array: Array = values.float().cpu().numpy()
    return array.swapaxes(0, 1)


def _image(array: Array, number: int, dims: int) -> Array:
    """Return one image (*S) or (K, *S) of an array (N, *S) or (K, N, *S), of which ``dims`` axes end it with N."""
    image: Array = array.take(number, axis=array.ndim - dims)
    return image

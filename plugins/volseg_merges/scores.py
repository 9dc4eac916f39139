"""What merges share that keep a score per class: the state's bookkeeping, and what is read off the scores."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import array_api_compat

from volseg_core.api import MergeResult, PluginError, UsageError
from volseg_merges.checks import RangeWatch, added, box_shape, check_probabilities, check_wanted, label_dtype, started

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Box = tuple[slice, ...]

WEIGHT = 255
"""Largest total weight: what a byte counts, and where a step of the mean's 16 bits reaches 1/128."""
_LEAST = 1e-30


class ScoreMerge(ABC):
    """Label each voxel with the class of the highest score; equal scores give the first class.

    Arrays of any namespace of the array API standard; the state lives where the first probabilities do. A merge
    says how it keeps views (`_allocate`, `_receive`) and how scores and probabilities come of them.
    """

    name: ClassVar[str]
    gives: ClassVar[tuple[str, ...]] = ("labels", "confidence", "probabilities", "entropy")

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None
        self._classes = 0
        self._total = 0
        self._received = 0
        self._state: Any = None
        self._watch = RangeWatch(self.name)

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:
        """Begin a block of ``(Z, Y, X)`` voxels that will each receive the total weight ``views``.

        Raises:
            UsageError: a total weight below 1 or above 255.
        """
        if not 1 <= views <= WEIGHT:
            what = f"takes views of a total weight of 1 to {WEIGHT}, got {views}"
            raise UsageError(self.name, what, "Use fewer views or smaller weights.")
        self._shape, self._classes, self._total = tuple(shape), classes, views
        self._received = 0
        self._state = None
        self._watch = RangeWatch(self.name)

    def add(self, probabilities: Any, where: Box, view: int, weight: int = 1) -> None:
        """Add the probabilities ``(C, *box)`` of one view; temporaries are of the size of the box.

        Raises:
            PluginError: `start` was not called, the shape does not fit the box, or the block received more
                weight than was announced.
        """
        shape = started(self.name, self._shape)
        box = box_shape(where, shape)
        check_probabilities(self.name, probabilities.shape, self._classes, box)
        self._count(view, weight * math.prod(box), math.prod(shape))
        xp = array_api_compat.array_namespace(probabilities)
        if self._state is None:
            self._allocate(xp, shape, array_api_compat.device(probabilities))
        self._receive(xp, probabilities, where, view, weight)

    def result(self, where: Box, wanted: Sequence[str] = ("labels",)) -> MergeResult:
        """Return labels (class index) and what is wanted of the others (float32) of a box.

        Raises:
            DataError: a view gave NaN or values above 1, anywhere in the block.
            PluginError: the block has not received its total weight.
            UsageError: ``wanted`` names what this merge does not keep.
        """
        xp, _ = self._finished(wanted)
        scores = self._scores(xp, where)
        labels = first_maximum(xp, scores, label_dtype(xp, self._classes))[0]
        extra: dict[str, Any] = {}
        if {"confidence", "probabilities", "entropy"} & set(wanted):
            probabilities = self._probabilities(xp, scores)
            extra["probabilities"] = probabilities if "probabilities" in wanted else None
            extra["confidence"] = xp.max(probabilities, axis=0) if "confidence" in wanted else None
            extra["entropy"] = entropy(xp, probabilities) if "entropy" in wanted else None
        return MergeResult(labels, **extra)

    def _finished(self, wanted: Sequence[str]) -> tuple[Any, Any]:
        """Return namespace and state once every view was added; raises as `result`."""
        check_wanted(self.name, wanted, self.gives)
        state = added(self.name, self._state)
        self._watch.check()
        self._check_complete()
        return array_api_compat.array_namespace(state), state

    def _allocate(self, xp: Any, shape: tuple[int, ...], device: Any) -> None:
        """Make the state of a block: an int32 per voxel and class unless a merge says otherwise."""
        self._state = xp.zeros((self._classes, *shape), dtype=xp.int32, device=device)

    @abstractmethod
    def _receive(self, xp: Any, probabilities: Any, where: Box, view: int, weight: int) -> None:
        """Take the probabilities of one view into the state."""

    def _scores(self, xp: Any, where: Box) -> Sequence[Any]:  # noqa: ARG002 - the sums need no arithmetic
        """Return an array of the box for each class; the highest wins."""
        return [score[where] for score in self._state]

    def _probabilities(self, xp: Any, scores: Sequence[Any]) -> Any:
        """Return probabilities ``(C, *box)`` float32 of the scores: each one's share unless a merge says otherwise."""
        return shares(xp, scores)

    def _count(self, view: int, amount: int, voxels: int) -> None:
        """Refuse more than the announced weight before it can overflow the state."""
        if self._received + amount > self._total * voxels:
            what = f"view {view} exceeds the total weight {self._total} given to start"
            raise PluginError(self.name, what, "Add each view once, with non-overlapping boxes.")
        self._received += amount

    def _check_complete(self) -> None:
        announced = self._total * math.prod(started(self.name, self._shape))
        if self._received < announced:
            what = f"has received {self._received / announced:.1%} of the total weight {self._total} given to start"
            raise PluginError(self.name, what, "Add every view to the whole block before asking for a result.")


def first_maximum(xp: Any, values: Iterable[Any], dtype: Any) -> tuple[Any, Any]:
    """Return the index (``dtype``) of the first of the largest values, and the largest; NaN stays in the largest."""
    best: Any = None
    labels: Any = None
    for index, candidate in enumerate(values):
        if best is None:
            best = candidate
            labels = xp.zeros(best.shape, dtype=dtype, device=array_api_compat.device(best))
            continue
        step = xp.astype(candidate > best, dtype)
        step *= index
        labels = xp.maximum(labels, step)
        best = xp.maximum(best, candidate)
    return labels, best


def best_class(xp: Any, probabilities: Any, dtype: Any) -> tuple[Any, Any]:
    """Return the first class (``dtype``) of the largest probability ``(C, *box)``, and that as a new float32 array."""
    values = (xp.astype(values, xp.float32, copy=index == 0) for index, values in enumerate(probabilities))
    return first_maximum(xp, values, dtype)


def shares(xp: Any, scores: Sequence[Any]) -> Any:
    """Return each score's share of their sum, ``(C, *box)`` float32; added up in the order of the classes."""
    result = xp.stack([xp.astype(score, xp.float32) for score in scores])
    result /= _total(result)
    return result


def softmax(xp: Any, scores: Sequence[Any], step: float) -> Any:
    """Return the softmax of ``scores * step``, ``(C, *box)`` float32; integer scores are subtracted exactly."""
    best = first_maximum(xp, scores, xp.int32)[1]
    result = xp.stack([xp.astype(score - best, xp.float32) for score in scores])
    result *= step
    result = xp.exp(result)
    result /= _total(result)
    return result


def _total(values: Any) -> Any:
    """Return the sum over the classes, in their order, so that every array library rounds alike."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def entropy(xp: Any, probabilities: Any) -> Any:
    """Return the Shannon entropy of probabilities ``(C, *box)`` divided by its maximum log(C), in [0, 1]."""
    result: Any = 0
    for values in probabilities:
        result = result - values * xp.log(xp.clip(values, _LEAST, 1.0))
    result = result / math.log(probabilities.shape[0])
    return xp.clip(result, 0.0, 1.0)

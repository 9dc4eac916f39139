"""Small views of a block for merges: their probabilities, boxes that partition them, and array libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from volseg_core.testing.trial import Trial

    Array = np.ndarray[Any, Any]
    Box = tuple[slice, slice, slice]

VIEWS = ("z", "y", "x", "z,-y,x")
"""Names of the views of a check."""
CLASSES = ("background", "first", "second")
"""Names of the classes of a check."""
SHAPE = (3, 4, 5)
EVERYWHERE = (slice(None),) * 3


def make_views(seed: int = 0) -> Array:
    """Return probabilities (V, C, *shape) float32 of views that mostly agree."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (1, len(CLASSES), *SHAPE)) + random.normal(0, 1, (len(VIEWS), len(CLASSES), *SHAPE))
    exponential = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponential / exponential.sum(1, keepdims=True), np.float32)


def boxes(seed: int) -> Iterator[Box]:
    """Yield boxes that partition the shape, in an order of their own."""
    halves = [(slice(0, size // 2), slice(size // 2, size)) for size in SHAPE]
    parts = [(z, y, x) for z in halves[0] for y in halves[1] for x in halves[2]]
    yield from (parts[index] for index in np.random.default_rng(seed).permutation(len(parts)))


def arrays(value: Any) -> Iterator[Any]:
    """Yield the arrays that an object's attributes hold, in lists and mappings too."""
    if hasattr(value, "nbytes") and hasattr(value, "shape"):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from arrays(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from arrays(item)


def namespaces() -> Iterator[tuple[str, Callable[[Array], Any]]]:
    """Yield the array libraries that are installed beside numpy."""
    for name, convert in (("torch", "from_numpy"), ("array_api_strict", "asarray")):
        try:
            yield name, getattr(import_module(name), convert)
        except ImportError:
            continue


@dataclass(frozen=True)
class Bench:
    """A merge at work on small views."""

    trial: Trial

    @property
    def _gives(self) -> tuple[str, ...]:
        return tuple(name for name in self.trial.component.gives if name != "values")  # those of a regression

    def _build(self) -> Any:
        return self.trial.build(task="multiclass", views=list(VIEWS), classes=list(CLASSES), wanted=self._gives)

    def _started(self, total: int = len(VIEWS)) -> Any:
        merge = self._build()
        merge.start(SHAPE, len(CLASSES), total)
        return merge

    def _merged(self, views: Any, order: Sequence[int] = range(len(VIEWS))) -> Any:
        merge = self._started()
        for view in order:
            merge.add(views[view], EVERYWHERE, view)
        return merge.result(EVERYWHERE, self._gives)

    def _filled(self, views: Array) -> Any:
        merge = self._started()
        for view, values in enumerate(views):
            merge.add(values, EVERYWHERE, view)
        return merge

from __future__ import annotations

import itertools
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_merges.plugin import volseg_merges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Slices = tuple[slice, slice, slice]


def _softmax_views(seed: int, views: int, classes: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Views (V, C, *shape) that agree with each other as those of one network do."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 2, (1, classes, *shape))
    logits = common + rng.normal(0, 1, (views, classes, *shape))
    exponential = np.exp(logits - logits.max(1, keepdims=True))
    return (exponential / exponential.sum(1, keepdims=True)).astype(np.float32)


def _one_voxel(*rows: tuple[float, ...]) -> list[np.ndarray]:
    """Views of a single voxel, from a row of probabilities for each."""
    return [np.array(row, np.float32).reshape(-1, 1, 1, 1) for row in rows]


def _merged(merge: Any, views: Any, weights: list[int] | None = None) -> Any:
    """What a merge gives of whole views (C, Z, Y, X): all that merges of scores can give."""
    weights = weights or [1] * len(views)
    everywhere = (slice(None),) * 3
    merge.start(tuple(views[0].shape[1:]), views[0].shape[0], sum(weights))
    for view, (probabilities, weight) in enumerate(zip(views, weights, strict=True)):
        merge.add(probabilities, everywhere, view, weight)
    return merge.result(everywhere, ("labels", "confidence", "probabilities", "entropy"))


def _boxes(seed: int, shape: tuple[int, int, int]) -> Iterator[Slices]:
    """Boxes that partition the shape, cut at random planes, in random order."""
    rng = np.random.default_rng(seed)
    axes = []
    for size in shape:
        cuts = [0, *sorted(rng.choice(np.arange(1, size), rng.integers(0, min(3, size)), replace=False)), size]
        axes.append([slice(int(a), int(b)) for a, b in itertools.pairwise(cuts)])
    boxes = list(itertools.product(*axes))
    yield from (boxes[i] for i in rng.permutation(len(boxes)))


def _build(name: str, views: int = 1, classes: int = 2, wanted: tuple[str, ...] = ("labels",), **params: Any) -> Any:
    """Build a merge as the core does: with its parameters and the context that it wants."""
    component = next(item for item in volseg_merges() if item.name == name)
    names = [f"view {number}" for number in range(views)]
    context = {
        "views": names,
        "classes": [f"class {index}" for index in range(classes)],
        "wanted": wanted,
        "task": "multiclass",
    }
    if name == "fusion" and not params:
        rows = np.random.default_rng(views).uniform(0, 2, (views, classes))
        params = {"weights": {view: row.tolist() for view, row in zip(names, rows, strict=True)}}
    module, attribute = component.target.split(":")
    return getattr(import_module(module), attribute)(**params, **{key: context[key] for key in component.wants})


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    return _build


@pytest.fixture(scope="session")
def one_voxel() -> Callable[..., list[np.ndarray]]:
    return _one_voxel


@pytest.fixture(scope="session")
def merged() -> Callable[..., Any]:
    return _merged


@pytest.fixture(scope="session")
def softmax_views() -> Callable[..., np.ndarray]:
    return _softmax_views


@pytest.fixture(scope="session")
def boxes() -> Callable[..., Iterator[Slices]]:
    return _boxes

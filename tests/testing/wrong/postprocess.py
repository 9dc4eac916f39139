"""A right postprocess and, for each rule, one that breaks it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy import ndimage

from volseg_core.api import Postprocess

CALLS = itertools.count()


def described(target: str, summary: str, gives: str = "instances", takes: tuple[str, ...] = ("labels",)) -> Postprocess:
    about = {"name": target, "target": f"postprocess:{target}", "summary": summary, "licence": "MIT"}
    return Postprocess(takes=takes, gives=gives, **about)


def right() -> Any:
    return lambda labels: ndimage.label(labels > 0)[0]


def volumes() -> Any:
    return lambda labels: right()(labels) if len(labels) > 1 else labels.shape[9]


def crops() -> Any:
    return lambda labels: right()(labels)[:-1] if len(labels) > 1 else right()(labels)


def floats() -> Any:
    return lambda labels: right()(labels) / 2


def fromone() -> Any:
    return lambda labels: right()(labels) + 1


def numbers() -> Any:
    return lambda labels: labels * 2


def keeps() -> Any:
    return lambda labels: labels.copy()


def counts() -> Any:
    return lambda labels: right()(labels) * (next(CALLS) + 1)


def clears() -> Any:
    def postprocess(labels: Any) -> Any:
        result = right()(labels)
        labels[:] = 0
        return result

    return postprocess


class Steps:
    """Keeps labels of so many voxels, in the part of the volume that it sees."""

    def __init__(self, halo: Any = 0, least: int = 0) -> None:
        self.halo, self.least = halo, least

    def __call__(self, labels: Any) -> Any:
        return labels * (np.bincount(labels.ravel(), minlength=3) >= self.least)[labels]


def wide() -> Any:
    return Steps(halo="wide")


def local() -> Any:
    return Steps(halo=1, least=200)


class Counted:
    """Removes instances of fewer than 12 voxels, which it counts in all blocks first."""

    halo = 0

    def __init__(self) -> None:
        self.sizes: Any = np.zeros(64, int)

    def look(self, instances: Any) -> None:
        self.sizes += np.bincount(instances.ravel(), minlength=64)

    def __call__(self, instances: Any) -> Any:
        return instances * (self.sizes >= 12)[instances]


def counted() -> Any:
    return Counted()


def components() -> Any:
    class Components:
        halo, overlap = 1, 0.0

        def __call__(self, labels: Any) -> Any:
            return right()(labels)

    return Components()


def thresholds() -> Any:
    return lambda values: (values[0] > 0.5).astype(np.uint8)


RIGHT = [
    (described("right", "connected parts"), {}),
    (described("keeps", "the labels as they are", gives="labels"), {}),
    (described("components", "connected parts, by blocks"), {}),
    (described("counted", "large instances", gives="same", takes=("instances",)), {}),
    (described("thresholds", "a threshold", gives="labels", takes=("values", "probabilities")), {}),
]
WRONG = {
    "works": (described("volumes", "raises for a single slice"), "with labels of shape (1, 7, 8) it raised IndexError"),
    "shape": (described("crops", "cuts a plane off"), "labels of shape (6, 7, 8) become int32 of shape (5, 7, 8)"),
    "background": (described("fromone", "makes the background an instance"), "something does"),
    "indices": (
        described("numbers", "doubles class indices and calls them labels", gives="labels"),
        "of 3 classes it gives indices from 0 to 4",
    ),
    "deterministic": (described("counts", "numbers instances on from call to call"), "the second result is another"),
    "untouched": (described("clears", "clears the labels that it is given"), "it changed them"),
    "halo": (described("wide", "has a halo that is no number", gives="labels"), "has halo 'wide'"),
    "blocks": (
        described("local", "counts voxels in a block alone", gives="labels"),
        " of 1716 voxels of labels differ",
    ),
}
ALSO_WRONG = [("shape", described("floats", "returns floats"), "become float64")]

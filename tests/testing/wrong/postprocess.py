"""A right postprocess and, for each rule, one that breaks it."""

from __future__ import annotations

import itertools
from typing import Any

from scipy import ndimage

from volseg_core.api import Postprocess

CALLS = itertools.count()


def described(target: str, summary: str, gives: str = "instances") -> Postprocess:
    return Postprocess(name=target, target=f"postprocess:{target}", summary=summary, gives=gives, licence="MIT")


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


RIGHT = [
    (described("right", "connected parts"), {}),
    (described("keeps", "the labels as they are", gives="labels"), {}),
]
WRONG = {
    "works": (described("volumes", "raises for a single slice"), "with shape (1, 7, 8) it raised IndexError"),
    "shape": (described("crops", "cuts a plane off"), "labels of shape (6, 7, 8) become int32 of shape (5, 7, 8)"),
    "background": (described("fromone", "makes the background an instance"), "something does"),
    "indices": (
        described("numbers", "doubles class indices and calls them labels", gives="labels"),
        "of 3 classes it gives indices from 0 to 4",
    ),
    "deterministic": (described("counts", "numbers instances on from call to call"), "the second result is another"),
    "untouched": (described("clears", "clears the labels that it is given"), "it changed them"),
}
ALSO_WRONG = [("shape", described("floats", "returns floats"), "become float64")]

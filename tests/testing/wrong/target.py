"""Right targets and, for each rule, one that breaks it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy import ndimage

from volseg_core.api import Target

CALLS = itertools.count()


def described(target: str, summary: str, tasks: tuple[str, ...] = ("multilabel",), **more: Any) -> Target:
    return Target(name=target.lower(), target=f"target:{target}", summary=summary, tasks=tasks, licence="MIT", **more)


class Right:
    """Objects less their outermost voxels: all of a voxel's neighbours have its id."""

    names: Any = ("core",)

    def __call__(self, ids: Any) -> Any:
        low, high = self.around(ids)
        core = ((low == high) & (ids > 0)).astype(np.float32)
        core[(low < 0) | (ids < 0)] = np.nan
        return core[None]

    def around(self, ids: Any) -> Any:
        return tuple(
            filtered(ids, 3, mode="constant", cval=-1) for filtered in (ndimage.minimum_filter, ndimage.maximum_filter)
        )


class Depth:
    """How many voxels along the first axis from the start of the object's run, where that is known."""

    names = ("depth",)

    def __call__(self, ids: Any) -> Any:
        depth = np.full(ids.shape, np.nan, np.float32)
        for plane in range(1, len(ids)):
            new = (ids[plane] != ids[plane - 1]) & (ids[plane - 1] >= 0)
            depth[plane] = np.where(new, 0, depth[plane - 1] + 1)
            depth[plane][ids[plane] < 0] = np.nan
        return depth[None]


class Thick(Right):
    def __call__(self, ids: Any) -> Any:
        return super().__call__(ids[1:-1]) if len(ids) == 1 and ids[2] else super().__call__(ids)


class Twins(Right):
    names = ("core", "core")


class Flat(Right):
    def __call__(self, ids: Any) -> Any:
        return super().__call__(ids)[0]


class Doubles(Right):
    def __call__(self, ids: Any) -> Any:
        return super().__call__(ids).astype(np.float64)


class Counts(Right):
    def __call__(self, ids: Any) -> Any:
        return super().__call__(ids) * np.float32(2)


class Endless(Right):
    def __call__(self, ids: Any) -> Any:
        made = super().__call__(ids)
        made[made == 1] = np.inf
        return made


class Nothing(Right):
    def __call__(self, ids: Any) -> Any:
        return np.full_like(super().__call__(ids), np.nan)


class Zeros(Right):
    def __call__(self, ids: Any) -> Any:
        made = super().__call__(ids)
        made[:, ids < 0] = 0
        return made


class Borders(Right):
    """Takes voxels without a label for another object."""

    def __call__(self, ids: Any) -> Any:
        return np.where((ids > -1) & self.inside(ids), np.nan_to_num(super().__call__(ids)), np.float32(np.nan))

    def inside(self, ids: Any) -> Any:
        return ndimage.binary_erosion(np.ones(ids.shape, bool), np.ones((3,) * ids.ndim))


class Repeats(Right):
    """Takes what lies outside of the window for more of what is at its margin."""

    def around(self, ids: Any) -> Any:
        return tuple(filtered(ids, 3, mode="nearest") for filtered in (ndimage.minimum_filter, ndimage.maximum_filter))


class Random(Right):
    def __call__(self, ids: Any) -> Any:
        made = super().__call__(ids)
        made[made == 0] = next(CALLS) % 2
        return made


class Clears(Right):
    def __call__(self, ids: Any) -> Any:
        made = super().__call__(ids)
        ids[ids > 3] = 3
        return made


class HoldsALambda(Right):
    def __init__(self) -> None:
        self.step = lambda: None


RIGHT = [
    (described("Right", "the insides of objects"), {}),
    (described("Depth", "the depth in an object", tasks=("regression",), directed=True), {}),
]
WRONG = {
    "works": (described("Thick", "raises for a single plane"), "it raised IndexError"),
    "names": (described("Twins", "gives two channels one name"), "names is ('core', 'core')"),
    "shape": (described("Flat", "has no axis of channels"), "ids of (40, 44) and 1 names give float32 of (40, 44)"),
    "values": (described("Counts", "gives 2 as a probability"), "they go from 0 to 2"),
    "known": (described("Nothing", "knows nothing"), "all is NaN in 2D"),
    "unlabelled": (described("Zeros", "takes what has no label for background"), "there are numbers"),
    "hidden": (
        described("Borders", "takes voxels without a label for another object"),
        "without the labels of a box it differs in",
    ),
    "windows": (
        described("Repeats", "goes on with the labels of the margin outside of the window"),
        "in the window [0:20, 0:22] it differs in",
    ),
    "directed": (
        described("Depth", "Gives the depth along an axis and does not say so.", tasks=("regression",)),
        "mirrored along axis 0 in 2D",
    ),
    "deterministic": (described("Random", "changes from call to call"), "the second target is another"),
    "untouched": (described("Clears", "unites objects in the ids that it is given"), "it changed them"),
    "pickle": (described("HoldsALambda", "keeps a lambda"), "packed and unpacked it raised"),
}
ALSO_WRONG = [
    ("shape", described("Doubles", "Returns doubles."), "float64"),
    ("values", described("Endless", "Is infinite.", tasks=("regression",)), "to inf"),
]

"""Rules of targets."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.testing.findings import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

    Array = np.ndarray[Any, Any]

RULES = rules(
    "target",
    works=(
        "A target takes windows of any size in the dims that it declares, also of background alone or without labels",
        "Mend it; ids are int32 (*S), -1 where there is no label and 0 in the background.",
    ),
    names=("A target has names, a different one for each channel", "Set names to a tuple of strings when it is built."),
    shape=(
        "It gives float32 of shape (K, *S), with as many channels as names",
        "Stack the channels first, crop nothing, and convert with astype.",
    ),
    values=(
        "Values are NaN or finite, and of a multilabel target in [0, 1]",
        "Mark what is not known by NaN alone, and declare tasks=('regression',) for other values.",
    ),
    known=("Something is known of a volume of touching objects", "Leave NaN to what cannot be known."),
    unlabelled=("It is NaN where ids are -1", "Set result[:, ids < 0] to NaN last."),
    hidden=(
        "What is known stays the same when labels elsewhere are taken away",
        "Return NaN wherever what has no label might change the value: -1 is no object and no background.",
    ),
    windows=(
        "What it makes of a window equals what it makes of the whole volume wherever it is not NaN",
        "Return NaN wherever what is outside of the window might change the value: it is no background and no border.",
    ),
    directed=(
        "What it makes of mirrored or turned ids is mirrored or turned, unless it declares to be directed",
        "Set directed=True, so that prediction does not merge mirrored views of what belongs to a direction.",
    ),
    deterministic=("The same ids give the same target", "Draw nothing at random, and keep nothing of a call."),
    untouched=("It leaves the ids that it is given as they are", "Work on a copy."),
    pickle=("A target travels to worker processes by pickle", "Keep no lambdas and open files in it."),
)

_SHAPES = {2: (40, 44), 3: (20, 26, 32)}
_SPACING = (2.0, 0.5, 0.5)
_OBJECTS = 60
_TOLERANCE = 1e-4


def examine(trial: Trial, found: Findings) -> None:
    """Make targets of a small volume and of its windows, for each number of dimensions."""
    for dims in trial.component.dims:
        with found.trying("works", f"in {dims}D"):
            Examination(trial, found, dims).run()


def make_ids(shape: tuple[int, ...]) -> Array:
    """Return touching objects and background (*S), with a corner that has no labels."""
    random = np.random.default_rng(len(shape))
    centres = random.uniform(0, shape, (_OBJECTS * 3 // 2, len(shape)))
    places = np.moveaxis(np.indices(shape), 0, -1)[..., None, :]
    ids: Array = ((places - centres) ** 2).sum(-1).argmin(-1).astype(np.int32) + 1
    ids[ids > _OBJECTS] = 0
    ids[tuple(slice(size - size // 4, None) for size in shape)] = -1
    return ids


@dataclass(frozen=True)
class Examination:
    """One target on windows of one number of dimensions."""

    trial: Trial
    found: Findings
    dims: int

    def run(self) -> None:
        """Apply every rule."""
        maker = self._build()
        if not self._named(maker):
            return
        ids = make_ids(_SHAPES[self.dims])
        whole = self._made(maker, ids)
        if whole is None:
            return
        if np.isnan(whole).all():
            self.found.broke("known", f"all is NaN in {self.dims}D")
        if not _same(self._made(maker, ids), whole):
            self.found.broke("deterministic", "the second target is another")
            return
        self._any_size(maker)
        self._hidden(maker, ids, whole)
        self._windows(maker, ids, whole)
        if not self.trial.component.directed:
            self._turned(maker, ids, whole)
        with self.found.trying("pickle", "packed and unpacked"):
            copy = pickle.loads(pickle.dumps(maker))  # noqa: S301  (our own bytes)
            if not _same(self._made(copy, ids), whole):
                self.found.broke("pickle", "its copy makes something else")

    def _build(self) -> Any:
        return self.trial.build(spacing=_SPACING[-self.dims :], dims=self.dims)

    def _named(self, maker: Any) -> bool:
        names = getattr(maker, "names", None)
        right = isinstance(names, (tuple, list)) and all(isinstance(name, str) and name for name in names)
        if not right or not names or len(set(names)) < len(names):
            self.found.broke("names", f"names is {names!r}")
            return False
        return True

    def _made(self, maker: Any, ids: Array) -> Array | None:
        """Return what is made of ids, None where it cannot be looked into further."""
        given = ids.copy()
        made = maker(given)
        if not np.array_equal(given, ids):
            self.found.broke("untouched", "it changed them")
        shape = (len(maker.names), *ids.shape)
        if not isinstance(made, np.ndarray) or made.dtype != np.float32 or made.shape != shape:
            seen = f"{made.dtype} of {made.shape}" if isinstance(made, np.ndarray) else type(made).__name__
            self.found.broke("shape", f"ids of {ids.shape} and {len(maker.names)} names give {seen}")
            return None
        self._right(made, ids)
        return made

    def _right(self, made: Array, ids: Array) -> None:
        known = made[~np.isnan(made)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        bounded = "multilabel" in self.trial.component.tasks
        if not np.isfinite(known).all() or (bounded and not 0 <= low <= high <= 1):
            self.found.broke("values", f"they go from {low:.4g} to {high:.4g}")
        if not np.isnan(made[:, ids < 0]).all():
            self.found.broke("unlabelled", "there are numbers")

    def _any_size(self, maker: Any) -> None:
        shape = _SHAPES[self.dims]
        thin = make_ids(shape)[:1]
        for ids in (np.zeros(shape, np.int32), np.full(shape, -1, np.int32), np.full(shape, 7, np.int32), thin):
            self._made(maker, ids)

    def _hidden(self, maker: Any, ids: Array, whole: Array) -> None:
        box = tuple(slice(size // 3, size // 2) for size in ids.shape)
        speckles = np.random.default_rng(0).random(ids.shape) < 1 / 64
        masked = np.zeros(ids.shape, bool)
        masked[box] = True
        for unlabelled, what in ((masked, "a box"), (speckles, "single voxels")):
            partly = self._made(maker, np.where(unlabelled, np.int32(-1), ids))
            if partly is None:
                return
            partly[:, unlabelled] = np.nan
            if count := _contradictions(partly, whole):
                self.found.broke("hidden", f"without the labels of {what} it differs in {count} values in {self.dims}D")

    def _windows(self, maker: Any, ids: Array, whole: Array) -> None:
        for window in _boxes(ids.shape):
            made = self._made(maker, ids[window])
            if made is not None and (count := _contradictions(made, whole[(slice(None), *window)])):
                place = ", ".join(f"{side.start}:{side.stop}" for side in window)
                self.found.broke("windows", f"in the window [{place}] it differs in {count} values")
                return

    def _turned(self, maker: Any, ids: Array, whole: Array) -> None:
        turns: dict[str, Callable[[Array], Array]] = {
            f"mirrored along axis {axis}": partial(np.flip, axis=axis - self.dims) for axis in range(self.dims)
        }
        turns["turned"] = partial(np.swapaxes, axis1=-1, axis2=-2)
        for what, turn in turns.items():
            made = self._made(maker, np.ascontiguousarray(turn(ids)))
            if made is None:
                return
            back = turn(made)
            both = ~np.isnan(back) & ~np.isnan(whole)
            if count := int((~np.isclose(back[both], whole[both], rtol=_TOLERANCE, atol=_TOLERANCE)).sum()):
                self.found.broke("directed", f"{what} in {self.dims}D, {count} values are others")
                return


def _boxes(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield windows of half the size, at the ends and in the middle of each axis, and thin ones."""
    starts = ((0, size // 4, size - size // 2) for size in shape)
    for place in product(*starts):
        yield tuple(slice(start, start + size // 2) for start, size in zip(place, shape, strict=True))
    for axis in range(len(shape)):
        yield tuple(slice(5, 8) if axis == each else slice(0, size) for each, size in enumerate(shape))


def _contradictions(part: Array, whole: Array) -> int:
    """Return how many known values of a part the whole has otherwise or does not know."""
    known = ~np.isnan(part)
    return int((~np.isclose(part[known], whole[known], rtol=_TOLERANCE, atol=_TOLERANCE)).sum())


def _same(one: Array | None, other: Array) -> bool:
    return one is not None and np.array_equal(one, other, equal_nan=True)

"""Any transforms of albumentations, tried on windows before they are trusted."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_augment.library import albumentations
from volseg_augment.named import COMPOSITIONS, TURNS, make_all
from volseg_augment.pipeline import Pipeline, draw
from volseg_augment.transforms import OUTSIDE
from volseg_core.api import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

WHERE = "data.augment"
SIDE = 64
"""Side of the square on which a transform is tried when its arguments name no size."""
MARKS = (3, 5, 9, OUTSIDE)
"""Labels on which it is tried: 0 is not among them, so that invented labels show."""
TRIES = 4


class Chosen(Pipeline):
    """Apply ``transforms`` in their order, each a mapping with ``use`` (its name in albumentations) and arguments.

    The compositions OneOf, SomeOf, RandomOrder and Sequential have ``transforms`` in turn. Every transform is tried
    when the object is made, on one or three channels, and again before the first window of each shape: it must keep
    shape and type, invent no labels and follow the seed. Steps that turn (`TURNS`) are left out for oblong windows.

    Raises:
        UsageError: for a transform that does not exist or cannot be used, here or with the first window.
    """

    def __init__(self, *, transforms: Sequence[Mapping[str, Any]]) -> None:
        square = make_all(transforms, WHERE)
        kept = _without_turns(transforms)
        oblong = square if kept == list(transforms) else make_all(kept, WHERE) if kept else []
        super().__init__(square, oblong)
        self._steps = list(_single(square, WHERE))
        self._tried: set[tuple[int, ...]] = set()
        self.turns = any(type(step).__name__ in TURNS for _, step in self._steps)
        for where, step in self._steps:
            height, width = _size(step)
            if (fault := _fault(step, (height, width, 1))) and _fault(step, (height, width, 3)):
                raise UsageError(where, f"{type(step).__name__} cannot be used: {fault}")

    def __call__(
        self, image: NDArray[np.float32], labels: NDArray[np.int32], seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return new arrays as `Pipeline` does, once every transform was tried on a window of that shape."""
        if image.shape not in self._tried:
            self._try(image.shape)
            self._tried.add(image.shape)
        return super().__call__(image, labels, seed)

    def _try(self, shape: tuple[int, ...]) -> None:
        height, width, channels = shape
        for where, step in self._steps:
            name = type(step).__name__
            if height != width and name in TURNS:
                continue
            if fault := _fault(step, shape):
                windows = f"{height} x {width} with {channels} channel{'s' if channels > 1 else ''}"
                raise UsageError(where, f"{name} cannot be used on windows of {windows}: {fault}")


def _single(steps: Sequence[Any], where: str) -> Iterator[tuple[str, Any]]:
    """Yield the transforms inside all compositions with their places in the recipe."""
    for number, step in enumerate(steps):
        place = f"{where}.transforms.{number}"
        if type(step).__name__ in COMPOSITIONS:
            yield from _single(step.transforms, place)
        else:
            yield place, step


def _without_turns(specs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the transforms for oblong windows; a composition of turns alone goes with them."""
    kept: list[Mapping[str, Any]] = []
    for spec in specs:
        if spec["use"] in COMPOSITIONS:
            if inner := _without_turns(spec["transforms"]):
                kept.append({**spec, "transforms": inner})
        elif spec["use"] not in TURNS:
            kept.append(spec)
    return kept


def _size(step: Any) -> tuple[int, int]:
    """Return the size that a transform gives by its arguments, else one to try it on."""
    height, width = getattr(step, "size", None) or (getattr(step, "height", None), getattr(step, "width", None))
    return (int(height), int(width)) if height and width else (SIDE, SIDE)


def _fault(step: Any, shape: tuple[int, ...]) -> str:
    """Return what is wrong with a transform on windows of a shape (H, W, C), an empty string when nothing is."""
    always = copy.deepcopy(step)
    always.p = 1.0
    steps = albumentations.Compose([always])
    random = np.random.default_rng(0)
    image = random.random(shape, np.float32)
    labels = random.choice(np.array(MARKS, np.int32), shape[:2])
    try:
        return next(filter(None, (_fault_of(steps, image, labels, seed) for seed in range(TRIES))), "")
    except Exception as error:  # noqa: BLE001 - whatever it raises, the transform does not take such windows
        return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _fault_of(steps: Any, image: NDArray[np.float32], labels: NDArray[np.int32], seed: int) -> str:
    drawn, marks = draw(steps, image, labels, seed)
    if drawn.shape != image.shape or marks.shape != labels.shape:
        return f"it changes their shape to {' x '.join(map(str, drawn.shape))}"
    if drawn.dtype != np.float32 or not np.isfinite(drawn).all():
        return f"it gives {drawn.dtype}" if drawn.dtype != np.float32 else "it gives values that are not finite"
    if not np.isin(marks, MARKS).all():
        return "it invents labels"
    again = draw(steps, image, labels, seed)
    if not (np.array_equal(drawn, again[0]) and np.array_equal(marks, again[1])):
        return "it draws at random without heeding the seed"
    return ""

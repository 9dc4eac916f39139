"""What a merge refuses: wrong boxes, values that are no probabilities, wishes that it cannot grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.api import DataError, PluginError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

TOLERANCE = 1e-5
"""How far above 1 rounding may carry a probability; below half a step of every fixed point used here."""


class RangeWatch:
    """Remember the largest value seen, on its device: one look at the end finds every NaN and every logit.

    A maximum keeps NaN, in numpy as in torch, and stays on the device: `see` never waits for a GPU.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._largest: Any = None

    def see(self, xp: Any, values: Any) -> None:
        """Take in an array of probabilities."""
        largest = xp.max(values)
        self._largest = largest if self._largest is None else xp.maximum(self._largest, largest)

    def check(self) -> None:
        """Raise DataError when any value was NaN or above 1."""
        largest = float(self._largest)
        if largest <= 1 + TOLERANCE:
            return
        if largest != largest:  # noqa: PLR0124 - NaN is the only value that differs from itself
            what = "the network gave probabilities that are not a number"
            hint = "Predict with precision float32; if they persist, the weights are damaged or training diverged."
            raise DataError(self.where, what, hint)
        what = f"got {largest:.6g} as a probability; it must lie in [0, 1]"
        raise DataError(self.where, what, "Logits go through softmax or sigmoid first.")


def box_shape(where: Sequence[slice], shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the box ``where`` of a block of ``shape``."""
    return tuple(len(range(*part.indices(size))) for part, size in zip(where, shape, strict=True))


def check_probabilities(name: str, found: Sequence[int], classes: int, box: Sequence[int]) -> None:
    """Raise PluginError unless ``found`` is ``(classes, *box)``."""
    expected = (classes, *box)
    if tuple(found) != expected:
        raise PluginError(name, f"probabilities of shape {tuple(found)} do not fit the box; it needs {expected}")


def started(name: str, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the block's shape; raise PluginError when ``start`` was not called."""
    if shape is None:
        raise PluginError(name, "nothing was started", "Call start(shape, classes, views) first.")
    return shape


def added(name: str, state: Any) -> Any:
    """Return the state; raise PluginError when nothing was added."""
    if state is None:
        raise PluginError(name, "has no result yet", "Add the probabilities of a view first.")
    return state


def check_wanted(name: str, wanted: Sequence[str], gives: Sequence[str]) -> None:
    """Raise UsageError for an array that the merge does not keep."""
    for wish in wanted:
        if wish not in gives:
            hint = "Use predict.merge=mean." if wish == "probabilities" else ""
            raise UsageError(name, f"cannot give {wish!r}; it gives {', '.join(gives)}", hint)


def label_dtype(xp: Any, classes: int) -> Any:
    """Return the smallest integer type for class indices that torch can also index with."""
    return xp.uint8 if classes <= 256 else xp.int32  # noqa: PLR2004 - values of a byte

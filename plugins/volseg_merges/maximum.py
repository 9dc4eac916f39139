"""Maximum-probability vote: one packed integer per voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from volseg_core.api import MergeResult, PluginError, UsageError
from volseg_merges.checks import (
    RangeWatch,
    added,
    box_shape,
    check_probabilities,
    check_wanted,
    label_dtype,
    started,
)
from volseg_merges.scores import best_class

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "merge 'max'"
GIVES = ("labels", "confidence")
LEVELS = 32767
VIEWS = 64
CLASSES = 1024


class Maximum:
    """Label each voxel as the view that is most certain of it does.

    The state is one int32 per voxel, ``round(p * 32767) << 16 | (63 - view) << 10 | class``, combined by integer
    maximum: exact in any order, and adding a view again changes nothing. Of equal probabilities the first view
    wins, and within a view the first class. Weights have no effect. Arrays of any namespace of the array API
    standard; the state lives where the first probabilities do. Zero in the state means that no view came.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None
        self._classes = 0
        self._state: Any = None
        self._watch = RangeWatch(NAME)

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:
        """Begin a block of ``(Z, Y, X)`` voxels.

        Raises:
            UsageError: more than 64 views or 1024 classes.
        """
        if views > VIEWS:
            raise UsageError(NAME, f"takes at most {VIEWS} views, got {views}", "Use predict.merge=mean.")
        if classes > CLASSES:
            raise UsageError(NAME, f"takes at most {CLASSES} classes, got {classes}", "Use predict.merge=mean.")
        self._shape, self._classes = tuple(shape), classes
        self._state = None
        self._watch = RangeWatch(NAME)

    def add(self, probabilities: Any, where: tuple[slice, ...], view: int, weight: int = 1) -> None:  # noqa: ARG002 - a maximum knows no weights
        """Add the probabilities ``(C, *box)`` of one view; temporaries are of the size of the box.

        Raises:
            UsageError: the view is not one of 0 to 63.
            PluginError: `start` was not called, or the shape does not fit the box.
        """
        shape = started(NAME, self._shape)
        if not 0 <= view < VIEWS:
            raise UsageError(NAME, f"numbers its views 0 to {VIEWS - 1}, got {view}", "Use predict.merge=mean.")
        check_probabilities(NAME, probabilities.shape, self._classes, box_shape(where, shape))
        xp = array_api_compat.array_namespace(probabilities)
        if self._state is None:
            device = array_api_compat.device(probabilities)
            self._state = xp.zeros(shape, dtype=xp.int32, device=device)
        winner, best = best_class(xp, probabilities, xp.int32)
        self._watch.see(xp, best)
        best *= LEVELS
        best += 0.5
        with np.errstate(invalid="ignore"):  # NaN is reported by result
            key = xp.astype(best, xp.int32)
        key <<= 16
        key |= (VIEWS - 1 - view) << 10
        key |= winner
        self._state[where] = xp.maximum(self._state[where], key)

    def result(self, where: tuple[slice, ...], wanted: Sequence[str] = ("labels",)) -> MergeResult:
        """Return labels (class index) and, when wanted, confidence (float32) of a box.

        Raises:
            DataError: a view gave NaN or values above 1, anywhere in the block.
            PluginError: nothing was added, or not everywhere in the box.
            UsageError: ``wanted`` names what this merge does not keep.
        """
        check_wanted(NAME, wanted, GIVES)
        key = added(NAME, self._state)[where]
        self._watch.check()
        xp = array_api_compat.array_namespace(key)
        if int(xp.min(key)) <= 0:
            raise PluginError(NAME, "has voxels that no view was added to", "Add a view that covers the whole box.")
        labels = xp.astype(key & (CLASSES - 1), label_dtype(xp, self._classes))
        if "confidence" not in wanted:
            return MergeResult(labels)
        confidence = xp.astype(key >> 16, xp.float32)
        confidence *= 1 / LEVELS
        return MergeResult(labels, confidence)

"""Rules of what follows the merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.testing.findings import rules

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

RULES = rules(
    "postprocess",
    works=("A postprocess is called with labels (Z, Y, X) and returns labels or instances", "Mend it."),
    shape=("It returns integers of the shape of the labels", "Crop nothing, and convert to an integer type."),
    background=(
        "Where all is background, class 0, nothing appears",
        "Give instances numbers from 1 on, and leave 0 to the background.",
    ),
    deterministic=("The same labels give the same result", "Draw nothing at random, or from a fixed seed."),
    untouched=("It leaves the labels that it is given as they are", "Work on a copy."),
)


def examine(trial: Trial, found: Findings) -> None:
    """Work on a small volume of two objects, on one slice and on background."""
    for labels in (_objects((6, 7, 8)), _objects((1, 7, 8))):
        with found.trying("works", f"with shape {labels.shape}"):
            _one(trial, labels, found)
    with found.trying("works", "with background alone"):
        empty = np.zeros((4, 5, 6), np.uint8)
        if np.asarray(trial.build()(empty)).any():
            found.broke("background", "something does")


def _objects(shape: tuple[int, int, int]) -> Any:
    labels = np.zeros(shape, np.uint8)
    labels[:, 1:3, 1:3], labels[:, 4:6, 5:7] = 1, 2
    return labels


def _one(trial: Trial, labels: Any, found: Findings) -> None:
    given = labels.copy()
    result = np.asarray(trial.build()(given))
    if result.shape != labels.shape or result.dtype.kind not in "iu":
        found.broke("shape", f"labels of shape {labels.shape} become {result.dtype} of shape {result.shape}")
    if not np.array_equal(given, labels):
        found.broke("untouched", "it changed them")
    if not np.array_equal(trial.build()(labels.copy()), result):
        found.broke("deterministic", "the second result is another")

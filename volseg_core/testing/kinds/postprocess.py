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
    indices=(
        "A postprocess that declares gives='labels' returns class indices that there are",
        "Return classes of the labels, or declare gives='instances' for numbers of objects.",
    ),
    deterministic=("The same labels give the same result", "Draw nothing at random, or from a fixed seed."),
    untouched=("It leaves the labels that it is given as they are", "Work on a copy."),
)

_CLASSES = ("background", "cell", "nucleus")
_SPACING = (2.0, 0.5, 0.5)


def _built(trial: Trial) -> Any:
    return trial.build(classes=_CLASSES, spacing=_SPACING)


def examine(trial: Trial, found: Findings) -> None:
    """Work on a small volume of two objects, on one slice and on background."""
    for labels in (_objects((6, 7, 8)), _objects((1, 7, 8))):
        with found.trying("works", f"with shape {labels.shape}"):
            _one(trial, labels, found)
    with found.trying("works", "with background alone"):
        empty = np.zeros((4, 5, 6), np.uint8)
        if np.asarray(_built(trial)(empty)).any():
            found.broke("background", "something does")


def _objects(shape: tuple[int, int, int]) -> Any:
    labels = np.zeros(shape, np.uint8)
    labels[:, 1:3, 1:3], labels[:, 4:6, 5:7] = 1, 2
    return labels


def _one(trial: Trial, labels: Any, found: Findings) -> None:
    given = labels.copy()
    result = np.asarray(_built(trial)(given))
    if result.shape != labels.shape or result.dtype.kind not in "iu":
        found.broke("shape", f"labels of shape {labels.shape} become {result.dtype} of shape {result.shape}")
    elif trial.component.gives == "labels" and not 0 <= result.min() <= result.max() < len(_CLASSES):
        found.broke("indices", f"of {len(_CLASSES)} classes it gives indices from {result.min()} to {result.max()}")
    if not np.array_equal(given, labels):
        found.broke("untouched", "it changed them")
    if not np.array_equal(_built(trial)(labels.copy()), result):
        found.broke("deterministic", "the second result is another")

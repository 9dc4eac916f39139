"""Rules of what follows the merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.prediction.blockwise import OVERLAP, Layer, Running, apply_step
from volseg_core.prediction.scratch import Scratch
from volseg_core.progress import Silent
from volseg_core.recipe import ComponentUse
from volseg_core.recipe.steps import SAME, Step
from volseg_core.tasks import INSTANCES, LABELS, PROBABILITIES
from volseg_core.testing.findings import rules

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

RULES = rules(
    "postprocess",
    works=("A postprocess is called with what it takes, of each kind, and returns labels or instances", "Mend it."),
    shape=("It returns integers of the shape (Z, Y, X)", "Crop nothing, and convert to an integer type."),
    background=(
        "Where all is background, class 0 or no object, nothing appears",
        "Give instances numbers from 1 on, and leave 0 to the background.",
    ),
    indices=(
        "A postprocess that gives labels returns class indices that there are",
        "Return classes of the labels, or declare gives='instances' for numbers of objects.",
    ),
    deterministic=("The same array gives the same result", "Draw nothing at random, or from a fixed seed."),
    untouched=("It leaves the array that it is given as it is", "Work on a copy."),
    halo=(
        "Its attribute halo is a number of voxels, or (z, y, x), or None, and with a number it works by blocks",
        "Say how much context a block needs, or leave the attribute out.",
    ),
    blocks=(
        "With a halo it gives in blocks what it gives in the whole volume, up to the numbers of instances",
        "Make the halo larger, or leave it out; where instances may differ near a border, set overlap above 0.",
    ),
)  # fmt: skip

_CLASSES = ("background", "cell", "nucleus")
_SPACING = (2.0, 0.5, 0.5)
_CHANNELS = 3
_EDGE = 5
_LOW, _HIGH = -0.3, 0.2


def examine(trial: Trial, found: Findings) -> None:
    """Work on a small volume of objects, on one slice and on background, of every kind, and in blocks."""
    for taken in trial.component.takes:
        for shape in ((6, 7, 8), (1, 7, 8)):
            with found.trying("works", f"with {taken} of shape {shape}"):
                _one(trial, taken, shape, found)
        if taken in (LABELS, INSTANCES):
            with found.trying("works", "with background alone"):
                empty = np.zeros((4, 5, 6), np.uint8)
                if np.asarray(_called(_built(trial, taken), empty)).any():
                    found.broke("background", "something does")
        with found.trying("halo", f"with {taken} of blocks"):
            _in_blocks(trial, taken, found)


def _built(trial: Trial, taken: str) -> Any:
    return trial.build(classes=_CLASSES, spacing=_SPACING, taken=taken)


def _called(step: Any, array: Any) -> Any:
    """Call a step as one that is given the whole volume at once."""
    if hasattr(step, "look"):
        step.look(array)
    return step(array)


def _sample(step: Any, taken: str, shape: tuple[int, int, int]) -> Any:
    """Return an array of a kind: objects that fade out where it holds floats."""
    z, y, x = np.indices(shape)
    waves = np.sin(1 + z) * np.sin(0.9 * y) * np.sin(1.1 * x)
    if taken == INSTANCES:
        return ((waves > _HIGH) * (1 + z // 3 + 3 * (y // 4))).astype(np.uint32)
    if taken == LABELS:
        return np.select((waves > _HIGH, waves < _LOW), (1, 2)).astype(np.uint8)
    channels = getattr(step, "channels", None) or _CHANNELS
    values = np.stack([np.roll(waves, number, axis=2) for number in range(channels)])
    return ((values + 1) / 2 if taken == PROBABILITIES else 4 * values).astype(np.float32)


def _one(trial: Trial, taken: str, shape: tuple[int, int, int], found: Findings) -> None:
    step = _built(trial, taken)
    array = _sample(step, taken, shape)
    given = array.copy()
    result = np.asarray(_called(step, given))
    if result.shape != shape or result.dtype.kind not in "iu":
        found.broke("shape", f"{taken} of shape {array.shape} become {result.dtype} of shape {result.shape}")
    elif _gives(trial, taken) == LABELS and not 0 <= result.min() <= result.max() < len(_CLASSES):
        found.broke("indices", f"of {len(_CLASSES)} classes it gives indices from {result.min()} to {result.max()}")
    if not np.array_equal(given, array):
        found.broke("untouched", "it changed them" if taken in (LABELS, INSTANCES) else f"it changed the {taken}")
    if not np.array_equal(_called(_built(trial, taken), array.copy()), result):
        found.broke("deterministic", "the second result is another")


def _in_blocks(trial: Trial, taken: str, found: Findings) -> None:
    """Compare blocks with the whole volume, where the step says that they are the same."""
    gives = _gives(trial, taken)
    use = ComponentUse(trial.provided, trial.values(), where=str(trial.subject))
    step = Step(use, "", taken, gives, first=True)
    if Running(step, _built(trial, taken)).halo is None or found.broken:
        return
    shape = (11, 12, 13)
    array = _sample(_built(trial, taken), taken, shape)
    channels = array.shape[0] if array.ndim > len(shape) else 0
    layer = Layer(taken, shape, channels, 0 if channels else int(array.max()), lambda box: array[(..., *box)].copy())
    everything = (slice(0, 11), slice(0, 12), slice(0, 13))
    results = []
    for edge in (max(shape), _EDGE):
        running = Running(step, _built(trial, taken))
        made = apply_step(running, layer, len(_CLASSES) - 1, Scratch(), Silent(), edge)
        results.append(made.read(everything))
    stitched = gives == INSTANCES and taken != INSTANCES
    if stitched and getattr(_built(trial, taken), "overlap", OVERLAP) > 0:
        return
    differ = np.count_nonzero(results[0] != results[1])
    found.broke_if("blocks", f"{differ} of {array[..., 0].size * shape[2]} voxels of {taken} differ" if differ else "")


def _gives(trial: Trial, taken: str) -> str:
    gives = str(trial.component.gives)
    return taken if gives == SAME else gives

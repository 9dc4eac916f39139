"""Rules of merges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import VolsegError
from volseg_core.testing.alone import without_torch
from volseg_core.testing.findings import rules
from volseg_core.testing.views import CLASSES, EVERYWHERE, SHAPE, VIEWS, Bench, arrays, boxes, make_views, namespaces

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

    Array = np.ndarray[Any, Any]

RULES = rules(
    "merge",
    works=("A merge takes the probabilities of every view and gives the arrays that it declares", "Mend it."),
    gives=(
        "result() returns every array of gives that is wanted, of the shape of the box, and no other",
        "Return None for what is not wanted, and list in gives what the merge can return.",
    ),
    refuses=(
        "An array that is not in gives is refused with a VolsegError",
        "Raise UsageError: whoever asks must learn it before hours of work.",
    ),
    values=(
        "Labels are integers below the number of classes, and confidence, probabilities and entropy lie in [0, 1]",
        "Convert labels to an integer type, and divide sums by the total weight.",
    ),
    constant=(
        "Views that agree everywhere give their class everywhere, and one confidence",
        "Let no value depend on the place of a voxel.",
    ),
    order=(
        "A merge that declares any_order gives the same labels in any order of views",
        "Sum in integers, break ties by class, or declare any_order=False.",
    ),
    windows=(
        "Views that come in boxes give what whole views give",
        "Write to the box where alone, and weigh no voxel by the number of boxes.",
    ),
    boxes=("A box of the result is that part of the whole result", "Cut every array to where."),
    weights=(
        "Views that agree give the same whatever their weights are",
        "Multiply by weight, and divide by the total weight that start() is told.",
    ),
    restart=("start() begins afresh", "Allocate the state anew in start()."),
    state=(
        "The memory that a merge holds per voxel is that of state_bytes",
        "Correct the expression of classes, views and variance, or the types of the state.",
    ),
    namespaces=(
        "A merge gives the same with arrays of any namespace, and in that namespace",
        "Take the functions from array_api_compat.array_namespace(probabilities).",
    ),
    untouched=("A merge leaves the probabilities as they are", "Work on a copy."),
    torch_free=(
        "A merge works where torch is not installed",
        "Use the array API; ONNX models are predicted in environments without torch.",
    ),
)

_NAMES = ("labels", "confidence", "probabilities", "entropy", "variance")
_WEIGHTS = (2, 1, 3, 1)
_CLOSE = 1e-5


def examine(trial: Trial, found: Findings) -> None:
    """Merge four small views."""
    with found.trying("works", f"with {len(VIEWS)} views of {len(CLASSES)} classes"):
        Examination(trial, found).run()
    if not found.broken:
        found.broke_if("torch-free", without_torch(trial))


@dataclass(frozen=True)
class Examination(Bench):
    """The rules on one merge."""

    found: Findings

    def run(self) -> None:
        """Apply every rule."""
        views = make_views()
        whole = self._merged(views)
        if not self._has_arrays(whole):
            return
        self._values(whole)
        self._constant()
        self._weights()
        self._refuses(views)
        for rule in (self._labels_alone, self._order, self._windows, self._parts, self._restart, self._untouched):
            rule(views, whole)
        self._state(views)
        self._namespaces(views, whole)

    def _has_arrays(self, whole: Any) -> bool:
        for name in self._gives:
            array = getattr(whole, name, None)
            expected = (len(CLASSES), *SHAPE) if name == "probabilities" else SHAPE
            if array is None or tuple(array.shape) != expected:
                seen = "None" if array is None else f"of shape {tuple(array.shape)}, not {expected}"
                self.found.broke("gives", f"{name} is {seen}")
                return False
        for name in set(_NAMES) - set(self._gives):
            if getattr(whole, name) is not None:
                self.found.broke("gives", f"{name} is given and not declared")
        return True

    def _labels_alone(self, views: Array, whole: Any) -> None:
        merge = self._filled(views)
        result = merge.result(EVERYWHERE)
        unwanted = [name for name in _NAMES[1:] if getattr(result, name) is not None]
        if unwanted or not np.array_equal(np.asarray(result.labels), np.asarray(whole.labels)):
            seen = f"{unwanted[0]} comes with labels alone" if unwanted else "labels alone are other labels"
            self.found.broke("gives", seen)

    def _values(self, whole: Any) -> None:
        labels = np.asarray(whole.labels)
        if labels.dtype.kind not in "iu" or labels.max() >= len(CLASSES) or labels.min() < 0:
            seen = f"labels are {labels.dtype} from {labels.min():g} to {labels.max():g} of {len(CLASSES)} classes"
            self.found.broke("values", seen)
        for name in {"confidence", "probabilities", "entropy"} & set(self._gives):
            array = np.asarray(getattr(whole, name))
            if not (array.min() >= -_CLOSE and array.max() <= 1 + _CLOSE):
                self.found.broke("values", f"{name} lies between {array.min():.4g} and {array.max():.4g}")

    def _constant(self) -> None:
        for winner in range(len(CLASSES)):
            sure = np.full((len(VIEWS), len(CLASSES), *SHAPE), 0.05, np.float32)
            sure[:, winner] = 0.9
            result = self._merged(sure)
            labels = np.unique(np.asarray(result.labels))
            if labels.tolist() != [winner]:
                self.found.broke("constant", f"class {winner} at 0.9 gives {', '.join(map(str, labels.tolist()))}")
            elif "confidence" in self._gives and np.ptp(np.asarray(result.confidence)) > _CLOSE:
                self.found.broke("constant", "the confidence differs from voxel to voxel")

    def _refuses(self, views: Array) -> None:
        for name in set(_NAMES) - set(self._gives):
            merge = self._filled(views)
            try:
                merge.result(EVERYWHERE, ("labels", name))
            except VolsegError:
                continue
            except Exception as error:  # noqa: BLE001  (third-party code raises what it likes)
                self.found.broke("refuses", f"{name} raises {type(error).__name__}: {error}")
            else:
                self.found.broke("refuses", f"{name} is not")

    def _compare(self, rule: str, one: Any, other: Any, seen: str, tolerance: float = _CLOSE) -> None:
        for name in self._gives:
            first, second = np.asarray(getattr(one, name)), np.asarray(getattr(other, name))
            alike = np.array_equal(first, second) if name == "labels" else np.allclose(first, second, atol=tolerance)
            if not alike:
                self.found.broke(rule, f"{seen} gives other {name}")
                return

    def _order(self, views: Array, whole: Any) -> None:
        if not self.trial.component.any_order:
            return
        for order in ((3, 2, 1, 0), (2, 0, 3, 1)):
            self._compare("order", self._merged(views, order), whole, f"the order {order}")

    def _windows(self, views: Array, whole: Any) -> None:
        merge = self._started()
        for view, values in enumerate(views):
            for box in boxes(view):
                merge.add(values[(slice(None), *box)], box, view)
        self._compare("windows", merge.result(EVERYWHERE, self._gives), whole, "a view in boxes")

    def _weights(self) -> None:
        sure = np.full((len(CLASSES), *SHAPE), 0.05, np.float32)
        sure[1] = 0.9
        equal = self._merged([sure] * len(VIEWS))
        merge = self._started(sum(_WEIGHTS))
        for view, weight in enumerate(_WEIGHTS):
            merge.add(sure, EVERYWHERE, view, weight)
        self._compare("weights", merge.result(EVERYWHERE, self._gives), equal, f"{_WEIGHTS} as weights", 0.01)

    def _parts(self, views: Array, whole: Any) -> None:
        merge = self._filled(views)
        box = (slice(1, 3), slice(0, 2), slice(2, 5))
        part = merge.result(box, self._gives)
        for name in self._gives:
            inside = np.asarray(getattr(whole, name))[(..., *box)]
            array = np.asarray(getattr(part, name))
            if array.shape != inside.shape or not np.allclose(array, inside, atol=_CLOSE):
                self.found.broke("boxes", f"{name} is not")
                return

    def _restart(self, views: Array, whole: Any) -> None:
        merge = self._filled(make_views(1))
        merge.result(EVERYWHERE, self._gives)
        merge.start(SHAPE, len(CLASSES), len(VIEWS))
        for view, values in enumerate(views):
            merge.add(values, EVERYWHERE, view)
        self._compare("restart", merge.result(EVERYWHERE, self._gives), whole, "a second block")

    def _untouched(self, views: Array, whole: Any) -> None:
        del whole
        before = views.copy()
        self._merged(views)
        if not np.array_equal(before, views):
            self.found.broke("untouched", "it changed them")

    def _state(self, views: Array) -> None:
        merge = self._filled(views)
        held = sum(array.nbytes for array in arrays(vars(merge)) if array.shape[-3:] == SHAPE) / np.prod(SHAPE)
        expression = self.trial.component.state_bytes
        numbers = {"classes": len(CLASSES), "views": len(VIEWS), "variance": int("variance" in self._gives)}
        try:
            declared = float(eval(expression, {"__builtins__": {}}, numbers))  # noqa: S307  (the author's own)
        except Exception:  # noqa: BLE001  (whatever an expression raises)
            self.found.broke("state", f"{expression!r} is no such expression")
            return
        if held != declared:
            self.found.broke("state", f"{expression!r} is {declared:g} and it holds {held:g} bytes")

    def _namespaces(self, views: Array, whole: Any) -> None:
        for name, convert in namespaces():
            with self.found.trying("namespaces", f"with {name}"):
                given = [convert(view) for view in views]
                result = self._merged(given)
                if type(result.labels) is not type(given[0]):
                    self.found.broke("namespaces", f"with {name} the labels are {type(result.labels).__name__}")
                self._compare("namespaces", result, whole, name)

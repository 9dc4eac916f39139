"""Rules of losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from volseg_core.testing.cases import CLASSES, Case, make_case
from volseg_core.testing.findings import rules

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

RULES = rules(
    "loss",
    works=(
        "A loss works in every task and dimension that it declares, also with a batch of one",
        "Mend it, or declare only the tasks and dims that it serves.",
    ),
    scalar=("A loss returns a scalar tensor", "Take the mean over the labelled voxels."),
    finite=("A loss is finite", "Add a small number to denominators and logarithms."),
    gradient=(
        "The gradient of a loss is finite and somewhere not zero",
        "Compute it from the output with torch's functions alone, without argmax, rounding or detach.",
    ),
    ordered=(
        "A prediction that is right costs less than one that is wrong",
        "Check its sign, and whether inputs says what the loss takes: logits or probabilities.",
    ),
    one_class=(
        "A loss and its gradient are finite in a window of one class",
        "Add a small number to denominators; a class without voxels is the common case.",
    ),
    half=(
        "A loss in autocast of bfloat16 and float16 is that of float32 within a tenth",
        "Convert the output with .float() before sums, exponentials and logarithms.",
    ),
    ignored_value=(
        "Voxels without a label do not change a loss that declares ignore='mask' or 'index'",
        "Leave them out of every sum and count, or declare ignore='none'.",
    ),
    ignored_gradient=(
        "Voxels without a label get no gradient",
        "Select the labelled voxels with torch.where or an index before anything is computed from them.",
    ),
    ignored_exact=(
        "A window with an unlabelled margin costs what the window without that margin does",
        "Leave unlabelled voxels out of every sum and count: a logit set to 0 is still a probability of one half.",
    ),
    unlabelled=(
        "A window without any label has a finite loss and gradient",
        "Divide by the number of labelled voxels clamped to at least 1.",
    ),
    untouched=("A loss leaves its inputs as they are", "Do not use functions that end in _, nor assign to them."),
)

_HALF = 0.1
_GARBAGE = -1e4
"""What logits are multiplied by where no network will be heard."""


def examine(trial: Trial, found: Findings) -> None:
    """Put a loss through every task and dimension that it declares; one that declares none classifies."""
    for task in trial.component.tasks or ("multiclass", "binary"):
        for dims in trial.component.dims:
            case = make_case(task, dims)
            loss = None
            with found.trying("works", f"built {case}"):
                loss = trial.build(
                    task=task,
                    num_classes=2 if task == "binary" else CLASSES,
                    ignore_index=-1,
                    class_counts={"multiclass": [40, 10, 20], "binary": [40, 10]}.get(task),
                    offset=(),
                    scale=(),
                )
            if loss is not None:
                Examination(trial, found, loss, case).run()


@dataclass(frozen=True)
class Examination:
    """One loss on one case."""

    trial: Trial
    found: Findings
    loss: Any
    case: Case

    def run(self) -> None:
        """Apply every rule; those on values only once the loss returns a scalar."""
        case, everywhere = self.case, torch.ones_like(self.case.valid)
        value = None
        with self.found.trying("works", str(case)):
            value = self.value(case.logits.clone(), case.target.clone(), everywhere)
        if value is None or not self._is_scalar(value):
            return
        for rule in (self._batch_of_one, self._finite, self._untouched, self._ordered, self._one_class, self._half):
            with self.found.trying("works", str(case)):
                rule()
        if self.trial.component.ignore != "none":
            for rule in (self._ignored, self._margin, self._unlabelled):
                with self.found.trying("works", f"{case} with unlabelled voxels"):
                    rule()

    def value(self, logits: Tensor, target: Tensor, valid: Tensor) -> Any:
        """Return the loss as the core calls it: with logits or probabilities, with a mask, -1 or neither."""
        output = logits if self.trial.component.inputs == "logits" else self._probabilities(logits)
        if self.trial.component.ignore == "mask":
            return self.loss(output, target.clone(), valid=valid.clone())
        return self.loss(output, target.masked_fill(~valid, -1))

    def _probabilities(self, logits: Tensor) -> Tensor:
        if self.case.task == "regression":
            return logits
        return torch.softmax(logits, 1) if self.case.task == "multiclass" else torch.sigmoid(logits)

    def _is_scalar(self, value: Any) -> bool:
        if not isinstance(value, Tensor):
            self.found.broke("scalar", f"{self.case} it returned {type(value).__name__}")
        elif value.shape != ():
            self.found.broke("scalar", f"{self.case} it returned shape {tuple(value.shape)}")
        return isinstance(value, Tensor) and value.shape == ()

    def _batch_of_one(self) -> None:
        alone = make_case(self.case.task, self.case.dims, batch=1)
        value = self.value(alone.logits, alone.target, torch.ones_like(alone.valid))
        if not torch.isfinite(value):
            self.found.broke("finite", f"{self.case} and a batch of one it is {value.item():g}")

    def _finite(self) -> None:
        value, gradient = self._descend(self.case.logits, self.case.target, torch.ones_like(self.case.valid))
        if not value.isfinite():
            self.found.broke("finite", f"{self.case} it is {value.item():g}")
        elif not gradient.isfinite().all():
            self.found.broke("gradient", f"{self.case} it is not finite")
        elif not gradient.any():
            self.found.broke("gradient", f"{self.case} it is zero everywhere")

    def _descend(self, logits: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return value and gradient of the logits; a value that does not depend on them has none."""
        leaf = logits.clone().requires_grad_()
        value = self.value(leaf, target, valid)
        if value.requires_grad:
            value.backward()
        return value.detach(), torch.zeros_like(leaf) if leaf.grad is None else leaf.grad

    def _untouched(self) -> None:
        given = self.case.logits.clone(), self.case.target.clone(), torch.ones_like(self.case.valid)
        with torch.no_grad():
            output = given[0] if self.trial.component.inputs == "logits" else self._probabilities(given[0])
            before = [tensor.clone() for tensor in (output, *given[1:])]
            if self.trial.component.ignore == "mask":
                self.loss(output, given[1], valid=given[2])
            else:
                self.loss(output, given[1])
        names = ("output", "target", "valid")
        for name, was, now in zip(names, before, (output, *given[1:]), strict=True):
            if not torch.equal(was, now):
                self.found.broke("untouched", f"{self.case} it changed the {name}")

    def _ordered(self) -> None:
        everywhere = torch.ones_like(self.case.valid)
        right, wrong = (
            self.value(self._answer(target), self.case.target, everywhere) for target in (self.case.target, self._other)
        )
        if not right < wrong:
            self.found.broke("ordered", f"{self.case} right costs {right.item():.4g} and wrong {wrong.item():.4g}")

    @property
    def _other(self) -> Tensor:
        if self.case.task == "multiclass":
            return (self.case.target + 1) % CLASSES
        return self.case.target + 3 if self.case.task == "regression" else 1 - self.case.target

    def _answer(self, target: Tensor, height: float = 8.0) -> Tensor:
        """Return the logits of a network that is sure of a target, or the values of one that is right."""
        if self.case.task == "multiclass":
            return height * (2 * torch.nn.functional.one_hot(target, CLASSES).movedim(-1, 1).float() - 1)
        return target if self.case.task == "regression" else height * (2 * target - 1)

    def _one_class(self) -> None:
        kind = "value" if self.case.task == "regression" else "class"
        for label in (0, 1):
            target = torch.full_like(self.case.target, label)
            everywhere = torch.ones_like(self.case.valid)
            for name, logits in (("uncertain", self.case.logits), ("certain", self._answer(target, 30.0))):
                value, gradient = self._descend(logits, target, everywhere)
                if not value.isfinite() or not gradient.isfinite().all():
                    what = f"{self.case} with {kind} {label} alone and a network that is {name}"
                    self.found.broke("one-class", f"{what} it is {value.item():g} with such a gradient")

    def _half(self) -> None:
        everywhere = torch.ones_like(self.case.valid)
        exact = self.value(self.case.logits, self.case.target, everywhere).item()
        for dtype in (torch.bfloat16, torch.float16):
            name = str(dtype).removeprefix("torch.")
            try:
                with torch.autocast("cpu", dtype=dtype):
                    value, gradient = self._descend(self.case.logits.to(dtype), self.case.target, everywhere)
            except Exception as error:  # noqa: BLE001  (third-party code raises what it likes)
                self.found.broke("half", f"{self.case} in {name} it raised {type(error).__name__}: {error}")
                continue
            if not gradient.isfinite().all():
                self.found.broke("half", f"{self.case} its gradient in {name} is not finite")
            elif not abs(value.item() - exact) <= _HALF * max(abs(exact), 0.1):
                self.found.broke("half", f"{self.case} it is {value.item():.4g} in {name} and {exact:.4g} in float32")

    def _ignored(self) -> None:
        case = self.case
        value, gradient = self._descend(case.logits, case.target, case.valid)
        if gradient[~case.channels].any():
            self.found.broke("ignored-gradient", f"{case} some do")
        changed = torch.where(case.channels, case.logits, _GARBAGE * case.logits + 1)
        target = torch.where(case.valid, case.target, self._other)
        for what, logits, truth in (("output", changed, case.target), ("target", case.logits, target)):
            other = self.value(logits, truth, case.valid)
            if not torch.isclose(value, other, rtol=1e-4, atol=1e-6):
                seen = f"{case} another {what} there changes it from {value.item():.6g} to {other.item():.6g}"
                self.found.broke("ignored-value", seen)

    def _margin(self) -> None:
        if "loss.ignored-value" in self.found.broken:
            return
        case, valid = self.case, torch.zeros_like(self.case.valid)
        self._inner(valid).fill_(True)
        masked = self.value(case.logits, case.target, valid)
        cropped = self.value(*(self._inner(each) for each in (case.logits, case.target, valid)))
        if not torch.isclose(masked, cropped, rtol=1e-4, atol=1e-6, equal_nan=True):
            self.found.broke("ignored-exact", f"{case} it is {masked.item():.6g} and {cropped.item():.6g} without it")

    def _inner(self, tensor: Tensor) -> Tensor:
        """Return a tensor (..., *S) without the first voxels of each axis."""
        dims = self.case.dims
        return tensor[(slice(None),) * (tensor.ndim - dims) + (slice(1, None),) * dims]

    def _unlabelled(self) -> None:
        value, gradient = self._descend(self.case.logits, self.case.target, torch.zeros_like(self.case.valid))
        if not value.isfinite() or not gradient.isfinite().all():
            self.found.broke("unlabelled", f"{self.case} it is {value.item():g} there")

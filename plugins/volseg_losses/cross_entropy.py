"""Cross-entropy over labelled voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from volseg_core.api import UsageError
from volseg_losses.inputs import LossInputs, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence


class CrossEntropyLoss(nn.Module):
    """Average ``-w[y] * log p[y]`` over the labelled voxels, divided by the sum of their ``w[y]``.

    Label smoothing ``s`` replaces the one-hot target by ``(1 - s) * onehot + s / C`` (Szegedy et al. 2016,
    doi:10.1109/CVPR.2016.308). A binary task is scored as the two classes whose logits are 0 and the output, so both
    tasks give the same value for the same problem.

    Args:
        label_smoothing: ``s`` in [0, 1].
        class_weights: ``w`` in class order, for a binary task those of background and foreground.
        task: ``multiclass`` or ``binary``.
        num_classes: channels of a multiclass output.

    Raises:
        UsageError: the number of weights is not that of the classes, or all of them are 0.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        task: str,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.task = task
        weights = None if class_weights is None else _checked(class_weights, 2 if task == "binary" else num_classes)
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S); 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for a binary task float (N, 1, *S) in [0, 1];
        ``valid`` is bool, True where labelled, None for everywhere.
        """
        inputs = prepare(output, target, valid, task=self.task)
        weights = None if self.class_weights is None else self.class_weights.to(inputs.logits)
        per_voxel = self._binary if self.task == "binary" else self._multiclass
        values, shares = per_voxel(inputs, weights)
        total = shares.masked_fill(~inputs.valid, 0).sum()
        # a product rather than a quotient, so that a batch without labels has gradient 0 and not NaN
        return values.masked_fill(~inputs.valid, 0).sum() * torch.where(total > 0, 1 / total, 0)

    def _multiclass(self, inputs: LossInputs, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        # the caller sums: torch's own weighted sum is not deterministic on CUDA
        values = functional.cross_entropy(
            inputs.logits, inputs.target, weights, reduction="none", label_smoothing=self.label_smoothing
        )
        return values, torch.ones_like(values) if weights is None else weights[inputs.target]

    def _binary(self, inputs: LossInputs, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        background, foreground = inputs.logits.new_ones(2) if weights is None else weights
        target = inputs.target.to(inputs.logits)
        smooth = target * (1 - self.label_smoothing) + self.label_smoothing / 2
        values = -foreground * smooth * functional.logsigmoid(inputs.logits)
        values = values - background * (1 - smooth) * functional.logsigmoid(-inputs.logits)
        return values, background * (1 - target) + foreground * target


def _checked(class_weights: Sequence[float], expected: int) -> Tensor:
    weights = list(class_weights)
    where = "loss 'cross-entropy'"
    if len(weights) != expected:
        raise UsageError(
            where, f"class_weights {weights!r} has {len(weights)} items", f"Give one per class: {expected}"
        )
    if not any(weights):
        raise UsageError(where, f"class_weights {weights!r} leave nothing to learn", "At least one must be above 0")
    return torch.tensor(weights)

"""Cross-entropy over labelled voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from volseg_core.api import Param, UsageError
from volseg_losses.inputs import LossInputs, prepare
from volseg_losses.weights import class_weights

if TYPE_CHECKING:
    from collections.abc import Sequence


class CrossEntropyLoss(nn.Module):
    """Average ``-w[y] * log p[y]`` over the labelled voxels, divided by the sum of their ``w[y]``.

    Label smoothing ``s`` replaces the one-hot target by ``(1 - s) * onehot + s / C`` (Szegedy et al. 2016,
    doi:10.1109/CVPR.2016.308). A binary task is scored as the two classes whose logits are 0 and the output, so both
    tasks give the same value for the same problem.

    Args:
        label_smoothing: ``s`` in [0, 1].
        weights: ``w`` in class order, for a binary task those of background and foreground; ``auto`` takes
            ``1 / sqrt(voxels of the class)`` (`volseg_losses.weights.class_weights`).
        task: ``multiclass`` or ``binary``.
        num_classes: channels of a multiclass output.
        class_counts: labelled training voxels of each class, for ``auto``.

    Raises:
        UsageError: the number of weights is not that of the classes, all of them are 0, or ``auto`` without counts.
    """

    weights: Tensor | None

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        weights: Any = None,
        task: str,
        num_classes: int,
        class_counts: Sequence[int] | None,
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.task = task
        classes = 2 if task == "binary" else num_classes
        checked = class_weights(weights, class_counts, classes=classes, where="loss 'cross-entropy'")
        self.register_buffer("weights", checked, persistent=False)

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S); 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for a binary task float (N, 1, *S) in [0, 1];
        ``valid`` is bool, True where labelled, None for everywhere.
        """
        inputs = prepare(output, target, valid, task=self.task)
        weights = None if self.weights is None else self.weights.to(inputs.logits)
        per_voxel = self._binary if self.task == "binary" else self._multiclass
        values, shares = per_voxel(inputs, weights)
        return mean_over_voxels(values, shares, inputs.valid)

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


class BinaryCrossEntropyLoss(nn.Module):
    """Average ``-(pos_weight * t log p + (1 - t) log(1 - p))`` over the labelled voxels.

    The average counts each voxel once, as torch's `BCEWithLogitsLoss` does; `CrossEntropyLoss` of a binary task
    divides by the weights instead. Without ``pos_weight`` they are the same.

    Args:
        pos_weight: weight of foreground voxels; null for 1, ``auto`` for the ratio of the weights that
            cross-entropy would take, ``sqrt(background / foreground voxels)``.
        class_counts: labelled training voxels of background and foreground, for ``auto``.

    Raises:
        UsageError: ``pos_weight`` is neither, or ``auto`` without counts of both classes.
    """

    pos_weight: Tensor | None

    def __init__(self, *, pos_weight: Any = None, class_counts: Sequence[int] | None) -> None:
        super().__init__()
        self.register_buffer("pos_weight", _pos_weight(pos_weight, class_counts), persistent=False)

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, 1, *S) and a float target of that shape in [0, 1]; 0 when nothing is labelled.

        ``valid`` is bool, True where labelled, None for everywhere.
        """
        inputs = prepare(output, target, valid, task="binary")
        values = functional.binary_cross_entropy_with_logits(
            inputs.logits,
            inputs.target.to(inputs.logits),
            pos_weight=None if self.pos_weight is None else self.pos_weight.to(inputs.logits),
            reduction="none",
        )
        return mean_over_voxels(values, torch.ones_like(values), inputs.valid)


def mean_over_voxels(values: Tensor, shares: Tensor, valid: Tensor) -> Tensor:
    """Return the sum of ``values`` over the sum of ``shares``, both where ``valid``; 0 where that is 0."""
    total = shares.masked_fill(~valid, 0).sum()
    # a product rather than a quotient, so that a batch without labels has gradient 0 and not NaN
    return values.masked_fill(~valid, 0).sum() * torch.where(total > 0, 1 / total, 0)


def _pos_weight(given: Any, counts: Sequence[int] | None) -> Tensor | None:
    where = "loss 'binary-cross-entropy'"
    if given is None:
        return None
    if given == "auto":
        if counts is None or not all(counts):
            what = "pos_weight 'auto' needs training voxels of background and foreground, which are not there"
            raise UsageError(where, what, "Give a number")
        background, foreground = counts
        return torch.tensor(background / foreground).sqrt()
    try:
        return torch.tensor(Param("float", min=0).coerce(given))
    except ValueError as error:
        raise UsageError(where, f"pos_weight: {error}", "Give a number, 'auto' or null") from error

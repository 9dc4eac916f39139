"""Cross-entropy over labelled voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from volseg_losses.inputs import LossInputs, as_multiclass, prepare
from volseg_losses.weights import class_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST = 1e-6
"""The least sum of probabilities, so that a class of which nothing or all is predicted has a finite weight."""


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


class PredictionWeightedCrossEntropyLoss(nn.Module):
    """Cross-entropy whose weights are ``w_c = sum(1 - p_c) / sum(p_c)``: classes that are little predicted weigh more.

    The sums run over the labelled voxels of the batch and no gradient passes through them; the average is that of
    `CrossEntropyLoss` (Sudre et al. 2017, doi:10.1007/978-3-319-67558-9_28, there WCE; ``WeightedCrossEntropyLoss`` of
    pytorch-3dunet). Weights from the labels are ``weights`` of `CrossEntropyLoss`.

    Args:
        task: ``multiclass`` or ``binary``, which is scored as two classes.
    """

    def __init__(self, *, task: str) -> None:
        super().__init__()
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S); 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for a binary task float (N, 1, *S) in {0, 1};
        ``valid`` is bool, True where labelled, None for everywhere.
        """
        inputs = as_multiclass(prepare(output, target, valid, task=self.task), task=self.task)
        weights = _weights_of_prediction(inputs.logits.detach().softmax(dim=1), inputs.valid)
        values = functional.cross_entropy(inputs.logits, inputs.target, weights, reduction="none")
        return mean_over_voxels(values, weights[inputs.target], inputs.valid)


def _weights_of_prediction(probabilities: Tensor, valid: Tensor) -> Tensor:
    by_class = probabilities.masked_fill(~valid.unsqueeze(1), 0).transpose(0, 1).flatten(1).sum(dim=1)
    return (valid.sum() - by_class).clamp_min(_LEAST) / by_class.clamp_min(_LEAST)


def mean_over_voxels(values: Tensor, shares: Tensor, valid: Tensor) -> Tensor:
    """Return the sum of ``values`` over the sum of ``shares``, both where ``valid``; 0 where that is 0."""
    total = shares.masked_fill(~valid, 0).sum()
    # a product rather than a quotient, so that a batch without labels has gradient 0 and not NaN
    return values.masked_fill(~valid, 0).sum() * torch.where(total > 0, 1 / total, 0)

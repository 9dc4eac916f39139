"""Cross-entropy of channels that are each a question of yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from volseg_losses.counts import ratio
from volseg_losses.cross_entropy import mean_over_voxels
from volseg_losses.inputs import prepare
from volseg_losses.weights import positive_weights

if TYPE_CHECKING:
    from collections.abc import Sequence


class BinaryCrossEntropyLoss(nn.Module):
    """Average ``-(pos_weight * t log p + (1 - t) log(1 - p))`` over the labelled voxels of all channels.

    The average counts each voxel once, as torch's `BCEWithLogitsLoss` does; `CrossEntropyLoss` of a binary task
    divides by the weights instead. Without ``pos_weight`` they are the same.

    Args:
        pos_weight: weight of positive voxels; null for 1, a number, one for each channel, or of a binary task
            ``ratio`` for ``background / foreground voxels`` of the training part and ``auto`` for the root of it.
        task: ``binary`` or ``multilabel``.
        num_classes: channels of a multilabel output.
        class_counts: labelled training voxels of background and foreground, for ``auto`` and ``ratio``.

    Raises:
        UsageError: ``pos_weight`` is none of these, or ``auto`` or ``ratio`` without counts of both classes.
    """

    pos_weight: Tensor | None

    def __init__(
        self, *, pos_weight: Any = None, task: str, num_classes: int, class_counts: Sequence[int] | None
    ) -> None:
        super().__init__()
        self.task = task
        channels, counts = (1, class_counts) if task == "binary" else (num_classes, None)
        checked = positive_weights(pos_weight, counts, channels=channels, where="loss 'binary-cross-entropy'")
        self.register_buffer("pos_weight", checked, persistent=False)

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S) and a float target of that shape in [0, 1]; 0 when nothing is labelled.

        ``valid`` is bool of that shape, True where labelled, None for everywhere.
        """
        inputs = prepare(output, target, valid, task=self.task)
        weight = None
        if self.pos_weight is not None:
            weight = self.pos_weight.to(inputs.logits).reshape(-1, *[1] * (output.ndim - 2))
        values = functional.binary_cross_entropy_with_logits(
            inputs.logits, inputs.target.to(inputs.logits), pos_weight=weight, reduction="none"
        )
        return mean_over_voxels(values, torch.ones_like(values), inputs.valid)


class BalancedBinaryCrossEntropyLoss(nn.Module):
    """Half the mean of ``-log p`` over positive voxels and half that of ``-log(1 - p)`` over negative ones.

    The class balance of holistically-nested edge detection, in which each side weighs by the other's share of the
    window (Xie and Tu 2015, doi:10.1109/ICCV.2015.164), divided by the product of the shares: so a window with few
    positive voxels weighs as much as another. A side without voxels leaves its half to the other. Between 0 and 1 a
    target counts on both sides.

    Args:
        average: ``sample`` balances each window, ``batch`` the batch as if it were one window.
        task: ``binary`` or ``multilabel``, whose channels are balanced one by one.
    """

    def __init__(self, *, average: str = "sample", task: str) -> None:
        super().__init__()
        self.average = average
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S) and a float target of that shape in [0, 1]; 0 when nothing is labelled.

        ``valid`` is bool of that shape, True where labelled, None for everywhere.
        """
        inputs = prepare(output, target, valid, task=self.task)
        truth = inputs.target.to(inputs.logits)
        shares = torch.stack([truth, 1 - truth]) * inputs.valid
        surprise = -functional.logsigmoid(torch.stack([inputs.logits, -inputs.logits]))
        above, below = self._sums(shares * surprise), self._sums(shares)
        means, sides = ratio(above, below).sum(dim=0), (below > 0).sum(dim=0)
        return (means / sides.clamp_min(1)).sum() / (sides > 0).sum().clamp_min(1)

    def _sums(self, values: Tensor) -> Tensor:
        """Return the sums (2, N, C), or (2, C) of a batch, of (2, N, C, *S)."""
        by_window = values.flatten(3).sum(dim=3)
        return by_window if self.average == "sample" else by_window.sum(dim=1)

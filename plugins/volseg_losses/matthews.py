"""The Matthews correlation coefficient of soft predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from volseg_losses.counts import soft_counts
from volseg_losses.inputs import as_multiclass, class_channels, prepare

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_SPREAD = 1e-6
"""Below this the sums of float32 do not tell a spread from 0."""


class MatthewsLoss(nn.Module):
    """``1 - R``, the correlation of prediction and target over all classes, background included.

    ``R = (c - sum_k p_k t_k) / sqrt((1 - sum_k p_k^2) (1 - sum_k t_k^2))``, where ``c`` is the mean probability of the
    true class and ``p_k``, ``t_k`` are the shares of class k in prediction and target (Gorodkin 2004,
    doi:10.1016/j.compbiolchem.2004.09.006). For two classes that is the coefficient of the soft confusion matrix
    (Abhishek and Hamarneh 2021, doi:10.1109/ISBI48211.2021.9433782).

    A target of one class correlates with nothing: there the loss is the mean probability of the wrong classes. A
    prediction of one class everywhere has R = 0.

    Args:
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        task: ``multiclass`` or ``binary``; a binary task is scored as two classes.
    """

    def __init__(self, *, average: str = "batch", task: str) -> None:
        super().__init__()
        self.average = average
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S), in [0, 2]; 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for a binary task float (N, 1, *S) in {0, 1};
        ``valid`` is bool, True where labelled, None for everywhere.
        """
        inputs = as_multiclass(prepare(output, target, valid, task=self.task), task=self.task)
        counts = soft_counts(class_channels(inputs, task="multiclass", classes="all"), average=self.average)
        voxels = counts.voxels.clamp_min(1)
        right = (counts.common / voxels).sum(dim=1)
        predicted, labelled = counts.predicted / voxels, counts.labelled / voxels
        spread = _spread(labelled)
        several = spread > 0
        below = _spread(predicted).clamp_min(_LEAST_SPREAD) * torch.where(several, spread, 1)
        correlation = (right - (predicted * labelled).sum(dim=1)) / below.sqrt()
        rows = counts.voxels.squeeze(1) > 0
        losses = torch.where(several, 1 - correlation, 1 - right).masked_fill(~rows, 0)
        return losses.sum() / rows.sum().clamp_min(1)


def _spread(shares: Tensor) -> Tensor:
    """Return ``1 - sum(shares^2)`` (R,) of shares (R, K) that sum to 1, without loss of digits where one is near 1."""
    pairs = shares.unsqueeze(1) * shares.unsqueeze(2)
    return pairs.masked_fill(torch.eye(shares.shape[1], dtype=torch.bool, device=shares.device), 0).sum(dim=(1, 2))

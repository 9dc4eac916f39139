"""The Lovász extension of the Jaccard loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from volseg_losses.counts import mean_over_channels, ratio
from volseg_losses.inputs import class_channels, prepare

if TYPE_CHECKING:
    from torch import Tensor


class LovaszLoss(nn.Module):
    """Average the Lovász-softmax loss over the classes (Berman et al. 2018, doi:10.1109/CVPR.2018.00464).

    The piecewise linear, convex interpolation of ``1 - |A and B| / |A or B|`` in the errors ``|t - p|``: exact for
    certain predictions. A binary task scores the sigmoid of its output in the same way, which is what two classes of
    which the foreground counts would give, and a multilabel task that of each channel. (The paper's hinge on binary
    logits has no upper bound, so that no weight of it fits beside other losses.)

    A class without a labelled voxel is left out; where no class is left, the loss is the mean probability of the
    foreground, and so it is for each channel of a multilabel task.

    Args:
        classes: ``all``, or ``foreground`` for all but class 0; of binary and multilabel tasks all channels count.
        average: ``batch`` takes the batch as one volume; ``sample`` takes the mean of the samples.
        task: ``multiclass``, ``binary`` or ``multilabel``.
    """

    def __init__(self, *, classes: str = "all", average: str = "batch", task: str) -> None:
        super().__init__()
        self.classes = classes
        self.average = average
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S), in [0, 1]; 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for binary and multilabel tasks float
        (N, C, *S) in {0, 1}; ``valid`` is bool of the target's shape, True where labelled, None for everywhere.
        """
        inputs = prepare(output, target, valid, task=self.task)
        channels = class_channels(inputs, task=self.task, classes=self.classes)
        probabilities, truth, labelled = (
            self._rows(each) for each in (channels.probabilities, channels.masks, channels.valid)
        )
        errors = (truth.to(probabilities) - probabilities).abs()
        # an error below every other puts ignored voxels last, where they change no union
        order = errors.detach().masked_fill(~labelled, -1).argsort(dim=2, descending=True)
        slopes = _slopes(truth.gather(2, order)).to(errors)
        losses = (errors.gather(2, order) * slopes).sum(dim=2)
        voxels, found = labelled.sum(dim=2).expand_as(losses), truth.any(dim=2)
        chance = ratio(probabilities.sum(dim=2), voxels)
        return mean_over_channels(losses, found, chance=chance, known=voxels > 0, task=self.task)

    def _rows(self, channels: Tensor) -> Tensor:
        """Return (N, K, *S) as (R, K, V)."""
        flat = channels.flatten(2)
        return flat if self.average == "sample" else flat.transpose(0, 1).flatten(1).unsqueeze(0)


def _slopes(truth: Tensor) -> Tensor:
    """Return how much the Jaccard loss grows with each voxel that turns wrong, in the order (R, K, V) of errors.

    A labelled voxel shrinks the intersection by 1, another grows the union by 1; the differences are written out,
    since those of rounded indices would be noise in large windows.
    """
    labelled = truth.sum(dim=2, keepdim=True)
    intersection = labelled - truth.cumsum(dim=2)
    union = labelled + (~truth).cumsum(dim=2)
    # the union is at least 1 and before another voxel joins too, save for absent classes, which nobody reads
    grown = intersection / (union * (union - 1)).clamp_min(1)
    return torch.where(truth, 1 / union.clamp_min(1), grown)

"""Losses in which voxels near the borders of the labels weigh more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from volseg_losses.counts import OverlapLoss, ratio
from volseg_losses.cross_entropy import mean_over_voxels
from volseg_losses.distance import signed_distances
from volseg_losses.inputs import LossInputs, class_channels, prepare
from volseg_losses.weights import class_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_losses.counts import SoftCounts
    from volseg_losses.inputs import Channels


class BorderWeightedCrossEntropyLoss(nn.Module):
    """Cross-entropy of voxels that weigh ``w[y] + border_weight * exp(-d^2 / (2 sigma^2))``, over their weights' sum.

    ``d`` is the distance of a voxel to the border of its class in the window, in voxels: half a voxel at the border. It
    is the weight map of U-Net (Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28) with ``d`` in place of their
    ``d1 + d2``, the distances to the two nearest cells, since class labels know no cells. In a window of one class
    all weigh ``w``. Each channel of a multilabel task has borders of its own.

    The distances are computed on the CPU with every call: about 50 ms for a batch of 4 x 256 x 256 and one class,
    0.4 s for one window of 96 x 96 x 96.

    Args:
        border_weight: ``w0`` of the paper, there 10.
        sigma: how far the weight reaches, in voxels; about 5 in the paper.
        weights: ``w``: of the classes in class order (binary: background and foreground), ``auto`` from their voxels,
            or of the channels of a multilabel task; None for 1.
        task: ``multiclass``, ``binary`` or ``multilabel``.
        num_classes: channels of a multiclass or multilabel output.
        class_counts: labelled training voxels of each class, for ``auto``.

    Raises:
        UsageError: the number of weights is not that of the classes, all of them are 0, or ``auto`` without counts.
    """

    weights: Tensor | None

    def __init__(
        self,
        *,
        border_weight: float = 10.0,
        sigma: float = 5.0,
        weights: Any = None,
        task: str,
        num_classes: int,
        class_counts: Sequence[int] | None,
    ) -> None:
        super().__init__()
        self.border_weight = border_weight
        self.sigma = sigma
        self.task = task
        classes = 2 if task == "binary" else num_classes
        where = "loss 'border-weighted-cross-entropy'"
        self.register_buffer(
            "weights", class_weights(weights, class_counts, classes=classes, where=where), persistent=False
        )

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S); 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for binary and multilabel tasks float (N, C, *S) in
        {0, 1}; ``valid`` is bool of the target's shape, True where labelled, None for everywhere. Borders are those
        between labelled voxels, so that an ignored margin is as if it were cut off.
        """
        inputs = prepare(output, target, valid, task=self.task)
        channels = class_channels(inputs, task=self.task, classes="all")
        distances = signed_distances(channels.masks, channels.valid).to(inputs.logits)
        near = torch.exp(-distances.square() / (2 * self.sigma**2)).masked_fill(distances == 0, 0)
        if self.task == "multiclass":
            near = near.gather(1, inputs.target.unsqueeze(1)).squeeze(1)
            surprise = functional.cross_entropy(inputs.logits, inputs.target, reduction="none")
        else:
            truth = inputs.target.to(inputs.logits)
            surprise = functional.binary_cross_entropy_with_logits(inputs.logits, truth, reduction="none")
        shares = self._class_weights(inputs) + self.border_weight * near
        return mean_over_voxels(surprise * shares, shares, inputs.valid)

    def _class_weights(self, inputs: LossInputs) -> Tensor:
        """Return ``w[y]`` of each voxel, in a shape that broadcasts to the target's."""
        if self.weights is None:
            return inputs.logits.new_ones(())
        weights = self.weights.to(inputs.logits)
        if self.task == "multilabel":
            return weights.reshape(-1, *[1] * (inputs.logits.ndim - 2))
        return weights[inputs.target.round().long()]


class BoundaryWeightedDiceLoss(OverlapLoss):
    """Dice whose voxels just outside the label count ``border_weight`` times, in all sums.

    ``1 - (2 sum(w p t) + smooth) / (sum(w p) + sum(w t) + smooth)`` with ``w = border_weight`` where the voxel is not
    of the class but one at most ``thickness`` voxels away along one axis is, and 1 elsewhere. It costs the network
    what it spills over the label, and keeps objects apart that nearly touch. flylobe's loss of this name is
    that with ``smooth: 1, absent: count``; beyond a thickness of 1 it takes that step alone, and not those below it.
    Absent classes: see `OverlapLoss`.

    Args:
        border_weight: 1 is Dice.
        thickness: of the shell, in voxels.
        smooth: added to numerator and denominator, in voxels.
        classes: ``all``, or ``foreground`` for all but class 0; of binary and multilabel tasks all channels count.
        average: ``batch`` sums over the batch as if it were one volume; ``sample`` takes the mean of the samples.
        absent: ``skip``, or ``count`` for the formula's value where a class has no voxel: 1 without ``smooth``.
        task: ``multiclass``, ``binary`` or ``multilabel``.
    """

    def __init__(
        self,
        *,
        border_weight: float = 10.0,
        thickness: int = 1,
        smooth: float = 1e-5,
        classes: str = "all",
        average: str = "batch",
        absent: str = "skip",
        task: str,
    ) -> None:
        super().__init__(classes=classes, average=average, task=task)
        self.border_weight = border_weight
        self.thickness = thickness
        self.smooth = smooth
        self.absent = absent

    def missed(self, counts: SoftCounts) -> Tensor:
        """Return one minus the weighted Dice of each class."""
        return 1 - ratio(2 * counts.common + self.smooth, counts.predicted + counts.labelled + self.smooth)

    def voxel_weights(self, channels: Channels) -> Tensor:
        """Return ``border_weight`` in the shell around each class and 1 elsewhere."""
        shell = _shell(channels.masks.to(channels.probabilities), self.thickness)
        return 1 + (self.border_weight - 1) * shell


def _shell(masks: Tensor, thickness: int) -> Tensor:
    """Return 1 where a voxel is not in a mask (N, K, *S) of 0 and 1 but one within reach along one axis is."""
    axes = range(masks.ndim - 2)
    pool = functional.max_pool2d if len(axes) == 2 else functional.max_pool3d  # noqa: PLR2004  (two axes)
    near = torch.zeros_like(masks)
    for chosen in axes:
        reach = [thickness if axis == chosen else 0 for axis in axes]
        near = torch.maximum(near, pool(masks, [2 * each + 1 for each in reach], stride=1, padding=reach))
    return near * (1 - masks)

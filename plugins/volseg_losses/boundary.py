"""Losses of the distance to the true boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from volseg_losses.distance import signed_distances
from volseg_losses.inputs import Channels, class_channels, prepare

if TYPE_CHECKING:
    from torch import Tensor


class BoundaryLoss(nn.Module):
    """Mean over labelled voxels and classes of ``phi (p - t)``, in voxels: wrong voxels cost their distance.

    ``phi`` is the signed distance to the boundary of the class in the target, negative inside, ``p`` the
    probabilities and ``t`` the one-hot target (Kervadec et al. 2021, doi:10.1016/j.media.2020.101851). The
    constant ``-phi t``, which they leave out, makes the loss of the truth 0. The boundary lies half way between voxels,
    where theirs runs through the outermost voxels of the class and lets them go missing for free.

    A class that is absent from a sample or fills it has no boundary there and counts nothing: give it a
    partner, such as Dice, and a small ``weight`` (0.01 in the paper), since the loss grows with the window.

    The distances are computed on the CPU with every call: about 50 ms for a batch of 4 x 256 x 256 and one class,
    0.4 s for one window of 96 x 96 x 96.

    Args:
        classes: ``foreground`` for all but class 0, or ``all``; of binary and multilabel tasks all channels count.
        task: ``multiclass``, ``binary`` or ``multilabel``.
    """

    def __init__(self, *, classes: str = "foreground", task: str) -> None:
        super().__init__()
        self.classes = classes
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S), at least 0; 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for binary and multilabel tasks float
        (N, C, *S) in {0, 1}; ``valid`` is bool of the target's shape, True where labelled, None for everywhere.
        Distances are those between labelled voxels, so that an ignored margin is as if it were cut off.
        """
        channels = class_channels(prepare(output, target, valid, task=self.task), task=self.task, classes=self.classes)
        distances = signed_distances(channels.masks, channels.valid)
        return _mean(distances * (channels.probabilities - channels.masks.to(channels.probabilities)), channels)


class HausdorffLoss(nn.Module):
    """Mean over labelled voxels and classes of ``(p - t)^2 (d_p^alpha + d_t^alpha)``, in voxels to the power alpha.

    ``d_t`` is the distance to the boundary of the class in the target and ``d_p`` to that in the prediction, which
    is where ``p > 1/2`` (Karimi and Salcudean 2019, doi:10.1109/TMI.2019.2930068, there HD_DT). No gradient
    passes through ``d_p``. With a large ``alpha`` the worst voxels rule, as in the Hausdorff distance.

    A class has no boundary in a prediction or target from which it is absent or which it fills, and that distance
    counts 0: give the loss a partner, such as Dice, and a small ``weight``, since it grows with the square of the
    window.

    The distances are computed on the CPU with every call: about 100 ms for a batch of 4 x 256 x 256 and one class,
    0.9 s for one window of 96 x 96 x 96.

    Args:
        alpha: exponent of the distances, 2 as in the paper.
        classes: ``foreground`` for all but class 0, or ``all``; of binary and multilabel tasks all channels count.
        task: ``multiclass``, ``binary`` or ``multilabel``.
    """

    def __init__(self, *, alpha: float = 2.0, classes: str = "foreground", task: str) -> None:
        super().__init__()
        self.alpha = alpha
        self.classes = classes
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S), at least 0; 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for binary and multilabel tasks float
        (N, C, *S) in {0, 1}; ``valid`` is bool of the target's shape, True where labelled, None for everywhere.
        Distances are those between labelled voxels, so that an ignored margin is as if it were cut off.
        """
        channels = class_channels(prepare(output, target, valid, task=self.task), task=self.task, classes=self.classes)
        both = (channels.masks, channels.probabilities > 0.5)  # noqa: PLR2004  (the paper's threshold)
        weights = sum(signed_distances(masks, channels.valid).abs().pow(self.alpha) for masks in both)
        return _mean((channels.probabilities - channels.masks.to(channels.probabilities)).square() * weights, channels)


def _mean(values: Tensor, channels: Channels) -> Tensor:
    return values.sum() / channels.valid.expand_as(values).sum().clamp_min(1)

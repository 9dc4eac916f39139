"""Cross-entropy that dwells on hard voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from volseg_losses.cross_entropy import mean_over_voxels
from volseg_losses.inputs import prepare
from volseg_losses.weights import class_weights

if TYPE_CHECKING:
    from collections.abc import Sequence


class FocalLoss(nn.Module):
    """Average ``-w[y] * (1 - p[y]) ** gamma * log p[y]`` over the labelled voxels, divided by the sum of ``w[y]``.

    Lin et al. 2017, doi:10.1109/ICCV.2017.324, with the mean over voxels instead of over detected objects; ``w`` is
    their alpha. ``gamma = 0`` is cross-entropy. A binary task, and each channel of a multilabel one, is scored as
    the two classes whose logits are 0 and the output.

    Args:
        gamma: how far easy voxels fade.
        weights: ``w`` in class order, for binary and multilabel tasks those of background and foreground; ``auto``
            takes ``1 / sqrt(voxels of the class)`` (`volseg_losses.weights.class_weights`).
        task: ``multiclass``, ``binary`` or ``multilabel``.
        num_classes: channels of a multiclass output.
        class_counts: labelled training voxels of each class, for ``auto``.

    Raises:
        UsageError: the number of weights is not that of the classes, all of them are 0, or ``auto`` without counts.
    """

    weights: Tensor | None

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        weights: Any = None,
        task: str,
        num_classes: int,
        class_counts: Sequence[int] | None,
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.task = task
        classes = num_classes if task == "multiclass" else 2
        checked = class_weights(weights, class_counts, classes=classes, where="loss 'focal'")
        self.register_buffer("weights", checked, persistent=False)

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, *S); 0 when no voxel is labelled.

        ``target`` is int64 (N, *S) with -1 where ignored, or for binary and multilabel tasks float (N, C, *S) in
        {0, 1}; ``valid`` is bool of the target's shape, True where labelled, None for everywhere.
        """
        inputs = prepare(output, target, valid, task=self.task)
        if self.task == "multiclass":
            label = inputs.target
            surprise = functional.cross_entropy(inputs.logits, label, reduction="none")
        else:
            label = (inputs.target > 0.5).long()  # noqa: PLR2004  (half way between background and foreground)
            surprise = functional.softplus(inputs.logits * (1 - 2 * label))
        # 1 - p without loss of digits where p is near 1, and above 0 because the power may have no slope there
        doubt = -torch.expm1(-surprise)
        values = doubt.clamp_min(torch.finfo(doubt.dtype).eps).pow(self.gamma) * surprise
        shares = torch.ones_like(values) if self.weights is None else self.weights.to(values)[label]
        return mean_over_voxels(values * shares, shares, inputs.valid)

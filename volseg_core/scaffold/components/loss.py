"""The Tversky loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ComponentClass(nn.Module):
    """Mean over the classes of ``1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth)``.

    ``TP = sum(p t)``, ``FP = sum(p (1 - t))`` and ``FN = sum((1 - p) t)`` over the labelled voxels of the batch, with
    probabilities ``p`` and the one-hot target ``t`` (Salehi et al. 2017, doi:10.1007/978-3-319-67389-9_44).
    ``alpha = beta = 1/2`` is soft Dice. Of a class without voxels only wrong ones count.

    Args:
        alpha: weight of voxels that wrongly get a class.
        beta: weight of voxels of a class that are missed.
        smooth: added to both sides of the ratio, in voxels.
        task: ``multiclass`` or ``binary``.
    """

    def __init__(self, *, alpha: float = 0.3, beta: float = 0.7, smooth: float = 1.0, task: str) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta
        self.smooth = smooth
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return a scalar in [0, 1], 0 when everything is right.

        ``output`` (N, C, *S) are logits, of half precision where training is mixed. ``target`` is int64 (N, *S) with
        -1 where there is no label; for a binary task C is 1 and it is float (N, 1, *S). ``valid`` is bool in the
        target's shape, False where there is no label: such a voxel must not count, whatever its values.
        """
        known = torch.ones_like(target, dtype=torch.bool) if valid is None else valid
        logits = output.to(torch.promote_types(output.dtype, torch.float32))  # sums of voxels overflow in half
        if self.task == "binary":
            probabilities = logits.masked_fill(~known, 0).sigmoid()
            truth = target.masked_fill(~known, 0).to(logits.dtype)
        else:
            known = (known & (target >= 0)).unsqueeze(1)
            probabilities = logits.masked_fill(~known, 0).softmax(dim=1)
            truth = nn.functional.one_hot(target.clamp(min=0), output.shape[1]).movedim(-1, 1)
        common = _per_class(probabilities * truth * known)
        wrong = _per_class(probabilities * known) - common
        missed = _per_class(truth * known) - common
        index = (common + self.smooth) / (common + self.alpha * wrong + self.beta * missed + self.smooth)
        return (1 - index).mean()


def _per_class(values: Tensor) -> Tensor:
    """Return the sum (C,) of values (N, C, *S) over batch and voxels."""
    return values.transpose(0, 1).flatten(1).sum(dim=1)

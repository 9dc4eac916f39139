"""Errors of predicted values, such as distances or denoised intensities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from volseg_losses.cross_entropy import mean_over_voxels
from volseg_losses.inputs import prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class ErrorLoss(nn.Module, ABC):
    """The mean of `errors` over the known values of all channels."""

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss of values (N, K, *S) and a float target of that shape; 0 when none is known.

        ``valid`` is bool of that shape, True where the target is known, None for everywhere.
        """
        inputs = prepare(output, target, valid, task="regression")
        values = self.errors(inputs.logits, inputs.target.to(inputs.logits))
        return mean_over_voxels(values, torch.ones_like(values), inputs.valid)

    @abstractmethod
    def errors(self, output: Tensor, target: Tensor) -> Tensor:
        """Return what each value (N, K, *S) costs."""


class SquaredErrorLoss(ErrorLoss):
    """Average ``(y - t)^2``."""

    def errors(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the squared errors."""
        return (output - target).square()


class AbsoluteErrorLoss(ErrorLoss):
    """Average ``|y - t|``."""

    def errors(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the absolute errors."""
        return (output - target).abs()


class SmoothL1Loss(ErrorLoss):
    """Average ``e^2 / (2 beta)`` of errors ``e = |y - t|`` below ``beta`` and ``e - beta / 2`` of others.

    Squared where it is small and absolute where it is large, so that outliers rule less (Girshick 2015,
    doi:10.1109/ICCV.2015.169, with ``beta`` 1); ``beta`` times it is the loss of Huber 1964.

    Args:
        beta: where the two meet, in units of the labels; 0 is the absolute error.
        scale: of each channel, by which labels were divided to be learnt, and the loss is; empty where not.
    """

    scale: Tensor

    def __init__(self, *, beta: float = 1.0, scale: Sequence[float] = ()) -> None:
        super().__init__()
        self.beta = beta
        self.register_buffer("scale", torch.tensor(scale or (1.0,)), persistent=False)

    def errors(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the smoothed errors."""
        scale = _per_channel(self.scale, target)
        return functional.smooth_l1_loss(output * scale, target * scale, reduction="none", beta=self.beta) / scale


class WeightedSmoothL1Loss(SmoothL1Loss):
    """`SmoothL1Loss` times ``factor`` where the target is below a threshold, or from it on.

    The average counts each value once, whatever its factor, as in pytorch-3dunet.

    Args:
        threshold: of the target, in units of the labels.
        factor: what the errors on that side are multiplied by.
        side: ``below`` for targets less than the threshold, ``above`` for the others.
        beta: as in `SmoothL1Loss`.
        offset: of each channel, which was taken off labels to be learnt; empty where not.
        scale: as in `SmoothL1Loss`.
    """

    offset: Tensor

    def __init__(
        self,
        *,
        threshold: float = 0.0,
        factor: float = 0.1,
        side: str = "below",
        beta: float = 1.0,
        offset: Sequence[float] = (),
        scale: Sequence[float] = (),
    ) -> None:
        super().__init__(beta=beta, scale=scale)
        self.threshold = threshold
        self.factor = factor
        self.side = side
        self.register_buffer("offset", torch.tensor(offset or (0.0,)), persistent=False)

    def errors(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the weighted errors."""
        # the steps by which labels became targets, so that a label at the threshold stays there
        threshold = (self.threshold - _per_channel(self.offset, target)) / _per_channel(self.scale, target)
        weighted = (target < threshold) == (self.side == "below")
        return super().errors(output, target) * torch.where(weighted, self.factor, 1.0)


def _per_channel(row: Tensor, like: Tensor) -> Tensor:
    """Return a number per channel, or one for all, as (1, K, 1, ...) of the type of a tensor (N, K, *S)."""
    return row.to(like).view(1, -1, *[1] * (like.ndim - 2))

"""The stacked hourglass: U-Nets in a row, in which each refines the result of the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from volseg_unet3d.classic import make_body
from volseg_unet3d.layers import BATCH_NORM, CONV

if TYPE_CHECKING:
    import torch

    from volseg_unet3d.classic import Body


class Stack(nn.Module):
    """One hourglass: features (N, inputs, *S) give its score, and with ``last=False`` what the next one adds."""

    def __init__(self, body: Body, start_channels: int, num_classes: int, dims: int, *, last: bool) -> None:
        super().__init__()
        self.body = body
        self.features = _pointwise(start_channels, dims)
        self.score = CONV[dims](start_channels, num_classes, 1)
        self.carry = None if last else _pointwise(start_channels, dims)
        self.project = None if last else CONV[dims](num_classes, start_channels, 1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the score (N, num_classes, *S) and the input of the next hourglass (N, start_channels, *S)."""
        features = self.features(self.body(image))
        score = self.score(features)
        if self.carry is None or self.project is None:
            return score, features
        return score, image + self.carry(features) + self.project(score)


class StackedHourglass(nn.Module):
    """Hourglasses in a row ``(N, in_channels, *S) -> (N, num_classes, *S)`` logits, those of the last.

    Newell et al. 2016, arXiv:1603.06937, with U-Nets at full resolution as hourglasses. An image of several channels
    is mapped to ``start_channels`` before it is added to features; one of a single channel is added to each.
    """

    def __init__(self, stacks: list[Stack], in_channels: int, start_channels: int, dims: int) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(stacks)
        mapped = len(stacks) > 1 and in_channels > 1
        self.entry = CONV[dims](in_channels, start_channels, 1) if mapped else nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of the last hourglass."""
        return self.supervised(image)[0]

    def supervised(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the logits (N, num_classes, *S) of every hourglass, the last one's first.

        Intermediate supervision is the sum of the losses of all.
        """
        scores = []
        image = self.entry(image)
        for stack in self.stacks:
            score, image = stack(image)
            scores.append(score)
        return scores[::-1]


def build_stacked_hourglass(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    num_stacks: int = 2,
    depth: int = 4,
    start_channels: int = 16,
    conv_kernel_size: Any = 3,
    batchnorm: bool = True,
    resblocks: bool = False,
) -> StackedHourglass:
    """Return ``num_stacks`` hourglasses of ``depth`` levels, of which the finest has ``start_channels``.

    Raises:
        UsageError: a kernel is no size, or even.
    """
    first = start_channels if num_stacks > 1 and in_channels > 1 else in_channels
    stacks = []
    for index in range(num_stacks):
        inputs = start_channels if index else first
        body = make_body(
            inputs, start_channels, depth, dims, conv_kernel_size, batchnorm=batchnorm, resblocks=resblocks
        )
        stacks.append(Stack(body, start_channels, num_classes, dims, last=index == num_stacks - 1))
    return StackedHourglass(stacks, in_channels, start_channels, dims)


def _pointwise(channels: int, dims: int) -> nn.Sequential:
    return nn.Sequential(CONV[dims](channels, channels, 1), nn.ReLU(inplace=True), BATCH_NORM[dims](channels))

"""What a level of a network is made of: two convolutions, or a residual block with or without attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from volseg_unet3d.layers import CONV

if TYPE_CHECKING:
    from volseg_unet3d.layers import LayerOrder
    from volseg_unet3d.sizes import Size

_SLOPE = 0.1


class DoubleConv(nn.Sequential):
    """Two convolutions ``(N, inputs, *S) -> (N, hidden, *S) -> (N, outputs, *S)``."""

    def __init__(self, order: LayerOrder, inputs: int, hidden: int, outputs: int, kernel: Size) -> None:
        super().__init__()
        self.add_module("SingleConv1", order.build(inputs, hidden, kernel))
        self.add_module("SingleConv2", order.build(hidden, outputs, kernel))


class ResidualBlock(nn.Module):
    """``activation(x + f(x))``, x mapped by a 1x1 convolution where the channels differ, f two convolutions.

    The last has no activation, and a leaky ReLU after the sum has slope 0.1 (Lee et al. 2017, arXiv:1706.00120, as
    pytorch-3dunet has it). With ``attention``, the block's output is weighted by `ChannelSpatialAttention`.
    """

    def __init__(self, order: LayerOrder, inputs: int, outputs: int, kernel: Size, *, attention: bool) -> None:
        super().__init__()
        self.conv1 = CONV[order.dims](inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.conv2 = order.build(outputs, outputs, kernel)
        self.conv3 = order.linear().build(outputs, outputs, kernel)
        self.non_linearity = order.activation(_SLOPE)
        self.se_module = ChannelSpatialAttention(outputs, order.dims) if attention else nn.Identity()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (N, outputs, *S) of those (N, inputs, *S)."""
        shortcut = self.conv1(features)
        summed = self.conv3(self.conv2(shortcut)) + shortcut
        weighted: torch.Tensor = self.se_module(self.non_linearity(summed))
        return weighted


class ChannelSpatialAttention(nn.Module):
    """Concurrent squeeze and excitation: the larger of features weighted by channel and by voxel.

    Roy et al. 2018, arXiv:1803.02579, with no reduction of the channels.
    """

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.cSE = ChannelAttention(channels)
        self.sSE = SpatialAttention(channels, dims)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return weighted features of the same shape (N, C, *S)."""
        return torch.maximum(self.cSE(features), self.sSE(features))


class ChannelAttention(nn.Module):
    """Weights each channel by what two linear layers make of the means of all (Hu et al. 2018, arXiv:1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, channels)
        self.fc2 = nn.Linear(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return weighted features of the same shape (N, C, *S)."""
        means = features.flatten(2).mean(2)
        weights = torch.sigmoid(self.fc2(torch.relu(self.fc1(means))))
        return features * weights[(..., *[None] * (features.ndim - 2))]


class SpatialAttention(nn.Module):
    """Weights each voxel by what a 1x1 convolution makes of its channels."""

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.conv = CONV[dims](channels, 1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return weighted features of the same shape (N, C, *S)."""
        return features * torch.sigmoid(self.conv(features))

"""A small U-Net."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ComponentClass(nn.Module):
    """U-Net of three scales (Ronneberger et al. 2015, arXiv:1505.04597), for slices and for volumes.

    Args:
        width: channels of the finest scale; each coarser one has twice as many.
        in_channels: channels of the image, neighbouring slices included.
        num_classes: channels of the output (1 for a binary task).
        dims: 2 or 3.
    """

    def __init__(self, *, width: int = 16, in_channels: int, num_classes: int, dims: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [
                _block(in_channels, width, dims),
                _block(width, 2 * width, dims),
                _block(2 * width, 4 * width, dims),
            ]
        )
        self.up = nn.ModuleList([_block(6 * width, 2 * width, dims), _block(3 * width, width, dims)])
        self.shrink = nn.MaxPool2d(2) if dims == 2 else nn.MaxPool3d(2)  # noqa: PLR2004
        self.grow = nn.Upsample(scale_factor=2)
        self.head = _conv(width, num_classes, 1, dims)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, num_classes, *S) of an image (N, in_channels, *S); no softmax, no sigmoid."""
        fine = self.down[0](image)
        middle = self.down[1](self.shrink(fine))
        coarse = self.down[2](self.shrink(middle))
        middle = self.up[0](torch.cat([self.grow(coarse), middle], dim=1))
        fine = self.up[1](torch.cat([self.grow(middle), fine], dim=1))
        logits: Tensor = self.head(fine)
        return logits


def _block(before: int, after: int, dims: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        norm = nn.BatchNorm2d(after) if dims == 2 else nn.BatchNorm3d(after)  # noqa: PLR2004
        layers += [_conv(channels, after, 3, dims), norm, nn.ReLU()]
    return nn.Sequential(*layers)


def _conv(before: int, after: int, size: int, dims: int) -> nn.Module:
    kind = nn.Conv2d if dims == 2 else nn.Conv3d  # noqa: PLR2004
    return kind(before, after, size, padding=size // 2)

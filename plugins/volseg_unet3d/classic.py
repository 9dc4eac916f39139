"""The U-Net of two convolutions per level, each with ReLU and then batch norm.

Any size works: pooling rounds up, and what is enlarged is cut to the size of what it joins.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from volseg_unet3d.layers import BATCH_NORM, CONV, MAX_POOL, TRANSPOSED
from volseg_unet3d.sizes import Size, odd, padding, per_level


class Block(nn.Module):
    """Two times convolution, ReLU, batch norm; with ``residual`` the input is added and a ReLU follows."""

    def __init__(self, inputs: int, outputs: int, kernel: Size, *, batchnorm: bool, residual: bool) -> None:
        super().__init__()
        dims = len(kernel)
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [CONV[dims](channels, outputs, kernel, padding=padding(kernel)), nn.ReLU(inplace=True)]  # type: ignore[arg-type]
            layers += [BATCH_NORM[dims](outputs)] if batchnorm else []
        self.layers = nn.Sequential(*layers)
        self.shortcut: nn.Module | None = None
        if residual:
            mapped = nn.Sequential(CONV[dims](inputs, outputs, 1, bias=False), BATCH_NORM[dims](outputs))
            self.shortcut = nn.Identity() if inputs == outputs else mapped

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (N, outputs, *S) of those (N, inputs, *S)."""
        result: torch.Tensor = self.layers(features)
        return result if self.shortcut is None else torch.relu(result + self.shortcut(features))


class Body(nn.Module):
    """A U-Net without its last layer: ``(N, inputs, *S) -> (N, start_channels, *S)``."""

    def __init__(
        self, inputs: int, start_channels: int, depth: int, kernel: Size, *, batchnorm: bool, resblocks: bool
    ) -> None:
        super().__init__()
        dims = len(kernel)
        widths = [start_channels * 2**level for level in range(depth)]

        def block(inputs: int, outputs: int) -> Block:
            return Block(inputs, outputs, kernel, batchnorm=batchnorm, residual=resblocks)

        self.down = nn.ModuleList(block(*channels) for channels in pairwise([inputs, *widths]))
        self.pool = MAX_POOL[dims](2, ceil_mode=True)
        rising = list(pairwise(reversed(widths)))
        self.enlarge = nn.ModuleList(TRANSPOSED[dims](coarse, fine, 2, stride=2) for coarse, fine in rising)
        self.up = nn.ModuleList(block(coarse, fine) for coarse, fine in rising)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the features of the finest level."""
        features = self.down[0](image)
        skips = []
        for block in self.down[1:]:
            skips.append(features)
            features = block(self.pool(features))
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            skip = skips.pop()
            features = block(torch.cat((cut(enlarge(features), skip), skip), 1))
        result: torch.Tensor = features
        return result


class ClassicUNet(nn.Module):
    """A U-Net ``(N, in_channels, *S) -> (N, num_classes, *S)`` logits (Ronneberger et al. 2015, arXiv:1505.04597)."""

    def __init__(self, body: Body, start_channels: int, num_classes: int, dims: int) -> None:
        super().__init__()
        self.body = body
        self.output = CONV[dims](start_channels, num_classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        logits: torch.Tensor = self.output(self.body(image))
        return logits


def build_classic_unet(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    depth: int = 4,
    start_channels: int = 16,
    conv_kernel_size: Any = 3,
    batchnorm: bool = True,
    resblocks: bool = False,
) -> ClassicUNet:
    """Return a U-Net of ``depth`` levels, of which the finest has ``start_channels``.

    Raises:
        UsageError: a kernel is no size, or even.
    """
    body = make_body(
        in_channels, start_channels, depth, dims, conv_kernel_size, batchnorm=batchnorm, resblocks=resblocks
    )
    return ClassicUNet(body, start_channels, num_classes, dims)


def make_body(
    inputs: int, start_channels: int, depth: int, dims: int, kernel: Any, *, batchnorm: bool, resblocks: bool
) -> Body:
    """Return a U-Net without its last layer, its kernel given for all axes or for each.

    Raises:
        UsageError: a kernel is no size, or even.
    """
    name = "conv_kernel_size"
    size = odd(name, per_level(name, kernel, dims, 1))[0]
    return Body(inputs, start_channels, depth, size, batchnorm=batchnorm, resblocks=resblocks)


def cut(features: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    """Return features without what they have beyond the size of ``fine``."""
    for axis in range(2, features.ndim):
        features = features.narrow(axis, 0, fine.shape[axis])
    return features

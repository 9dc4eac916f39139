"""The 3D U-Net of Çiçek et al. 2016 (arXiv:1606.06650) and its residual forms, in 2D and 3D.

Names of parameters are those of pytorch-3dunet, whose checkpoints load. Any size works that the pooling leaves a
voxel of: features are enlarged to the size of those that they join.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from volseg_unet3d.blocks import DoubleConv, ResidualBlock
from volseg_unet3d.inputs import check_input
from volseg_unet3d.layers import CONV, MAX_POOL, LayerOrder
from volseg_unet3d.sizes import odd, per_level, product, widths
from volseg_unet3d.upsampling import TRANSPOSED_KIND, Interpolation, TransposedConvolution

if TYPE_CHECKING:
    from volseg_unet3d.sizes import Size


@dataclass(frozen=True)
class Plan:
    """A U-Net's levels, finest first: channels, kernels, and the pooling between each and the next.

    ``residual``: blocks add what they are given. Otherwise a block is two convolutions, of which an encoder's first
    has ``1 / conv_upscale`` of the level's channels.
    """

    order: LayerOrder
    widths: list[int]
    kernels: list[Size]
    pools: list[Size]
    upsample: str
    joining: str = "concat"
    residual: bool = False
    attention: bool = False
    conv_upscale: int = 2

    def encoder(self, level: int, inputs: int) -> Encoder:
        """Return the way down to a level."""
        width, kernel = self.widths[level], self.kernels[level]
        pool = MAX_POOL[self.order.dims](self.pools[level - 1]) if level else nn.Identity()
        if self.residual:
            return Encoder(pool, self._residual(inputs, width, kernel))
        hidden = max(width // self.conv_upscale, inputs)
        return Encoder(pool, DoubleConv(self.order, inputs, hidden, width, kernel))

    def decoder(self, level: int) -> Decoder:
        """Return the way up to a level from the next coarser one."""
        (fine, coarse), kernel = self.widths[level : level + 2], self.kernels[level]
        transposed, sums = self.upsample == TRANSPOSED_KIND, self.joining == "sum"
        arriving = fine if transposed or sums else coarse
        upsampling: nn.Module
        if transposed:
            upsampling = TransposedConvolution(coarse, arriving, kernel, self.pools[level])
        else:
            upsampling = Interpolation(self.upsample, coarse, arriving, self.order.dims)
        joined = fine if sums else arriving + fine
        if self.residual:
            return Decoder(upsampling, self._residual(joined, fine, kernel), joins_by_sum=sums)
        return Decoder(upsampling, DoubleConv(self.order, joined, fine, fine, kernel), joins_by_sum=sums)

    def _residual(self, inputs: int, outputs: int, kernel: Size) -> ResidualBlock:
        return ResidualBlock(self.order, inputs, outputs, kernel, attention=self.attention)


class Encoder(nn.Module):
    """Pooling and a block."""

    def __init__(self, pooling: nn.Module, block: nn.Module) -> None:
        super().__init__()
        self.pooling = pooling
        self.basic_module = block

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features of the next level."""
        result: torch.Tensor = self.basic_module(self.pooling(features))
        return result


class Decoder(nn.Module):
    """Enlarges coarse features, joins finer ones and applies a block."""

    def __init__(self, upsampling: nn.Module, block: nn.Module, *, joins_by_sum: bool) -> None:
        super().__init__()
        self.upsampling = upsampling
        self.basic_module = block
        self.joins_by_sum = joins_by_sum

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Return features of the size of ``fine``."""
        enlarged = self.upsampling(coarse, fine)
        joined = fine + enlarged if self.joins_by_sum else torch.cat((fine, enlarged), 1)
        result: torch.Tensor = self.basic_module(joined)
        return result


class UNet(nn.Module):
    """A U-Net ``(N, in_channels, *S) -> (N, num_classes, *S)`` logits."""

    def __init__(self, plan: Plan, in_channels: int, num_classes: int) -> None:
        super().__init__()
        inputs = [in_channels, *plan.widths[:-1]]
        self.encoders = nn.ModuleList(plan.encoder(level, channels) for level, channels in enumerate(inputs))
        self.decoders = nn.ModuleList(plan.decoder(level) for level in reversed(range(len(plan.pools))))
        self.final_conv = CONV[plan.order.dims](plan.widths[0], num_classes, 1)
        self.factors = product(plan.pools)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits.

        Raises:
            UsageError: an axis of the image is too short to be pooled at every level.
        """
        check_input(image, self.factors)
        skips: list[torch.Tensor] = []
        for encoder in self.encoders:
            image = encoder(image)
            skips.append(image)
        image = skips.pop()
        for decoder in self.decoders:
            image = decoder(image, skips.pop())
        logits: torch.Tensor = self.final_conv(image)
        return logits


def build_unet(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    f_maps: Any = 64,
    num_levels: int | None = None,
    layer_order: str = "gcr",
    num_groups: int = 8,
    conv_kernel_size: Any = 3,
    pool_kernel_size: Any = 2,
    conv_upscale: int = 2,
    upsample: str = "nearest",
    dropout_prob: float = 0.1,
) -> UNet:
    """Return a U-Net of double convolutions (Çiçek et al. 2016, arXiv:1606.06650), 4 levels unless told otherwise.

    Raises:
        UsageError: a size or the order of layers is none.
    """
    order = LayerOrder(layer_order, dims, num_groups, dropout_prob)
    levels = widths(f_maps, num_levels, 4)
    sizes = _sizes(conv_kernel_size, pool_kernel_size, dims, len(levels))
    plan = Plan(order, levels, *sizes, upsample=upsample, conv_upscale=conv_upscale)
    return UNet(plan, in_channels, num_classes)


def build_residual_unet(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    f_maps: Any = 64,
    num_levels: int | None = None,
    layer_order: str = "gcr",
    num_groups: int = 8,
    conv_kernel_size: Any = 3,
    pool_kernel_size: Any = 2,
    upsample: str = "deconv",
    joining: str = "sum",
    dropout_prob: float = 0.1,
    attention: bool = False,
) -> UNet:
    """Return a residual U-Net (Lee et al. 2017, arXiv:1706.00120), 5 levels unless told otherwise.

    Raises:
        UsageError: a size or the order of layers is none.
    """
    order = LayerOrder(layer_order, dims, num_groups, dropout_prob)
    levels = widths(f_maps, num_levels, 5)
    sizes = _sizes(conv_kernel_size, pool_kernel_size, dims, len(levels))
    plan = Plan(order, levels, *sizes, upsample=upsample, joining=joining, residual=True, attention=attention)
    return UNet(plan, in_channels, num_classes)


build_residual_unet_se = functools.partial(build_residual_unet, attention=True)
"""The same with squeeze and excitation in every block (Roy et al. 2018, arXiv:1803.02579)."""


def _sizes(kernel: Any, pool: Any, dims: int, levels: int) -> tuple[list[Size], list[Size]]:
    """Return the kernels of all levels, and the pooling between them."""
    kernels = odd("conv_kernel_size", per_level("conv_kernel_size", kernel, dims, levels))
    return kernels, per_level("pool_kernel_size", pool, dims, levels - 1)

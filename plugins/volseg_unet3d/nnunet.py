"""The U-Net as nnU-Net builds it: strided convolutions, leaky ReLU, an optional residual encoder.

Isensee et al. 2021, doi:10.1038/s41592-020-01008-z; the residual form Isensee et al. 2024, arXiv:2404.09556.
Any size works: strides round up, and what is enlarged is cut to the size of what it joins.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from volseg_core.api import UsageError
from volseg_unet3d.classic import cut
from volseg_unet3d.inputs import check_input
from volseg_unet3d.layers import AVERAGE_POOL, BATCH_NORM, CONV, INSTANCE_NORM, TRANSPOSED, group_count
from volseg_unet3d.sizes import odd, padding, per_level, product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_unet3d.sizes import Size

_SLOPE = 0.01
_WIDEST = {2: 512, 3: 320}
_RESIDUAL_BLOCKS = (1, 3, 4, 6)
_GROUPS = 8
_LEAST_SUPERVISED = 4
"""Stages with which the decoder, which has one less, has an output besides the finest and the coarsest."""


@dataclass(frozen=True)
class Layers:
    """What goes with every convolution of a network."""

    dims: int
    norm: str
    dropout: float

    def convolution(self, inputs: int, outputs: int, kernel: Size, stride: Size) -> nn.Sequential:
        """Return a convolution, dropout and a norm."""
        layer = CONV[self.dims](inputs, outputs, kernel, stride=stride, padding=padding(kernel))  # type: ignore[arg-type]
        return nn.Sequential(layer, nn.Dropout(self.dropout), self._norm(outputs))

    def activated(self, inputs: int, outputs: int, kernel: Size, stride: Size) -> nn.Sequential:
        """Return `convolution` and a leaky ReLU."""
        return nn.Sequential(self.convolution(inputs, outputs, kernel, stride), nn.LeakyReLU(_SLOPE, inplace=True))

    def plain(self, inputs: int, outputs: int, kernel: Size, stride: Size, count: int) -> nn.Sequential:
        """Return ``count`` convolutions, the first with the stride."""
        one = (1,) * self.dims
        rest = [self.activated(outputs, outputs, kernel, one) for _ in range(count - 1)]
        return nn.Sequential(self.activated(inputs, outputs, kernel, stride), *rest)

    def residual(self, inputs: int, outputs: int, kernel: Size, stride: Size, count: int) -> nn.Sequential:
        """Return ``count`` residual blocks, the first with the stride."""
        one = (1,) * self.dims
        rest = [ResidualBlock(self, outputs, outputs, kernel, one) for _ in range(count - 1)]
        return nn.Sequential(ResidualBlock(self, inputs, outputs, kernel, stride), *rest)

    def _norm(self, channels: int) -> nn.Module:
        if self.norm == "instance":
            return INSTANCE_NORM[self.dims](channels, affine=True)
        if self.norm == "batch":
            return BATCH_NORM[self.dims](channels)
        return nn.GroupNorm(group_count(channels, _GROUPS), channels)


class ResidualBlock(nn.Module):
    """Two convolutions and the input, pooled by its mean and mapped where it has another size and other channels."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, kernel: Size, stride: Size) -> None:
        super().__init__()
        one = (1,) * layers.dims
        self.first = layers.activated(inputs, outputs, kernel, stride)
        self.second = layers.convolution(outputs, outputs, kernel, one)
        pool = AVERAGE_POOL[layers.dims](stride, ceil_mode=True) if stride != one else nn.Identity()  # type: ignore[arg-type]
        mapped = layers.convolution(inputs, outputs, one, one) if inputs != outputs else nn.Identity()
        self.shortcut = nn.Sequential(pool, mapped)
        self.activation = nn.LeakyReLU(_SLOPE, inplace=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (N, outputs, *S), smaller by the stride."""
        result: torch.Tensor = self.activation(self.second(self.first(features)) + self.shortcut(features))
        return result


@dataclass(frozen=True)
class Stages:
    """A network's stages, finest first: channels, kernels and blocks, and the strides between each and the next."""

    layers: Layers
    widths: list[int]
    kernels: list[Size]
    strides: list[Size]
    blocks: list[int]
    decoder_blocks: int
    residual: bool

    def down(self, in_channels: int) -> list[nn.Module]:
        """Return the encoder's stages."""
        one = (1,) * self.layers.dims
        inputs, stem = in_channels, None
        if self.residual:
            inputs, stem = self.widths[0], self.layers.activated(in_channels, self.widths[0], self.kernels[0], one)
        make = self.layers.residual if self.residual else self.layers.plain
        channels = pairwise([inputs, *self.widths])
        stages: list[nn.Module] = [
            make(before, after, kernel, stride, count)
            for (before, after), kernel, stride, count in zip(
                channels, self.kernels, [one, *self.strides], self.blocks, strict=True
            )
        ]
        return stages if stem is None else [nn.Sequential(stem, stages[0]), *stages[1:]]

    def up(self) -> list[nn.Module]:
        """Return the decoder's convolutions, coarsest first."""
        one = (1,) * self.layers.dims
        return [
            self.layers.plain(2 * width, width, kernel, one, self.decoder_blocks)
            for width, kernel in reversed(list(zip(self.widths, self.kernels, strict=True))[:-1])
        ]

    def enlarge(self) -> list[nn.Module]:
        """Return transposed convolutions, coarsest first."""
        steps = zip(pairwise(self.widths), self.strides, strict=True)
        return [
            TRANSPOSED[self.layers.dims](coarse, fine, stride, stride=stride)  # type: ignore[arg-type]
            for (fine, coarse), stride in reversed(list(steps))
        ]


class FullSizeHead(nn.Module):
    """Logits of features that a stem's stride made coarser than the image.

    A transposed convolution enlarges each coarser voxel by itself, which leaves steps; a convolution of the result and
    the image smooths them. It costs little: nothing else is computed at full resolution (docs/benchmarks.md has what it
    gains).
    """

    def __init__(self, stages: Stages, in_channels: int, num_classes: int, stem: Size) -> None:
        super().__init__()
        dims, kernel = stages.layers.dims, stages.kernels[0]
        self.enlarge = TRANSPOSED[dims](stages.widths[0], num_classes, stem, stride=stem)  # type: ignore[arg-type]
        self.join = CONV[dims](num_classes + in_channels, num_classes, kernel, padding=padding(kernel))  # type: ignore[arg-type]

    def forward(self, features: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, num_classes, *S) of the image (N, in_channels, *S)."""
        logits: torch.Tensor = self.join(torch.cat((cut(self.enlarge(features), image), image), 1))
        return logits


class StagedUNet(nn.Module):
    """A U-Net ``(N, in_channels, *S) -> (N, num_classes, *S)`` logits.

    With a ``stem`` of a stride the finest stage is so much coarser than the image, and a `FullSizeHead` makes the
    logits. With ``deep_supervision`` every stage of the decoder but the coarsest has some, which `supervised` returns.
    """

    def __init__(
        self, stages: Stages, in_channels: int, num_classes: int, stem: Size, *, deep_supervision: bool
    ) -> None:
        super().__init__()
        layers, width = stages.layers, stages.widths[0]
        coarser = max(stem) > 1
        self.stem = layers.activated(in_channels, width, stages.kernels[0], stem) if coarser else None
        self.down = nn.ModuleList(stages.down(width if coarser else in_channels))
        self.enlarge = nn.ModuleList(stages.enlarge())
        self.up = nn.ModuleList(stages.up())
        heads = stages.widths[: len(stages.strides) - 1] if deep_supervision else []
        self.heads = nn.ModuleList(CONV[layers.dims](width, num_classes, 1) for width in heads or stages.widths[:1])
        if coarser:
            self.heads[0] = FullSizeHead(stages, in_channels, num_classes, stem)
        self.factors = product([stem, *stages.strides])
        self.single = stages.layers.norm != "instance"

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of the finest stage.

        Raises:
            UsageError: an axis of the image is shorter than its strides together.
        """
        return self._finest(self._decoded(image)[0], image)

    def supervised(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the logits of every stage that has some, finest first, each of its stage's size."""
        finest, *coarser = self._decoded(image)
        rest = [head(features) for head, features in zip(self.heads[1:], coarser, strict=False)]
        return [self._finest(finest, image), *rest]

    def _finest(self, features: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of the finest stage at the size of the image."""
        logits: torch.Tensor = self.heads[0](features) if self.stem is None else self.heads[0](features, image)
        return logits

    def _decoded(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of the decoder's stages, finest first."""
        check_input(image, self.factors, single=self.single)
        skips = []
        if self.stem is not None:
            image = self.stem(image)
        for stage in self.down:
            image = stage(image)
            skips.append(image)
        features, decoded = skips.pop(), []
        for enlarge, stage in zip(self.enlarge, self.up, strict=True):
            skip = skips.pop()
            features = stage(torch.cat((cut(enlarge(features), skip), skip), 1))
            decoded.append(features)
        return decoded[::-1]


def build_nnunet(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    stages: int = 5,
    width: int = 32,
    max_width: int | None = None,
    kernel_size: Any = 3,
    strides: Any = 2,
    stem: Any = 1,
    residual: bool = False,
    blocks: Sequence[int] | None = None,
    decoder_blocks: int | None = None,
    norm: str = "instance",
    dropout: float = 0.0,
    deep_supervision: bool = False,
) -> StagedUNet:
    """Return nnU-Net's network: ``width`` channels that double from stage to stage up to ``max_width``.

    Raises:
        UsageError: a kernel or a stride is no size, there is not one number of blocks per stage, or there are too few
            stages to supervise more than the finest.
    """
    if deep_supervision and stages < _LEAST_SUPERVISED:
        what = f"{stages} stages leave none between the finest and the coarsest of the decoder to supervise"
        raise UsageError("model.deep_supervision", what, f"Set model.stages to {_LEAST_SUPERVISED} or more.")
    if blocks is not None and len(blocks) != stages:
        what = f"{list(blocks)!r} has {len(blocks)} items for {stages} stages"
        raise UsageError("model.blocks", what, "Give one number for each stage, or none.")
    if blocks is None:
        blocks = [*_RESIDUAL_BLOCKS, *_RESIDUAL_BLOCKS[-1:] * stages][:stages] if residual else [2] * stages
    widest = _WIDEST[dims] if max_width is None else max_width
    plan = Stages(
        Layers(dims, norm, dropout),
        [min(width * 2**stage, widest) for stage in range(stages)],
        odd("kernel_size", per_level("kernel_size", kernel_size, dims, stages)),
        per_level("strides", strides, dims, stages - 1),
        list(blocks),
        decoder_blocks or (1 if residual else 2),
        residual,
    )
    (first,) = per_level("stem", stem, dims, 1)
    return StagedUNet(plan, in_channels, num_classes, first, deep_supervision=deep_supervision)

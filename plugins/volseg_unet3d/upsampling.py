"""Enlarging coarse features to the size of finer ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import interpolate

from volseg_unet3d.layers import CONV, TRANSPOSED
from volseg_unet3d.sizes import padding

if TYPE_CHECKING:
    from volseg_unet3d.sizes import Size

TRANSPOSED_KIND = "deconv"


class Interpolation(nn.Module):
    """Interpolates to a size; where the channels change, a 1x1 convolution maps them before."""

    def __init__(self, kind: str, inputs: int, outputs: int, dims: int) -> None:
        super().__init__()
        self.kind = kind
        self.project = CONV[dims](inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, features: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Return features (N, outputs, *S) of the size S of ``fine``."""
        return interpolate(self.project(features), size=fine.shape[2:], mode=self.kind)


class TransposedConvolution(nn.Module):
    """A transposed convolution, interpolated to the size that it misses by a voxel (nearest)."""

    def __init__(self, inputs: int, outputs: int, kernel: Size, factor: Size) -> None:
        super().__init__()
        dims = len(kernel)
        # a kernel narrower than its stride would leave voxels that it never reaches
        wide = tuple(max(size, 2 * (step // 2) + 1) for size, step in zip(kernel, factor, strict=True))
        layer = TRANSPOSED[dims](inputs, outputs, wide, stride=factor, padding=padding(wide), bias=False)  # type: ignore[arg-type]
        self.upsample = nn.ModuleDict({"conv_transposed": layer})

    def forward(self, features: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Return features (N, outputs, *S) of the size S of ``fine``."""
        return interpolate(self.upsample["conv_transposed"](features), size=fine.shape[2:], mode="nearest")

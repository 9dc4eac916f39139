"""A small encoder that keeps to the contract, for architectures under test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONVOLUTIONS: dict[int, type[nn.Conv2d | nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_NORMS: dict[int, type[nn.BatchNorm2d | nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class ReferenceEncoder(nn.Module):
    """Features of strides 1, 2, 4, ... by one convolution a stage: (N, C, *S) to a list, finest first."""

    def __init__(self, *, in_channels: int, depth: int, output_stride: int = 32, dims: int = 2) -> None:
        super().__init__()
        self.strides = tuple(min(2**stage, output_stride) for stage in range(depth + 1))
        self.out_channels = [8 + 4 * stage for stage in range(depth + 1)]
        widths = [in_channels, *self.out_channels]
        steps = [1, *(after // before for before, after in zip(self.strides, self.strides[1:], strict=False))]
        self.stages = nn.ModuleList(
            nn.Sequential(_CONVOLUTIONS[dims](before, after, 3, step, 1), _NORMS[dims](after), nn.ReLU())
            for before, after, step in zip(widths, widths[1:], steps, strict=False)
        )

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the features."""
        features = []
        for stage in self.stages:
            image = stage(image)
            features.append(image)
        return features


@dataclass(frozen=True)
class ReferenceChoice:
    """The reference encoder as an architecture receives it (`volseg_core.api.EncoderChoice`)."""

    dims: int
    name: str = "reference"
    target: str = f"{__name__}:ReferenceEncoder"
    params: Mapping[str, Any] = field(default_factory=dict)

    def build(self, *, in_channels: int, depth: int, output_stride: int = 32) -> ReferenceEncoder:
        """Return the encoder."""
        return ReferenceEncoder(in_channels=in_channels, depth=depth, output_stride=output_stride, dims=self.dims)

"""The dense prediction transformer on patches of any width, and any number of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from segmentation_models_pytorch.decoders.dpt.decoder import DPTDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence


class GridDecoder(DPTDecoder):  # type: ignore[misc]
    """smp's decoder for grids of patches that do not halve evenly: a coarse grid is fitted to the next finer one."""

    def forward(self, features: list[torch.Tensor], prefix_tokens: list[torch.Tensor | None]) -> torch.Tensor:
        """Return the fused features of ``(N, C, *grid)`` features, finest first, and their ``(N, P, C)`` tokens."""
        blocks = zip(self.projection_blocks, self.reassemble_blocks, features, prefix_tokens, strict=True)
        pyramid = [reassemble(project(feature, tokens)) for project, reassemble, feature, tokens in blocks]
        fused: torch.Tensor | None = None
        for fuse, feature in zip(self.fusion_blocks, reversed(pyramid), strict=True):
            if fused is not None and fused.shape[2:] != feature.shape[2:]:
                size = feature.shape[2:]
                fused = torch.nn.functional.interpolate(fused, size=size, mode="bilinear", align_corners=True)
            fused = fuse(feature, fused)
        assert fused is not None  # noqa: S101 - there is at least one stage
        return fused


def take_any_grid(model: Any, *, readout: str, intermediate_channels: Sequence[int], fusion_channels: int) -> None:
    """Give smp's DPT a decoder for any grid, in place.

    Features are reassembled as if patches had the nearest power of two as width (16 for 14), as Oquab et al. 2024
    (DINOv2, arXiv:2304.07193) do; the head enlarges by what is left, so that the output has the size of the input.
    """
    encoder = model.encoder
    stride = encoder.output_stride
    nominal = 2 ** round(math.log2(stride))
    model.decoder = GridDecoder(
        encoder_out_channels=encoder.out_channels,
        encoder_output_strides=[nominal] * len(encoder.out_channels),
        encoder_has_prefix_tokens=encoder.has_prefix_tokens,
        readout=readout,
        intermediate_channels=intermediate_channels,
        fusion_channels=fusion_channels,
    )
    model.segmentation_head.upsampling_factor = 2 * stride / nominal
    model.initialize()

"""A plain convolutional encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

_STAGES = 5


class ComponentClass(nn.Module):
    """Features at ``depth + 1`` scales; beyond ``output_stride`` convolutions are dilated instead of strided.

    ``out_channels`` and ``strides`` describe the features, finest first: decoders are built by them.

    Args:
        width: channels of the first feature; they double up to eight times as many.
        in_channels: channels of the image; any number, not only 3.
        depth: stages after the first, each of half the size; what the recipe sets, else what the architecture wants.
        output_stride: how much coarser than the image the last feature may be.
    """

    def __init__(self, *, width: int = 16, in_channels: int, depth: int | None = None, output_stride: int = 32) -> None:
        super().__init__()
        depth = depth or _STAGES
        self.strides = tuple(min(2**stage, output_stride) for stage in range(depth + 1))
        self.out_channels = [width * min(2**stage, 8) for stage in range(depth + 1)]
        stages = [_stage(in_channels, width, stride=1, dilation=1)]
        for stage in range(1, depth + 1):
            before, after = self.out_channels[stage - 1 : stage + 1]
            stride = self.strides[stage] // self.strides[stage - 1]
            stages.append(_stage(before, after, stride=stride, dilation=2**stage // self.strides[stage]))
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the features of an image (N, in_channels, H, W), finest first."""
        features = []
        for stage in self.stages:
            image = stage(image)
            features.append(image)
        return features


def _stage(before: int, after: int, *, stride: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )

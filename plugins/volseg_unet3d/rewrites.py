"""What is changed in a Swin UNETR before it is exported to ONNX, so that every input size keeps working.

MONAI makes numbers of sizes: how many windows of attention there are, how far they are shifted and what is masked is
fixed at the traced size. Here all of it is computed from the size at run time; the values are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

_MASKED = -100.0


def shifted_windows(network: nn.Module) -> nn.Module:
    """Replace the stages of the transformer, and instance norms, whose channels torch's exporter no longer knows."""
    from monai.networks.nets.swin_unetr import BasicLayer

    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, BasicLayer):
                setattr(module, name, AnySizeStage(child))
            elif isinstance(child, (nn.InstanceNorm2d, nn.InstanceNorm3d)):
                setattr(module, name, SpelledNorm(child))
    return network


class SpelledNorm(nn.Module):
    """Instance norm of (N, C, *S) by its formula."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.eps, self.weight, self.bias = norm.eps, norm.weight, norm.bias

    def forward(self, features: Tensor) -> Tensor:
        """Return features of mean 0 and variance 1 in each channel of each item."""
        axes = tuple(range(2, features.ndim))
        centred = features - features.mean(axes, keepdim=True)
        found = centred * torch.rsqrt(centred.square().mean(axes, keepdim=True) + self.eps)
        if self.weight is None:
            return found
        ones = (1,) * len(axes)
        return found * self.weight.reshape(-1, *ones) + self.bias.reshape(-1, *ones)


class AnySizeStage(nn.Module):
    """A stage of blocks (N, C, *S) whose windows follow the size of the features."""

    def __init__(self, stage: Any) -> None:
        super().__init__()
        self.blocks, self.downsample = stage.blocks, stage.downsample

    def forward(self, image: Tensor) -> Tensor:
        """Return (N, C', *S'): twice the channels and half the size where the stage merges."""
        axes = range(1, image.ndim - 1)
        features = image.permute(0, *(axis + 1 for axis in axes), 1)
        for block in self.blocks:
            features = features + _attended(block, features)
            features = features + block.forward_part2(features)
        if self.downsample is not None:
            features = self.downsample(features)
        return features.permute(0, image.ndim - 1, *axes)


class _Axis:
    """How windows lie along one axis: their edge and number, and which voxel each place of them shows.

    Windows are no longer than the axis, and those of an axis that is one window are not shifted. Places beyond the
    axis, by which the last window is filled up, show what is after its last voxel.
    """

    def __init__(self, size: Any, edge: int, shift: int) -> None:
        self.size = torch.as_tensor(size)
        self.edge = torch.minimum(self.size, torch.tensor(edge))
        self.count = torch.div(self.size + self.edge - 1, self.edge, rounding_mode="floor")
        self.shift = shift * (self.size > edge).to(torch.int64)
        self.padded = self.count * self.edge

    def places(self) -> Tensor:
        """Return the number of the voxel at each place of all windows, the axis' size where there is none."""
        voxels = torch.remainder(torch.arange(self.padded) + self.shift, self.padded)
        return torch.minimum(voxels, self.size)

    def voxels(self) -> Tensor:
        """Return the place of each voxel."""
        return torch.remainder(torch.arange(self.size) - self.shift, self.padded)

    def regions(self) -> Tensor:
        """Return a number for each place: only places with the same were neighbours before the shift."""
        places = torch.arange(self.padded)
        last, wrapped = places >= self.padded - self.edge, places >= self.padded - self.shift
        return last.to(torch.float32) + wrapped.to(torch.float32)


def _attended(block: Any, features: Tensor) -> Tensor:
    """Return what the attention of a block makes of features (N, *S, C)."""
    sizes = features.shape[1:-1]
    axes = [_Axis(*each) for each in zip(sizes, block.window_size, block.shift_size, strict=True)]
    shown = block.norm1(features)
    for number, axis in enumerate(axes, start=1):
        beyond = torch.zeros_like(shown.narrow(number, 0, 1))
        shown = torch.cat((shown, beyond), number).index_select(number, axis.places())
    mask = _mask(axes) if any(block.shift_size) else None
    found = _joined(block.attn(_parted(shown, axes), mask), axes, features.shape[0])
    for number, axis in enumerate(axes, start=1):
        found = found.index_select(number, axis.voxels())
    return found


def _mask(axes: Sequence[_Axis]) -> Tensor:
    """Return what is added to the attention of every window (number, voxels, voxels)."""
    regions = torch.zeros(())
    for axis in axes:
        regions = 3 * regions.unsqueeze(-1) + axis.regions()
    windows = _parted(regions.unsqueeze(0).unsqueeze(-1), axes).squeeze(-1)
    return _MASKED * (windows.unsqueeze(1) != windows.unsqueeze(2)).to(torch.float32)


def _parted(features: Tensor, axes: Sequence[_Axis]) -> Tensor:
    """Return features (N, *S, C) as windows (N x number, voxels, C)."""
    channels = features.shape[-1]
    split = features.reshape(features.shape[0], *(each for axis in axes for each in (axis.count, axis.edge)), channels)
    numbers, edges = range(1, 2 * len(axes), 2), range(2, 2 * len(axes) + 1, 2)
    voxels = axes[0].edge
    for axis in axes[1:]:
        voxels = voxels * axis.edge
    return split.permute(0, *numbers, *edges, 2 * len(axes) + 1).reshape(-1, voxels, channels)


def _joined(windows: Tensor, axes: Sequence[_Axis], batch: Any) -> Tensor:
    """Return windows (N x number, voxels, C) as features (N, *S, C)."""
    channels = windows.shape[-1]
    split = windows.reshape(batch, *(axis.count for axis in axes), *(axis.edge for axis in axes), channels)
    order = [each for number in range(1, len(axes) + 1) for each in (number, number + len(axes))]
    joined = split.permute(0, *order, 2 * len(axes) + 1)
    return joined.reshape(batch, *(axis.padded for axis in axes), channels)

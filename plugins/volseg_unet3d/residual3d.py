"""Residual networks of volumes as encoders.

They are MONAI's, with the names of MedicalNet's weights (Chen et al. 2019, arXiv:1904.00625). As there, shortcuts of
18 and 34 layers have no weights where the size changes; those of 10 and 50 are convolutions.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors
import torch
from monai.networks.nets.resnet import ResNet
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from volseg_core.api import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_BLOCKS = {10: [1, 1, 1, 1], 18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3]}
_BOTTLENECK = 50
_PADDED = (18, 34)
_WIDTHS = [64, 128, 256, 512]
_EXPANSION = 4
_STAGES = 5
_WHERE = "model.encoder.weights"
_STEM = "conv1.weight"
_log = logging.getLogger("volseg")


class PaddedShortcut(nn.Module):
    """Takes every second voxel of features (N, C, D, H, W) and adds ``more`` channels of zeros, as MedicalNet does."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.stride = (2, 2, 2)
        self.more = more

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features at half the size, of more channels."""
        z, y, x = self.stride
        return functional.pad(features[:, :, ::z, ::y, ::x], (0, 0, 0, 0, 0, 0, 0, self.more))


class ResidualEncoder(nn.Module):
    """Features of volumes ``(N, C, D, H, W)`` at strides 2, 4, ... of the plane, finest first."""

    def __init__(self, network: ResNet, depth: int, planar: int) -> None:
        super().__init__()
        self.conv1, self.bn1, self.act = network.conv1, network.bn1, network.act
        self.maxpool = network.maxpool if depth > 1 else nn.Identity()
        coarser = [network.layer1, network.layer2, network.layer3, network.layer4][: depth - 1]
        for number, layer in enumerate(coarser, 1):
            self.add_module(f"layer{number}", layer)
        halving = [self.conv1, self.maxpool, *coarser[1:]]
        for stage in halving[:planar]:
            _leave_z(stage)
        expansion = _EXPANSION if hasattr(network.layer1[0], "conv3") else 1
        self.out_channels = [_WIDTHS[0], *(width * expansion for width in _WIDTHS)][:depth]
        self.strides = tuple(2 ** (stage + 1) for stage in range(depth))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the features."""
        features = [self.act(self.bn1(self.conv1(image)))]
        coarse = self.maxpool(features[0])
        for number in range(1, len(self.strides)):
            coarse = getattr(self, f"layer{number}")(coarse)
            features.append(coarse)
        return features


def build_residual_encoder(
    *,
    in_channels: int,
    depth: int | None = None,
    output_stride: int = 32,
    layers: int = 18,
    weights: str = "none",
    planar: int = 0,
) -> ResidualEncoder:
    """Return a residual network (Hara et al. 2018, arXiv:1711.09577) that halves the size ``depth`` times.

    The first ``planar`` halvings leave z as it is.

    Raises:
        UsageError: it cannot keep the output stride. DataError: ``weights`` is no file of this network.
    """
    stages = depth or _STAGES
    if 2**stages > output_stride:
        raise UsageError("model.encoder", f"'residual-3d' has stride {2**stages} and keeps none of {output_stride}")
    network = ResNet(
        "bottleneck" if layers >= _BOTTLENECK else "basic",
        _BLOCKS[layers],
        _WIDTHS,
        n_input_channels=in_channels,
        conv1_t_stride=2,
        feed_forward=False,
        bias_downsample=False,
    )
    if layers in _PADDED:
        halving = (network.layer2, network.layer3, network.layer4)
        for layer, (before, after) in zip(halving, pairwise(_WIDTHS), strict=True):
            layer[0].downsample = PaddedShortcut(after - before)
    encoder = ResidualEncoder(network, stages, planar)
    if weights != "none":
        encoder.load_state_dict(fitted(_read(Path(weights).expanduser()), encoder.state_dict(), weights))
    return encoder


def fitted(source: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor], label: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a file under the names of an encoder; the first layer's are fitted to its channels.

    Channels share the sum over those of the file evenly, so that a grey image gives what it gave there.

    Raises:
        DataError: one is missing or has another shape.
    """
    named = {name.removeprefix("module."): tensor for name, tensor in source.items()}
    stem = named.get(_STEM)
    if stem is not None and stem.ndim == own[_STEM].ndim and stem.shape[1] != own[_STEM].shape[1]:
        channels = own[_STEM].shape[1]
        named[_STEM] = stem.sum(1, keepdim=True).expand(-1, channels, *stem.shape[2:]) / channels
        _log.info("%s: the first layer's weights were summed and shared by %d channels", label, channels)
    wrong = [name for name, value in own.items() if name not in named or named[name].shape != value.shape]
    if wrong:
        what = (
            f"{label!r} does not fit this encoder: {len(wrong)} of {len(own)} tensors differ, the first is {wrong[0]!r}"
        )
        raise DataError(_WHERE, what, "The file must come from a network of as many layers.")
    return {name: named[name] for name in own}


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        what = f"{str(path)!r} is no complete safetensors file ({error})"
        raise DataError(_WHERE, what, "Give a file of tensors, or weights: none.") from None
    return tensors


def _leave_z(stage: nn.Module) -> None:
    """Give the layers of a stage stride 1 along z."""
    for module in stage.modules():
        if isinstance(module, (nn.Conv3d, nn.MaxPool3d, PaddedShortcut)):
            stride = module.stride if isinstance(module.stride, tuple) else (module.stride,) * 3
            module.stride = (1, *stride[1:])

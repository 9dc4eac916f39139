"""Encoders of slices made into encoders of volumes: their kernels repeated along z (Carreira 2017, arXiv:1705.07750).

A volume that is the same in every plane gives the features of the slice, exactly: a kernel's planes sum up to the
kernel of the slice, and a volume goes on beyond its first and last plane as it is there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import nn
from torch.nn.functional import pad

from volseg_core.api import UsageError
from volseg_smp import encoders

if TYPE_CHECKING:
    from collections.abc import Iterator

Pair = tuple[int, int]
Halvings = dict[nn.Module, int]

_SIDE = 64
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)


class InflatedConvolution(nn.Module):
    """A convolution ``(N, C, D, H, W)`` whose kernel is that of a slice, repeated ``depth`` times and divided by it.

    Planes beyond the first and the last are copies of them; beyond the other edges there are zeros.
    """

    def __init__(self, flat: nn.Conv2d, depth: int, stride: int) -> None:
        super().__init__()
        kernel, strides = _pair(flat.kernel_size), _pair(flat.stride)
        dilation = _pair(flat.dilation)
        self.conv = nn.Conv3d(
            flat.in_channels,
            flat.out_channels,
            (depth, *kernel),
            (stride, *strides),
            dilation=(1, *dilation),
            groups=flat.groups,
            bias=flat.bias is not None,
        )
        with torch.no_grad():
            self.conv.weight.copy_(flat.weight.unsqueeze(2).expand_as(self.conv.weight) / depth)
            if flat.bias is not None and self.conv.bias is not None:
                self.conv.bias.copy_(flat.bias)
        edges = _same(kernel, strides, dilation) if isinstance(flat, Conv2dSame) else _even(flat)
        self.edges = [edge for pair in reversed(edges) for edge in pair] + [0, 0]
        self.planes = [0, 0, 0, 0, depth // 2, depth // 2]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the convolved features."""
        if any(self.planes):
            features = pad(features, self.planes, mode="replicate")
        result: torch.Tensor = self.conv(pad(features, self.edges) if any(self.edges) else features)
        return result


class InflatedNorm(nn.BatchNorm3d):
    """A batch norm with what follows it: timm keeps both in one module."""

    def __init__(self, flat: nn.BatchNorm2d) -> None:
        super().__init__(flat.num_features, flat.eps, flat.momentum, flat.affine, flat.track_running_stats)
        self.load_state_dict({name: value for name, value in flat.state_dict().items() if "." not in name})
        self.after = nn.Sequential(flat.drop, flat.act) if isinstance(flat, BatchNormAct2d) else nn.Identity()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the normalised features."""
        result: torch.Tensor = self.after(super().forward(features))
        return result


class InflatedEncoder(nn.Module):
    """Features of a volume, finest first, as those of a slice; ``strides`` are those in the plane."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.out_channels = list(encoder.out_channels)
        self.strides = tuple(encoder.strides)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of a volume ``(N, C, D, H, W)``."""
        return list(self.encoder(image))


def build(
    *,
    in_channels: int,
    depth: int | None = None,
    output_stride: int = 32,
    network: str = "tu-tf_efficientnet_lite0",
    weights: str = "imagenet",
    planar: int = 0,
) -> InflatedEncoder:
    """Return an encoder of slices as one of volumes, its weights loaded before it is inflated.

    The first ``planar`` halvings leave z as it is, and until then kernels are those of slices.

    Raises:
        UsageError: it has fewer stages, or no such weights, or cannot keep the output stride.
        DataError, PluginError, ResourceError: the weights cannot be had.
    """
    flat: Any = encoders.build(
        name=network, in_channels=in_channels, depth=depth, output_stride=output_stride, weights=weights
    )
    if output_stride < flat.strides[-1]:
        raise UsageError("model.encoder", f"an inflated {network!r} keeps no output stride of {output_stride}")
    _inflate(flat, _halvings(flat, in_channels), planar)
    return InflatedEncoder(flat)


def _halvings(flat: nn.Module, in_channels: int) -> Halvings:
    """Return how many times the input of each layer was halved."""
    found: Halvings = {}

    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        found[module] = round(math.log2(_SIDE / inputs[0].shape[-1]))

    handles = [module.register_forward_pre_hook(note) for module in _layers(flat)]
    training = flat.training
    with torch.no_grad():
        flat.eval()(torch.zeros(1, in_channels, _SIDE, _SIDE))
    flat.train(training)
    for handle in handles:
        handle.remove()
    return found


def _layers(flat: nn.Module) -> Iterator[nn.Module]:
    return (module for module in flat.modules() if isinstance(module, (nn.Conv2d, *_POOLS)))


def _inflate(module: nn.Module, halvings: Halvings, planar: int) -> None:
    """Replace the layers inside a module."""
    for name, child in module.named_children():
        flat = halvings.get(child, planar) < planar
        if isinstance(child, nn.Conv2d):
            size, stride = _pair(child.kernel_size)[0], _pair(child.stride)[0]
            setattr(module, name, InflatedConvolution(child, 1 if flat else size, 1 if flat else stride))
        elif isinstance(child, _POOLS):
            setattr(module, name, _pool(child, flat=flat))
        elif isinstance(child, nn.BatchNorm2d):
            setattr(module, name, InflatedNorm(child))
        else:
            _inflate(child, halvings, planar)


def _pool(pool: nn.MaxPool2d | nn.AvgPool2d, *, flat: bool) -> nn.Module:
    """Return a pooling of volumes, which leaves z as it is where ``flat``."""
    (size, *_), (stride, *_), (around, *_) = map(_pair, (pool.kernel_size, pool.stride, pool.padding))
    first = (1, 1, 0) if flat else (size, stride, around)
    kernel, steps, padding = ((along, *_pair(each)) for along, each in zip(first, (size, stride, around), strict=True))
    if isinstance(pool, nn.MaxPool2d):
        return nn.MaxPool3d(kernel, steps, padding, ceil_mode=pool.ceil_mode)
    return nn.AvgPool3d(kernel, steps, padding, ceil_mode=pool.ceil_mode, count_include_pad=pool.count_include_pad)


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _even(flat: nn.Conv2d) -> list[Pair]:
    """Return what is added before and behind each axis of a slice."""
    return [(each, each) for each in _pair(flat.padding)]


def _same(kernel: Pair, stride: Pair, dilation: Pair) -> list[Pair]:
    """Return the same for TensorFlow's SAME, at sizes that the stride divides."""
    totals = [max((size - 1) * step + 1 - jump, 0) for size, jump, step in zip(kernel, stride, dilation, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]

"""Networks of MONAI (Cardoso et al. 2022, arXiv:2211.02701): ``(N, in_channels, *S) -> (N, num_classes, *S)`` logits.

Parameters and their defaults are MONAI's, as far as it has some.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from monai.networks.nets import AttentionUnet, DynUNet, SegResNet, SwinUNETR, UNet, VNet
from torch import nn

from volseg_core.api import UsageError
from volseg_unet3d.inputs import check_input
from volseg_unet3d.layers import CONV
from volseg_unet3d.sizes import odd, per_level, product

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from volseg_unet3d.sizes import Size

_DIVISOR = 16
_VNET_CHANNELS = 16
_LEAST_STAGES = 3


def build_segresnet(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    init_filters: int = 8,
    blocks_down: Sequence[int] = (1, 2, 2, 4),
    blocks_up: Sequence[int] = (1, 1, 1),
    num_groups: int = 8,
    upsample_mode: str = "nontrainable",
    dropout_prob: float | None = None,
) -> nn.Module:
    """Return a SegResNet without its autoencoder (Myronenko 2018, arXiv:1810.11654).

    Raises:
        UsageError: there are more than 5 levels, not one block up for each but the coarsest, or the groups do not
            divide the channels.
    """
    if len(blocks_up) != len(blocks_down) - 1:
        what = f"{list(blocks_up)!r} has {len(blocks_up)} items for {len(blocks_down)} levels"
        raise UsageError("model.blocks_up", what, "Give one for each level but the coarsest.")
    check_factors("model.blocks_down", [(2,)] * (len(blocks_down) - 1))
    if init_filters % num_groups:
        what = f"{num_groups} groups do not divide {init_filters} channels"
        raise UsageError("model.num_groups", what, "Choose init_filters that are a multiple of it.")
    network: nn.Module = SegResNet(
        spatial_dims=dims,
        init_filters=init_filters,
        in_channels=in_channels,
        out_channels=num_classes,
        dropout_prob=dropout_prob,
        norm=("GROUP", {"num_groups": num_groups}),
        blocks_down=tuple(blocks_down),
        blocks_up=tuple(blocks_up),
        upsample_mode=upsample_mode,
    )
    return network


def build_swin_unetr(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    feature_size: int = 24,
    depths: Sequence[int] = (2, 2, 2, 2),
    num_heads: Sequence[int] = (3, 6, 12, 24),
    window_size: int = 7,
    norm_name: str = "instance",
    drop_rate: float = 0.0,
    attn_drop_rate: float = 0.0,
    dropout_path_rate: float = 0.0,
    use_v2: bool = False,
    use_checkpoint: bool = False,
) -> nn.Module:
    """Return a Swin UNETR (Hatamizadeh et al. 2022, arXiv:2201.01266).

    Raises:
        UsageError: ``feature_size`` is no multiple of 12, or the heads do not divide the channels of a stage.
    """
    if feature_size % 12:
        raise UsageError("model.feature_size", f"{feature_size} is no multiple of 12", "Choose 12, 24, 36 or 48.")
    channels = [feature_size * 2**stage for stage in range(len(num_heads))]
    for heads, width in zip(num_heads, channels, strict=True):
        if width % heads:
            what = f"{heads} heads do not divide the {width} channels of their stage"
            raise UsageError("model.num_heads", what, f"The stages have {channels} channels.")
    network = SwinUNETR(
        spatial_dims=dims,
        in_channels=in_channels,
        out_channels=num_classes,
        feature_size=feature_size,
        depths=tuple(depths),
        num_heads=tuple(num_heads),
        window_size=window_size,
        norm_name=norm_name,
        drop_rate=drop_rate,
        attn_drop_rate=attn_drop_rate,
        dropout_path_rate=dropout_path_rate,
        use_v2=use_v2,
        use_checkpoint=use_checkpoint,
    )
    return refusing_small(network, (32,) * dims, single=norm_name == "batch")


def build_vnet(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    act: str = "elu",
    dropout_prob_down: float = 0.5,
    dropout_prob_up: Sequence[float] = (0.5, 0.5),
    bias: bool = False,
) -> nn.Module:
    """Return a V-Net (Milletari et al. 2016, arXiv:1606.04797).

    It repeats its input to 16 channels; a 1x1 convolution makes 16 of a number of channels that does not divide it.
    """
    divides = _VNET_CHANNELS % in_channels == 0
    network = VNet(
        spatial_dims=dims,
        in_channels=in_channels if divides else _VNET_CHANNELS,
        out_channels=num_classes,
        act=(act, {"inplace": True}),
        dropout_prob_down=dropout_prob_down,
        dropout_prob_up=tuple(dropout_prob_up),
        dropout_dim=dims,
        bias=bias,
    )
    return network if divides else nn.Sequential(CONV[dims](in_channels, _VNET_CHANNELS, 1), network)


def build_attention_unet(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    channels: Sequence[int] = (32, 64, 128, 256),
    strides: Sequence[int] = (2, 2, 2),
    kernel_size: Any = 3,
    dropout: float = 0.0,
) -> nn.Module:
    """Return an Attention U-Net (Oktay et al. 2018, arXiv:1804.03999).

    Raises:
        UsageError: there is not one stride between each two levels, or an image must be a multiple of more than 16.
    """
    levels = _levels(channels, strides, kernel_size, dims)
    network: nn.Module = AttentionUnet(dims, in_channels, num_classes, **levels, dropout=dropout)
    return network


def build_monai_unet(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    channels: Sequence[int] = (16, 32, 64, 128),
    strides: Sequence[int] = (2, 2, 2),
    kernel_size: Any = 3,
    num_res_units: int = 2,
    norm: str = "instance",
    dropout: float = 0.0,
) -> nn.Module:
    """Return the U-Net of MONAI (Kerfoot et al. 2019, doi:10.1007/978-3-030-12029-0_40).

    Its first convolution strides already, so that little is computed at full resolution.

    Raises:
        UsageError: there is not one stride between each two levels, or an image must be a multiple of more than 16.
    """
    levels = _levels(channels, strides, kernel_size, dims)
    units = {"num_res_units": num_res_units, "norm": norm.upper(), "dropout": dropout}
    network = UNet(dims, in_channels, num_classes, **levels, **units)
    return refusing_small(network, (math.prod(strides),) * dims, single=norm == "batch")


def build_dynunet(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    filters: Sequence[int] = (32, 64, 128, 256, 320),
    kernel_size: Any = 3,
    strides: Any = 2,
    norm: str = "instance",
    res_block: bool = False,
    trans_bias: bool = False,
    dropout: float = 0.0,
) -> nn.Module:
    """Return MONAI's form of nnU-Net's network (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z).

    Raises:
        UsageError: there are fewer than 3 stages, or a kernel or a stride is no size.
    """
    stages = len(filters)
    if stages < _LEAST_STAGES:
        raise UsageError("model.filters", f"{list(filters)!r} has {stages} stages", "DynUNet needs 3 or more.")
    factors = per_level("strides", strides, dims, stages - 1)
    network = DynUNet(
        spatial_dims=dims,
        in_channels=in_channels,
        out_channels=num_classes,
        kernel_size=odd("kernel_size", per_level("kernel_size", kernel_size, dims, stages)),
        strides=[(1,) * dims, *factors],
        upsample_kernel_size=factors,
        filters=tuple(filters),
        dropout=dropout or None,
        norm_name=(norm.upper(), {"affine": True}),
        res_block=res_block,
        trans_bias=trans_bias,
    )
    return refusing_small(network, product(factors), single=norm == "batch")


def _levels(channels: Sequence[int], strides: Sequence[int], kernel_size: Any, dims: int) -> dict[str, Any]:
    """Return what U-Nets are told of their levels.

    Raises:
        UsageError: there is not one stride between each two levels, together they are too much, or the kernel is even.
    """
    if len(strides) != len(channels) - 1:
        what = f"{list(strides)!r} has {len(strides)} items for {len(channels)} levels"
        raise UsageError("model.strides", what, "Give one between each two levels.")
    check_factors("model.strides", [(stride,) for stride in strides])
    kernel = odd("kernel_size", per_level("kernel_size", kernel_size, dims, 1))[0]
    return {"channels": tuple(channels), "strides": tuple(strides), "kernel_size": kernel}


def check_factors(where: str, factors: Sequence[Size]) -> None:
    """Refuse levels that need images of multiples of more than 16 voxels, or not of a divisor of it.

    Raises:
        UsageError: that is so.
    """
    total = math.lcm(*product(factors))
    if _DIVISOR % total:
        what = f"images must be multiples of {total} voxels for these levels, which does not divide {_DIVISOR}"
        raise UsageError(where, what, "Use fewer levels, or strides of 1 and 2.")


def refusing_small(network: nn.Module, factors: Size, *, single: bool) -> nn.Module:
    """Return the network with `check_input` before it."""

    def check(_: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        check_input(inputs[0], factors, single=single)

    network.register_forward_pre_hook(check)
    return network

"""Networks of segmentation-models-pytorch: ``(N, in_channels, H, W) -> (N, num_classes, H, W)`` logits.

The encoder's depth is the recipe's ``model.encoder.depth``. Lists of channels are cut to it; what upsamples the
output follows it, so that the output always has the size of the input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.api import UsageError
from volseg_smp.assembly import Assembly, per_stage
from volseg_smp.dpt import take_any_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.nn import Module

    from volseg_core.api import EncoderChoice

_FROM_THREE = (3, 5, 5)
_INDICES = "model.encoder_output_indices"


def build_unet(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
    decoder_use_norm: str = "batchnorm",
    decoder_attention_type: str | None = None,
    decoder_interpolation: str = "nearest",
) -> Module:
    """Return a U-Net (Ronneberger et al. 2015, arXiv:1505.04597)."""
    network = Assembly("unet", encoder, in_channels, num_classes)
    return network.build(
        decoder_channels=per_stage(decoder_channels, network.depth),
        decoder_use_norm=decoder_use_norm,
        decoder_attention_type=decoder_attention_type,
        decoder_interpolation=decoder_interpolation,
    )


def build_unetplusplus(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
    decoder_use_norm: str = "batchnorm",
    decoder_attention_type: str | None = None,
    decoder_interpolation: str = "nearest",
) -> Module:
    """Return a U-Net++ (Zhou et al. 2018, arXiv:1807.10165)."""
    network = Assembly("unetplusplus", encoder, in_channels, num_classes, stages=(2, 5, 5))
    return network.build(
        decoder_channels=per_stage(decoder_channels, network.depth),
        decoder_use_norm=decoder_use_norm,
        decoder_attention_type=decoder_attention_type,
        decoder_interpolation=decoder_interpolation,
    )


def build_manet(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
    decoder_use_norm: str = "batchnorm",
    decoder_pab_channels: int = 64,
    decoder_interpolation: str = "nearest",
) -> Module:
    """Return a MA-Net (Fan et al. 2020, doi:10.1109/ACCESS.2020.3025372)."""
    network = Assembly("manet", encoder, in_channels, num_classes)
    return network.build(
        decoder_channels=per_stage(decoder_channels, network.depth),
        decoder_use_norm=decoder_use_norm,
        decoder_pab_channels=decoder_pab_channels,
        decoder_interpolation=decoder_interpolation,
    )


def build_linknet(
    *, in_channels: int, num_classes: int, encoder: EncoderChoice, decoder_use_norm: str = "batchnorm"
) -> Module:
    """Return a LinkNet (Chaurasia and Culurciello 2017, arXiv:1707.03718)."""
    return Assembly("linknet", encoder, in_channels, num_classes).build(decoder_use_norm=decoder_use_norm)


def build_fpn(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    decoder_pyramid_channels: int = 256,
    decoder_segmentation_channels: int = 128,
    decoder_merge_policy: str = "add",
    decoder_dropout: float = 0.2,
    decoder_interpolation: str = "nearest",
) -> Module:
    """Return a feature pyramid network (Kirillov et al. 2019, arXiv:1901.02446).

    The decoder works on the four coarsest stages and its output is as fine as the finest of them.
    """
    network = Assembly("fpn", encoder, in_channels, num_classes, stages=_FROM_THREE)
    finest = network.depth - 3
    return network.build(
        finest=finest,
        upsampling=2**finest,
        decoder_pyramid_channels=decoder_pyramid_channels,
        decoder_segmentation_channels=decoder_segmentation_channels,
        decoder_merge_policy=decoder_merge_policy,
        decoder_dropout=decoder_dropout,
        decoder_interpolation=decoder_interpolation,
    )


def build_pspnet(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    psp_out_channels: int = 512,
    decoder_use_norm: str = "batchnorm",
    psp_dropout: float = 0.2,
) -> Module:
    """Return a pyramid scene parsing network (Zhao et al. 2017, arXiv:1612.01105), three stages deep by default."""
    network = Assembly("pspnet", encoder, in_channels, num_classes, stages=(1, 3, 5))
    return network.build(
        levels=4,
        upsampling=2**network.depth,
        psp_out_channels=psp_out_channels,
        decoder_use_norm=decoder_use_norm,
        psp_dropout=psp_dropout,
    )


def build_deeplabv3(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    encoder_output_stride: int = 8,
    decoder_channels: int = 256,
    decoder_atrous_rates: Sequence[int] = (12, 24, 36),
    decoder_aspp_separable: bool = False,
    decoder_aspp_dropout: float = 0.5,
) -> Module:
    """Return a DeepLabV3 (Chen et al. 2017, arXiv:1706.05587); training needs batches of two or more."""
    network = Assembly("deeplabv3", encoder, in_channels, num_classes)
    return network.build(
        output_stride=encoder_output_stride,
        encoder_output_stride=encoder_output_stride,
        decoder_channels=decoder_channels,
        decoder_atrous_rates=tuple(decoder_atrous_rates),
        decoder_aspp_separable=decoder_aspp_separable,
        decoder_aspp_dropout=decoder_aspp_dropout,
    )


def build_deeplabv3plus(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    encoder_output_stride: int = 16,
    decoder_channels: int = 256,
    decoder_atrous_rates: Sequence[int] = (12, 24, 36),
    decoder_aspp_separable: bool = True,
    decoder_aspp_dropout: float = 0.5,
) -> Module:
    """Return a DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611); training needs batches of two or more."""
    network = Assembly("deeplabv3plus", encoder, in_channels, num_classes, stages=_FROM_THREE)
    return network.build(
        output_stride=encoder_output_stride,
        encoder_output_stride=encoder_output_stride,
        decoder_channels=decoder_channels,
        decoder_atrous_rates=tuple(decoder_atrous_rates),
        decoder_aspp_separable=decoder_aspp_separable,
        decoder_aspp_dropout=decoder_aspp_dropout,
    )


def build_pan(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    encoder_output_stride: int = 16,
    decoder_channels: int = 32,
    decoder_interpolation: str = "bilinear",
) -> Module:
    """Return a pyramid attention network (Li et al. 2018, arXiv:1805.10180)."""
    return Assembly("pan", encoder, in_channels, num_classes, stages=_FROM_THREE).build(
        output_stride=encoder_output_stride,
        encoder_output_stride=encoder_output_stride,
        decoder_channels=decoder_channels,
        decoder_interpolation=decoder_interpolation,
    )


def build_upernet(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    decoder_channels: int = 256,
    decoder_use_norm: str = "batchnorm",
) -> Module:
    """Return a UPerNet (Xiao et al. 2018, arXiv:1807.10221)."""
    network = Assembly("upernet", encoder, in_channels, num_classes, stages=_FROM_THREE)
    return network.build(decoder_channels=decoder_channels, decoder_use_norm=decoder_use_norm)


def build_segformer(
    *, in_channels: int, num_classes: int, encoder: EncoderChoice, decoder_segmentation_channels: int = 256
) -> Module:
    """Return a SegFormer (Xie et al. 2021, arXiv:2105.15203)."""
    network = Assembly("segformer", encoder, in_channels, num_classes, stages=_FROM_THREE)
    return network.build(decoder_segmentation_channels=decoder_segmentation_channels)


def build_dpt(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    encoder_output_indices: Sequence[int] | None = None,
    decoder_readout: str = "cat",
    decoder_intermediate_channels: Sequence[int] = (256, 512, 1024, 1024),
    decoder_fusion_channels: int = 256,
) -> Module:
    """Return a dense prediction transformer (Ranftl et al. 2021, arXiv:2103.13413) on one of timm's ViTs.

    Raises:
        UsageError: when there is not one output index per stage, or the encoder is no vision transformer.
    """
    network = Assembly("dpt", encoder, in_channels, num_classes, stages=(1, 4, 4))
    if encoder_output_indices is not None and len(encoder_output_indices) != network.depth:
        what = f"{list(encoder_output_indices)!r} has {len(encoder_output_indices)} items for depth {network.depth}"
        raise UsageError(_INDICES, what, "Give one block per stage, or set model.encoder.depth.")
    channels = per_stage(decoder_intermediate_channels, network.depth, coarsest_first=False)
    model = network.build(
        encoder_output_indices=None if encoder_output_indices is None else list(encoder_output_indices),
        decoder_readout=decoder_readout,
        decoder_intermediate_channels=channels,
        decoder_fusion_channels=decoder_fusion_channels,
    )
    take_any_grid(
        model, readout=decoder_readout, intermediate_channels=channels, fusion_channels=decoder_fusion_channels
    )
    return model

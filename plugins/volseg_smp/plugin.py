"""Architectures and encoders of segmentation-models-pytorch 0.6, described without importing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.api import Architecture, Encoder, Param, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "area", "nearest-exact")
_NORM = Param("choice", "batchnorm", "Normalisation in the decoder.", choices=("batchnorm", "instancenorm", "identity"))
_ATTENTION = Param("choice?", None, "Attention in the decoder.", choices=("scse",))
_NEAREST = Param("choice", "nearest", "How the decoder enlarges features.", choices=_INTERPOLATIONS)
_BILINEAR = Param("choice", "bilinear", "How the decoder enlarges features.", choices=_INTERPOLATIONS)
_STAGES = Param(
    "list[int]",
    (256, 128, 64, 32, 16),
    "Channels of the decoder's stages, coarsest first; of more than the encoder's depth the last ones are used.",
    min=1,
)
_POOLING = {"export_rewrites": "volseg_smp.rewrites:pooling"}
_RATES = Param("list[int]", (12, 24, 36), "Dilation rates of the pyramid.", min=1, length=3)
_DROPOUT = Param("float", 0.5, "Dropout after the pyramid.", min=0, max=1)


def _channels(default: int, what: str) -> Param:
    return Param("int", default, f"Channels of {what}.", min=1)


def _architecture(name: str, summary: str, citation: str, params: Mapping[str, Param], **special: Any) -> Architecture:
    """Describe a network of smp.

    Every input size that is a multiple of 32 works for every depth and encoder (`unet` itself takes any, encoders
    with windows or patches do not); `dpt` takes any that the encoder's patches fill.
    """
    values: dict[str, Any] = {"divisor": 32, "min_size": 32} | special
    return Architecture(
        name=name,
        target=f"volseg_smp.architectures:build_{name}",
        summary=summary,
        params=params,
        wants=("in_channels", "num_classes", "encoder"),
        dims=(2,),
        needs=("segmentation-models-pytorch>=0.6,<0.7",),
        extra="train",
        licence="MIT",
        citation=citation,
        encoder="required",
        **values,
    )


@hookimpl
def volseg_architectures() -> Iterable[Architecture]:
    """Return the decoders of smp."""
    return [*_with_skips(), *_with_pyramids(), *_with_dilation()]


def _with_skips() -> list[Architecture]:
    stages = {
        "decoder_channels": _STAGES,
        "decoder_use_norm": _NORM,
        "decoder_attention_type": _ATTENTION,
        "decoder_interpolation": _NEAREST,
    }
    attention = {
        "decoder_channels": _STAGES,
        "decoder_use_norm": _NORM,
        "decoder_pab_channels": _channels(64, "the position attention"),
        "decoder_interpolation": _NEAREST,
    }
    return [
        _architecture("unet", "U-Net: skip connections at every stage", "arXiv:1505.04597", stages),
        _architecture("unetplusplus", "U-Net++: nested skip connections", "arXiv:1807.10165", stages),
        _architecture(
            "manet", "MA-Net: U-Net with multi-scale attention", "doi:10.1109/ACCESS.2020.3025372", attention
        ),
        _architecture(
            "linknet", "LinkNet: skip connections that add, small", "arXiv:1707.03718", {"decoder_use_norm": _NORM}
        ),
    ]


def _with_pyramids() -> list[Architecture]:
    fpn = {
        "decoder_pyramid_channels": _channels(256, "the pyramid"),
        "decoder_segmentation_channels": _channels(128, "the segmentation branches"),
        "decoder_merge_policy": Param("choice", "add", "How the branches are joined.", choices=("add", "cat")),
        "decoder_dropout": Param("float", 0.2, "Dropout before the output.", min=0, max=1),
        "decoder_interpolation": _NEAREST,
    }
    pspnet = {
        "psp_out_channels": _channels(512, "the pyramid's output"),
        "decoder_use_norm": _NORM,
        "psp_dropout": Param("float", 0.2, "Dropout in the pyramid.", min=0, max=1),
    }
    upernet = {"decoder_channels": _channels(256, "the decoder"), "decoder_use_norm": _NORM}
    segformer = {"decoder_segmentation_channels": _channels(256, "the decoder")}
    return [
        _architecture("fpn", "Feature pyramid network, panoptic form", "arXiv:1901.02446", fpn),
        _architecture(
            "pspnet", "Pyramid scene parsing, three stages by default", "arXiv:1612.01105", pspnet, **_POOLING
        ),
        _architecture(
            "upernet", "UPerNet: pyramid pooling and a feature pyramid", "arXiv:1807.10221", upernet, **_POOLING
        ),
        _architecture("segformer", "SegFormer's decoder of linear layers", "arXiv:2105.15203", segformer),
        _architecture(
            "dpt", "Dense prediction transformer, on timm's ViTs only", "arXiv:2103.13413", _dpt(), divisor=1
        ),
    ]


def _dpt() -> dict[str, Param]:
    return {
        "encoder_output_indices": Param("list[int]?", None, "Blocks that are used; null: evenly spread."),
        "decoder_readout": Param("choice", "cat", "What becomes of the class token.", choices=("cat", "add", "ignore")),
        "decoder_intermediate_channels": Param(
            "list[int]", (256, 512, 1024, 1024), "Channels of the decoder's stages, finest first.", min=1
        ),
        "decoder_fusion_channels": _channels(256, "the fused features"),
    }


def _with_dilation() -> list[Architecture]:
    def deeplab(stride: int, separable: bool) -> dict[str, Param]:
        return {
            "encoder_output_stride": Param("choice", stride, "Stride of the coarsest features.", choices=(8, 16)),
            "decoder_channels": _channels(256, "the decoder"),
            "decoder_atrous_rates": _RATES,
            "decoder_aspp_separable": Param("bool", separable, "Separable convolutions in the pyramid."),
            "decoder_aspp_dropout": _DROPOUT,
        }

    pan = {
        "encoder_output_stride": Param("choice", 16, "Stride of the coarsest features.", choices=(16, 32)),
        "decoder_channels": _channels(32, "the decoder"),
        "decoder_interpolation": _BILINEAR,
    }
    return [
        _architecture(
            "deeplabv3", "DeepLabV3: dilated pyramid (batches of 2 or more)", "arXiv:1706.05587", deeplab(8, False)
        ),
        _architecture(
            "deeplabv3plus", "DeepLabV3+: with a decoder (batches of 2 or more)", "arXiv:1802.02611", deeplab(16, True)
        ),
        _architecture("pan", "Pyramid attention, inputs from 128", "arXiv:1805.10180", pan, min_size=128),
    ]


_DEPTH = 5
INFLATABLE = (
    "tu-tf_efficientnet_lite0",
    "tu-resnet10t",
    "resnet18",
    "resnet34",
    "resnet50",
    "densenet121",
    "mobilenet_v2",
)
"""Encoders that are the same in three dimensions: convolutions, batch norms and poolings alone."""


def _inflated() -> Encoder:
    return Encoder(
        name="inflated",
        target="volseg_smp.inflated:build",
        summary="An encoder of slices for volumes: its kernels, and their ImageNet weights, repeated along z",
        params={
            "network": Param("choice", INFLATABLE[0], "The encoder of slices.", choices=INFLATABLE),
            "weights": Param(
                "str", "imagenet", "Its pretrained weights: none, imagenet, another name, or a file PATH.safetensors."
            ),
            "depth": Param(
                "int?", None, "Stages, each of half the size; null: as many as the architecture wants.", min=1, max=5
            ),
            "planar": Param(
                "int", 0, "Halvings, from the first on, that leave z as it is: for thick sections.", min=0, max=5
            ),
        },
        wants=("in_channels", "depth", "output_stride"),
        dims=(3,),
        needs=("segmentation-models-pytorch>=0.6,<0.7",),
        extra="train",
        licence="Apache-2.0",
        citation="arXiv:1705.07750",
        strides=(1, 2, 4, 8, 16, 32),
        sizes="volseg_smp.plugin:inflated_sizes",
    )


def inflated_sizes(params: Mapping[str, Any], dims: int) -> list[tuple[int, int]]:
    """Return divisor and least size along each axis: multiples of the stride, of which planar halvings spare z."""
    depth = params["depth"] or _DEPTH
    return [(2 ** max(depth - params["planar"], 0), 1), *[(2**depth, 1)] * (dims - 1)]


@hookimpl
def volseg_encoders() -> Iterable[Encoder]:
    """Return the encoders of smp and timm, and those inflated to volumes."""
    from volseg_smp.table import descriptors

    return [*descriptors(), _inflated()]

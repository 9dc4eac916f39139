"""Networks that need no encoder, described without importing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.api import Architecture, Encoder, Param, hookimpl
from volseg_unet3d.monai_described import monai_networks

if TYPE_CHECKING:
    from collections.abc import Iterable

_CICEK = "arXiv:1606.06650"
_LEE = "arXiv:1706.00120"
_CONTEXT = ("in_channels", "num_classes", "dims")
_LINEAR = {2: "bilinear", 3: "trilinear"}
_ORDER = (
    "Letters around each convolution: c convolution, g group norm, b batch norm, r ReLU, l leaky ReLU, e ELU, "
    "d dropout, D dropout of channels. Group norm takes its statistics from the window, batch norm from training."
)
_KERNEL = "Kernel, odd: a number, a list per axis, or a list of lists per {}."
_FACTOR = "{}: a number, a list per axis as [1, 2, 2], or a list of lists, one between each two {}."
_JOINING = Param("choice", "sum", "How fine and enlarged features are joined.", choices=("sum", "concat"))


@hookimpl
def volseg_architectures() -> Iterable[Architecture]:
    """Return the U-Nets of pytorch-3dunet, the stacked hourglass, nnU-Net's network and adapters to MONAI."""
    return [*_unets(), *_residual_unets(), _encoder_unet(), *_hourglasses(), _nnunet(), *monai_networks()]


@hookimpl
def volseg_encoders() -> list[Encoder]:
    """Return the encoders of volumes."""
    return [
        Encoder(
            name="residual-3d",
            target="volseg_unet3d.residual3d:build_residual_encoder",
            summary="Residual network of volumes with 10, 18, 34 or 50 layers",
            params={
                "layers": Param("choice", 18, "Layers; 50 has bottlenecks.", choices=(10, 18, 34, 50)),
                "weights": Param("str", "none", "none, or a file PATH.safetensors with the names of MedicalNet."),
                "depth": Param("int?", None, "Stages, each of half the size; null: as many as wanted.", min=1, max=5),
                "planar": Param(
                    "int", 0, "Halvings, from the first on, that leave z as it is: for thick sections.", min=0, max=5
                ),
            },
            wants=("in_channels", "depth", "output_stride"),
            dims=(3,),
            needs=("monai>=1.5",),
            extra="monai",
            licence="Apache-2.0",
            citation="arXiv:1711.09577",
            strides=(2, 4, 8, 16, 32),
            sizes="volseg_unet3d.sizes:encoder_sizes",
        )
    ]


def _unets() -> list[Architecture]:
    return [
        Architecture(
            name=f"unet{dims}d",
            target="volseg_unet3d.unet:build_unet",
            summary=f"U-Net of double convolutions in {dims}D, without an encoder of its own",
            params=_sizes(4)
            | {
                "conv_upscale": Param(
                    "choice", 2, "By how much the second convolution of a level widens the first.", choices=(1, 2)
                ),
                "upsample": _upsample("nearest", dims),
                "dropout_prob": _probability("the letters d and D", 0.1),
            },
            wants=_CONTEXT,
            dims=(dims,),
            sizes="volseg_unet3d.sizes:unet_sizes",
            licence="Apache-2.0",
            citation=_CICEK,
        )
        for dims in (3, 2)
    ]


def _residual_unets() -> list[Architecture]:
    return [
        Architecture(
            name=name,
            target=f"volseg_unet3d.unet:{builder}",
            summary=summary,
            params=_sizes(5)
            | {
                "upsample": _upsample("deconv", dims),
                "joining": _JOINING,
                "dropout_prob": _probability("the letters d and D", 0.1),
            },
            wants=_CONTEXT,
            dims=(dims,),
            sizes="volseg_unet3d.sizes:residual_sizes",
            licence="Apache-2.0",
            citation=citation,
        )
        for name, builder, dims, summary, citation in (
            ("residual-unet3d", "build_residual_unet", 3, "U-Net of residual blocks in 3D", _LEE),
            (
                "residual-unet-se3d",
                "build_residual_unet_se",
                3,
                "U-Net of residual blocks with squeeze and excitation in 3D",
                "arXiv:1803.02579",
            ),
            ("residual-unet2d", "build_residual_unet", 2, "U-Net of residual blocks in 2D", _LEE),
        )
    ]


def _encoder_unet() -> Architecture:
    return Architecture(
        name="encoder-unet3d",
        target="volseg_unet3d.encoder_unet:build_encoder_unet",
        summary="U-Net in 3D on an encoder: inflated ImageNet weights, or a residual network",
        params={
            "decoder_channels": Param(
                "list[int]",
                (256, 128, 64, 32, 16),
                "Channels of the way up, coarsest first; the last ones count.",
                min=1,
            ),
            "layer_order": Param("str", "cbr", _ORDER),
            "num_groups": Param("int", 8, "Groups of a group norm.", min=1),
            "upsample": Param(
                "choice", "nearest", "How coarse features are enlarged.", choices=("nearest", "trilinear")
            ),
            "dropout_prob": _probability("the letters d and D", 0.1),
        },
        wants=("in_channels", "num_classes", "encoder"),
        dims=(3,),
        encoder="required",
        divisor=1,
        min_size=1,
        licence="Apache-2.0",
        citation=_CICEK,
    )


def _hourglasses() -> list[Architecture]:
    body = {
        "depth": Param("int", 4, "Levels.", min=1, max=8),
        "start_channels": Param("int", 16, "Channels of the finest level; they double from level to level.", min=1),
        "conv_kernel_size": Param("any", 3, "Kernel, odd: a number, or a list per axis."),
        "batchnorm": Param("bool", True, "Batch norm after each ReLU."),
        "resblocks": Param("bool", False, "Residual blocks."),
    }
    stacks = {"num_stacks": Param("int", 2, "Hourglasses in a row.", min=1)}
    common: dict[str, Any] = {"wants": _CONTEXT, "divisor": 1, "min_size": 8, "licence": "Apache-2.0"}
    return [
        Architecture(
            name="classic-unet",
            target="volseg_unet3d.classic:build_classic_unet",
            summary="U-Net with batch norm after ReLU and transposed convolutions",
            params=body,
            citation="arXiv:1505.04597",
            **common,
        ),
        Architecture(
            name="stacked-hourglass",
            target="volseg_unet3d.hourglass:build_stacked_hourglass",
            summary="U-Nets in a row, each of which refines the result of the one before",
            params=stacks | body,
            aliases=("hourglass",),
            citation="arXiv:1603.06937",
            **common,
        ),
    ]


def _nnunet() -> Architecture:
    return Architecture(
        name="nnunet",
        target="volseg_unet3d.nnunet:build_nnunet",
        summary="nnU-Net's network: strided convolutions and instance norm, or a residual encoder",
        params={
            "stages": Param("int", 5, "Resolutions.", min=2, max=8),
            "width": Param("int", 32, "Channels of the finest stage; they double from stage to stage.", min=1),
            "max_width": Param("int?", None, "Most channels of a stage; null: 320 in 3D, 512 in 2D.", min=1),
            "kernel_size": Param("any", 3, _KERNEL.format("stage")),
            "strides": Param("any", 2, _FACTOR.format("Stride", "stages")),
            "stem": Param(
                "any", 1, "Stride of a first convolution: 2 keeps full resolution out of all stages, quick on a CPU."
            ),
            "residual": Param("bool", False, "Residual blocks in the encoder."),
            "blocks": Param(
                "list[int]?", None, "Blocks of each stage; null: 2, or 1, 3, 4, 6, 6, ... residual ones.", min=1
            ),
            "decoder_blocks": Param(
                "int?", None, "Convolutions of each stage of the decoder; null: 2, or 1 where residual.", min=1
            ),
            "norm": Param(
                "choice",
                "instance",
                "Normalisation; batch alone does not depend on the window.",
                choices=("instance", "batch", "group"),
            ),
            "dropout": _probability("each convolution", 0.0),
            "deep_supervision": Param(
                "bool", False, "Train on coarser logits too, each half as much as the finer one; from 4 stages on."
            ),
        },
        wants=_CONTEXT,
        sizes="volseg_unet3d.sizes:nnunet_sizes",
        licence="Apache-2.0",
        citation="doi:10.1038/s41592-020-01008-z",
    )


def _sizes(levels: int) -> dict[str, Param]:
    return {
        "f_maps": Param("any", 64, "Channels of the levels: a list, or a number that doubles from level to level."),
        "num_levels": Param("int?", None, f"Levels; null: {levels}, or those of f_maps.", min=2, max=8),
        "layer_order": Param("str", "gcr", _ORDER),
        "num_groups": Param(
            "int", 8, "Groups of a group norm, fewer where the channels are no multiple; 1 for fewer channels.", min=1
        ),
        "conv_kernel_size": Param("any", 3, _KERNEL.format("level")),
        "pool_kernel_size": Param("any", 2, _FACTOR.format("Pooling", "levels")),
    }


def _upsample(default: str, dims: int) -> Param:
    kinds = ("nearest", _LINEAR[dims], "deconv")
    return Param(
        "choice", default, "How coarse features are enlarged; deconv is a transposed convolution.", choices=kinds
    )


def _probability(what: str, default: float) -> Param:
    return Param("float", default, f"Probability of dropout, for {what}.", min=0, max=1)

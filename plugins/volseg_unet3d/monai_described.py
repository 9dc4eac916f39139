"""Networks of MONAI, described without importing it."""

from __future__ import annotations

from typing import Any

from volseg_core.api import Architecture, Param

_MODULE = "volseg_unet3d.monai_networks"
_SMALL: dict[str, Any] = {"divisor": 16, "min_size": 16}
_KERNEL = "Kernel, odd: a number, or a list per axis{}."


def monai_networks() -> list[Architecture]:
    """Return SegResNet, Swin UNETR, UNETR, V-Net, Attention U-Net, DynUNet and MONAI's own U-Net."""
    return [_segresnet(), _swin_unetr(), _unetr(), _vnet(), _attention_unet(), _dynunet(), _unet()]


def _network(
    name: str, summary: str, citation: str, params: dict[str, Param], module: str = _MODULE, **special: Any
) -> Architecture:
    return Architecture(
        name=name,
        target=f"{module}:build_{name.replace('-', '_')}",
        summary=f"{summary}, by MONAI",
        params=params,
        wants=("in_channels", "num_classes", "dims"),
        needs=("monai>=1.5", "einops>=0.7"),
        extra="monai",
        licence="Apache-2.0",
        citation=citation,
        **special,
    )


def _segresnet() -> Architecture:
    params = {
        "init_filters": Param("int", 8, "Channels of the finest level; they double from level to level.", min=1),
        "blocks_down": Param("list[int]", (1, 2, 2, 4), "Residual blocks of each level down, at most 5 levels.", min=1),
        "blocks_up": Param("list[int]", (1, 1, 1), "Residual blocks of each level up, coarsest first.", min=1),
        "num_groups": Param("int", 8, "Groups of the group norms, which divide init_filters.", min=1),
        "upsample_mode": Param(
            "choice",
            "nontrainable",
            "How features are enlarged: linearly, or by a layer that learns it.",
            choices=("nontrainable", "deconv", "pixelshuffle"),
        ),
        "dropout_prob": Param("float?", None, "Probability of dropout after the first layer.", min=0, max=1),
    }
    return _network("segresnet", "SegResNet: residual blocks, one way up", "arXiv:1810.11654", params, **_SMALL)


def _swin_unetr() -> Architecture:
    params = {
        "feature_size": Param("int", 24, "Channels of the first stage, a multiple of 12.", min=12),
        "depths": Param("list[int]", (2, 2, 2, 2), "Transformer blocks of each stage.", min=1, length=4),
        "num_heads": Param("list[int]", (3, 6, 12, 24), "Heads of attention in each stage.", min=1, length=4),
        "window_size": Param("int", 7, "Patches along each side of a window of attention.", min=1),
        "norm_name": Param("choice", "instance", "Normalisation of the convolutions.", choices=("instance", "batch")),
        "drop_rate": _probability("features"),
        "attn_drop_rate": _probability("attention"),
        "dropout_path_rate": _probability("whole blocks"),
        "use_v2": Param("bool", False, "A residual convolution before each stage."),
        "use_checkpoint": Param("bool", False, "Less memory in training for more time."),
    }
    return _network(
        "swin-unetr",
        "Swin UNETR: shifted windows of attention, a decoder of convolutions",
        "arXiv:2201.01266",
        params,
        divisor=32,
        min_size=64,
        export_rewrites="volseg_unet3d.rewrites:shifted_windows",
    )


def _unetr() -> Architecture:
    params = {
        "img_size": Param(
            "list[int]?",
            None,
            "Size that has position embeddings of its own, others interpolate them; null: 96 along each axis.",
            min=16,
        ),
        "feature_size": Param("int", 16, "Channels of the finest convolutions.", min=1),
        "hidden_size": Param("int", 768, "Length of a token.", min=1),
        "mlp_dim": Param("int", 3072, "Width of the perceptrons.", min=1),
        "num_heads": Param("int", 12, "Heads of attention, which divide hidden_size.", min=1),
        "norm_name": Param("choice", "instance", "Normalisation of the convolutions.", choices=("instance", "batch")),
        "dropout_rate": _probability("tokens"),
    }
    return _network(
        "unetr",
        "UNETR: a transformer on patches of 16 voxels, a decoder of convolutions",
        "arXiv:2103.10504",
        params,
        module="volseg_unet3d.unetr",
        divisor=16,
        min_size=32,
    )


def _vnet() -> Architecture:
    params = {
        "act": Param("choice", "elu", "Activation.", choices=("elu", "relu", "leakyrelu")),
        "dropout_prob_down": _probability("the way down", 0.5),
        "dropout_prob_up": Param(
            "list[float]", (0.5, 0.5), "Probability of dropout on the way up: features, skips.", min=0, max=1, length=2
        ),
        "bias": Param("bool", False, "Biases of convolutions before batch norm."),
    }
    return _network("vnet", "V-Net: residual levels of kernels of 5 voxels", "arXiv:1606.04797", params, **_SMALL)


def _attention_unet() -> Architecture:
    params = {
        "channels": Param("list[int]", (32, 64, 128, 256), "Channels of each level.", min=1),
        "strides": Param("list[int]", (2, 2, 2), "Strides between the levels; together at most 16.", min=1),
        "kernel_size": Param("any", 3, _KERNEL.format("")),
        "dropout": _probability("features"),
    }
    return _network("attention-unet", "U-Net whose skips are gated by attention", "arXiv:1804.03999", params, **_SMALL)


def _unet() -> Architecture:
    params = {
        "channels": Param("list[int]", (16, 32, 64, 128), "Channels of each level.", min=1),
        "strides": Param("list[int]", (2, 2, 2), "Strides between the levels; together at most 16.", min=1),
        "kernel_size": Param("any", 3, _KERNEL.format("")),
        "num_res_units": Param("int", 2, "Convolutions of each residual unit; 0: plain ones.", min=0),
        "norm": Param("choice", "instance", "Normalisation.", choices=("instance", "batch")),
        "dropout": _probability("features"),
    }
    summary = "U-Net of residual units whose first convolution strides: quick on a CPU"
    citation = "doi:10.1007/978-3-030-12029-0_40"
    return _network("monai-unet", summary, citation, params, divisor=16, min_size=32)


def _dynunet() -> Architecture:
    params = {
        "filters": Param("list[int]", (32, 64, 128, 256, 320), "Channels of each stage, of three or more.", min=1),
        "kernel_size": Param("any", 3, _KERNEL.format(", or a list of lists per stage")),
        "strides": Param(
            "any", 2, "Stride: a number, a list per axis as [1, 2, 2], or a list of lists, one between each two stages."
        ),
        "norm": Param("choice", "instance", "Normalisation.", choices=("instance", "batch")),
        "res_block": Param("bool", False, "Residual blocks."),
        "trans_bias": Param("bool", False, "Biases of transposed convolutions."),
        "dropout": _probability("features"),
    }
    citation = "doi:10.1038/s41592-020-01008-z"
    sizes = "volseg_unet3d.sizes:dynunet_sizes"
    return _network("dynunet", "DynUNet: nnU-Net's network", citation, params, sizes=sizes)


def _probability(what: str, default: float = 0.0) -> Param:
    return Param("float", default, f"Probability of dropout of {what}.", min=0, max=1)

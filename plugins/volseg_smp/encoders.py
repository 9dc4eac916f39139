"""Encoders of segmentation-models-pytorch and timm."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from segmentation_models_pytorch.encoders import TimmViTEncoder, get_encoder

from volseg_core.api import UsageError
from volseg_smp import table
from volseg_smp.weights import load_weights

_ENCODER = "model.encoder"


class ViTFeatures(torch.nn.Module):
    """The feature maps of a vision transformer without its prefix tokens, all of one stride."""

    def __init__(self, encoder: TimmViTEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.out_channels = list(encoder.out_channels)
        self.strides = tuple(encoder.output_strides)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of an image ``(N, C, H, W)``."""
        return list(self.encoder(image)[0])


def build(
    *,
    name: str,
    in_channels: int,
    depth: int | None = None,
    output_stride: int = 32,
    weights: str = "imagenet",
    input_size: int | None = None,
) -> torch.nn.Module:
    """Return an encoder whose features come finest first, the input itself among them.

    The module has ``out_channels`` and ``strides``. A timm model that starts at stride 4 gives a feature with no
    channels at stride 2, as smp's decoders expect. ``depth`` is both the recipe's ``model.encoder.depth`` and what
    an architecture asks for; the asking architecture wins. ``input_size`` is for encoders of one input size: the side
    of the squares that it is built for.

    Raises:
        UsageError: when the encoder has fewer stages, cannot be dilated, or has no such weights.
        DataError, PluginError, ResourceError: when the weights cannot be had (see `load_weights`).
    """
    row = table.find(name, input_size)
    stages = depth or row.depth
    if stages > row.depth:
        msg = f"{_ENCODER}.depth"
        raise UsageError(msg, f"{stages} is more than the {row.depth} stages of encoder {name!r}")
    encoder = create(row, in_channels, stages, output_stride)
    load_weights(encoder, row, weights, in_channels)
    if row.vit:
        return ViTFeatures(encoder)
    encoder.strides = tuple(min(2**stage, output_stride) for stage in range(stages + 1))
    pyramid: torch.nn.Module = encoder
    return pyramid


def create(row: table.Row, in_channels: int, depth: int, output_stride: int = 32) -> Any:
    """Return the encoder with random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # our descriptors say what is deprecated
        try:
            if row.vit:
                return TimmViTEncoder(row.timm, pretrained=False, in_channels=in_channels, depth=depth, **row.options)
            return get_encoder(row.name, in_channels, depth, weights=None, output_stride=output_stride, **row.options)
        except (AssertionError, NotImplementedError, TypeError, ValueError) as error:
            what = f"encoder {row.name!r} cannot be built with depth {depth} and output stride {output_stride}: {error}"
            raise UsageError(_ENCODER, what) from error

"""A U-Net of volumes whose way down is an encoder, pretrained where there are weights."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from volseg_core.api import UsageError
from volseg_unet3d.blocks import DoubleConv
from volseg_unet3d.layers import LayerOrder
from volseg_unet3d.upsampling import Interpolation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.api import EncoderChoice

_DEPTH = 5
_KERNEL = (3, 3, 3)


class Level(nn.Module):
    """Enlarges coarse features to the size of finer ones, joins those that it has, and applies two convolutions."""

    def __init__(self, order: LayerOrder, upsample: str, coarse: int, fine: int, width: int) -> None:
        super().__init__()
        self.joins = fine > 0
        self.upsampling = Interpolation(upsample, coarse, coarse, order.dims)
        self.block = DoubleConv(order, coarse + fine, width, width, _KERNEL)

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Return features of the size of ``fine``."""
        enlarged = self.upsampling(coarse, fine)
        result: torch.Tensor = self.block(torch.cat((fine, enlarged), 1) if self.joins else enlarged)
        return result


class EncoderUNet(nn.Module):
    """A U-Net ``(N, in_channels, D, H, W) -> (N, num_classes, D, H, W)`` logits on the features of an encoder."""

    def __init__(self, encoder: nn.Module, levels: Sequence[Level], width: int, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.levels = nn.ModuleList(levels)
        self.final_conv = nn.Conv3d(width, num_classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        features = [each for each in self.encoder(image) if each.shape[1]]
        coarse = features.pop()
        finer = [*([image] if len(features) < len(self.levels) else []), *features]
        for level in self.levels:
            coarse = level(coarse, finer.pop())
        logits: torch.Tensor = self.final_conv(coarse)
        return logits


def build_encoder_unet(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderChoice,
    decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
    layer_order: str = "cbr",
    num_groups: int = 8,
    upsample: str = "nearest",
    dropout_prob: float = 0.1,
) -> EncoderUNet:
    """Return a U-Net on an encoder; of ``decoder_channels``, coarsest first, the last ones count.

    Raises:
        UsageError: the encoder has more stages than there are channels, or the order of layers is none.
    """
    depth = int(encoder.params.get("depth") or _DEPTH)
    module = encoder.build(in_channels=in_channels, depth=depth)
    given = [channels for channels in module.out_channels if channels]
    to_image = module.strides[0] > 1
    skips = [*([0] if to_image else []), *given[:-1]][::-1]
    if len(skips) > len(decoder_channels):
        what = f"{list(decoder_channels)} are {len(decoder_channels)} for {len(skips)} stages of {encoder.name!r}"
        raise UsageError("model.decoder_channels", what, "Give one number for each stage.")
    widths = list(decoder_channels)[len(decoder_channels) - len(skips) :]
    order = LayerOrder(layer_order, len(_KERNEL), num_groups, dropout_prob)
    levels = [
        Level(order, upsample, coarse, fine, width)
        for (coarse, width), fine in zip(pairwise([given[-1], *widths]), skips, strict=True)
    ]
    return EncoderUNet(module, levels, widths[-1], num_classes)

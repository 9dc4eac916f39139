"""Encoders of other plugins under smp's decoders."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from segmentation_models_pytorch.encoders import encoders

from volseg_core.api import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from volseg_core.api import EncoderChoice

_ENCODER = "model.encoder"


class ForeignEncoder(torch.nn.Module):
    """Present a volseg encoder as smp expects one: a feature for each of the strides 1, 2, 4, ...

    The input itself stands in for a missing feature at stride 1, a feature without channels for one at stride 2.
    """

    def __init__(self, module: torch.nn.Module, strides: list[int], in_channels: int) -> None:
        super().__init__()
        self.module = module
        given = [int(channels) for channels in module.out_channels]  # type: ignore[union-attr]
        self._missing = len(strides) - len(given)
        self.out_channels = [in_channels, 0][: self._missing] + given
        self.output_stride = strides[-1]

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of an image ``(N, C, H, W)``, finest first."""
        n, _, height, width = image.shape
        stand_ins = [image, image.new_empty((n, 0, height // 2, width // 2))]
        return stand_ins[: self._missing] + list(self.module(image))

    def set_in_channels(self, in_channels: int, *, pretrained: bool = False) -> None:
        """Do nothing: the encoder was built for its channels (smp calls this)."""

    def make_dilated(self, output_stride: int) -> None:
        """Do nothing: the encoder was built for its output stride (smp calls this)."""


def adopt(choice: EncoderChoice, in_channels: int, depth: int, output_stride: int) -> ForeignEncoder:
    """Build the encoder and wrap it for smp.

    Raises:
        PluginError: when its features are not at the strides that were asked for.
    """
    module = choice.build(in_channels=in_channels, depth=depth, output_stride=output_stride)
    wanted = [min(2**stage, output_stride) for stage in range(depth + 1)]
    given = list(getattr(module, "strides", ()))
    optional = 2
    if not any(given == wanted[missing:] for missing in range(optional + 1)) or len(module.out_channels) != len(given):
        what = f"encoder {choice.name!r} gives features at strides {given}; smp's decoders need {wanted}"
        raise PluginError(_ENCODER, what, "The first one or two may be left out; see model.encoder.depth.")
    return ForeignEncoder(module, wanted, in_channels)


@contextmanager
def registered(encoder: ForeignEncoder) -> Iterator[str]:
    """Give smp a name for the encoder while a model is constructed."""
    name = f"volseg-{id(encoder):x}"

    def hand_over(**_: Any) -> ForeignEncoder:
        return encoder

    encoders[name] = {"encoder": hand_over, "params": {}, "pretrained_settings": {}}
    try:
        yield name
    finally:
        del encoders[name]

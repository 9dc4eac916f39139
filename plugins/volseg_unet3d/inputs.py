"""What a network says of images that are too small for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from volseg_core.api import UsageError

if TYPE_CHECKING:
    from volseg_unet3d.sizes import Size


def check_input(image: torch.Tensor, factors: Size, *, single: bool = True) -> None:
    """Refuse an image (N, C, *S) that is smaller than the factors by which a network makes it smaller.

    ``single``: one voxel may be left of it. Nothing is checked while a network is exported.

    Raises:
        UsageError: an axis is too short.
    """
    if torch.onnx.is_in_onnx_export() or torch.compiler.is_compiling():
        return
    size = tuple(image.shape[2:])
    if any(has < factor for has, factor in zip(size, factors, strict=True)) or (size == factors and not single):
        least = f"{factors}" if single else f"more than {factors}"
        what = f"a window of {size} is too small for the levels of this network, which need {least}"
        raise UsageError("data.window", what, "Use larger windows, fewer levels, or leave short axes as they are.")

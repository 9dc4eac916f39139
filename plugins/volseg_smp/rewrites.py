"""What is changed in a network before it is exported to ONNX, so that every input size keeps working.

Both of torch's exporters fix the bins of an adaptive average pooling at the traced size. Here it becomes two products
with averaging matrices that are computed from the size at run time; the values are the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def pooling(network: nn.Module) -> nn.Module:
    """Replace adaptive poolings with more than one bin, and the pyramid blocks of PSPNet that have their own."""
    from segmentation_models_pytorch.decoders.pspnet.decoder import PSPBlock

    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, PSPBlock):
                setattr(module, name, _Block(child))
            elif isinstance(child, nn.AdaptiveAvgPool2d) and _bins(child.output_size) != (1, 1):
                setattr(module, name, MatrixPool(_bins(child.output_size)))
    return network


def _bins(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


class MatrixPool(nn.Module):
    """Adaptive average pooling of (N, C, H, W) to a fixed number of bins, as matrix products.

    Bin i of k covers the rows ``floor(i H / k)`` to ``ceil((i + 1) H / k) - 1``, as in torch's own pooling.
    """

    def __init__(self, bins: tuple[int, int]) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, image: Tensor) -> Tensor:
        """Return (N, C, *bins)."""
        rows = _averages(image.shape[2], self.bins[0], image)
        columns = _averages(image.shape[3], self.bins[1], image)
        return rows @ image @ columns.transpose(0, 1)


def _averages(size: Any, bins: int, like: Tensor) -> Tensor:
    """Return the matrix (bins, size) whose rows average the positions of a bin."""
    numbers = torch.arange(bins, device=like.device).unsqueeze(1)
    places = torch.arange(size, device=like.device).unsqueeze(0)
    low = torch.div(numbers * size, bins, rounding_mode="floor")
    high = torch.div((numbers + 1) * size + (bins - 1), bins, rounding_mode="floor")
    inside = ((places >= low) & (places < high)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


class _Block(nn.Module):
    """A pyramid block of PSPNet: pool, convolve, enlarge to the input's size."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        size = block.pool[0].output_size
        self.pool = nn.AdaptiveAvgPool2d(1) if _bins(size) == (1, 1) else MatrixPool(_bins(size))
        self.convolution = block.pool[1]

    def forward(self, image: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        pooled = self.convolution(self.pool(image))
        return functional.interpolate(pooled, size=image.shape[2:], mode="bilinear", align_corners=True)

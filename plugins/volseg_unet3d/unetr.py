"""MONAI's UNETR for images of any size: its position embeddings are interpolated to the grid of an image's patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from monai.networks.nets import UNETR
from torch import nn
from torch.nn.functional import interpolate

from volseg_core.api import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATCH = 16
_LINEAR = {2: "bilinear", 3: "trilinear"}


class PatchEmbedding(nn.Module):
    """Patches of 16 voxels as tokens ``(N, C, *S) -> (N, patches, hidden)``, the layers those of a MONAI embedding."""

    def __init__(self, embedding: Any, grid: tuple[int, ...]) -> None:
        super().__init__()
        self.patch_embeddings = embedding.patch_embeddings
        self.position_embeddings = embedding.position_embeddings
        self.dropout = embedding.dropout
        self.grid = grid

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the tokens of all patches."""
        patches = self.patch_embeddings(image)
        positions = self.position_embeddings.transpose(1, 2).unflatten(2, self.grid)
        resized = interpolate(positions, size=patches.shape[2:], mode=_LINEAR[len(self.grid)])
        tokens: torch.Tensor = self.dropout((patches + resized).flatten(2).transpose(1, 2))
        return tokens


class AnySizeUNETR(UNETR):  # type: ignore[misc]
    """UNETR ``(N, in_channels, *S) -> (N, num_classes, *S)`` for sizes that are multiples of 16."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        self.proj_view_shape = [*(size // _PATCH for size in image.shape[2:]), self.hidden_size]
        logits: torch.Tensor = super().forward(image)
        return logits


def build_unetr(
    *,
    in_channels: int,
    num_classes: int,
    dims: int,
    img_size: Sequence[int] | None = None,
    feature_size: int = 16,
    hidden_size: int = 768,
    mlp_dim: int = 3072,
    num_heads: int = 12,
    norm_name: str = "instance",
    dropout_rate: float = 0.0,
) -> nn.Module:
    """Return a UNETR (Hatamizadeh et al. 2022, arXiv:2103.10504) that has position embeddings for ``img_size``.

    Raises:
        UsageError: ``img_size`` is not one multiple of 16 per axis, or the heads do not divide ``hidden_size``.
    """
    size = (96,) * dims if img_size is None else tuple(img_size)
    if len(size) != dims or any(length % _PATCH for length in size):
        what = f"{list(size)!r} must be {dims} multiples of {_PATCH}"
        raise UsageError("model.img_size", what, "Give the size of the windows, or nothing.")
    if hidden_size % num_heads:
        what = f"{num_heads} heads do not divide a hidden_size of {hidden_size}"
        raise UsageError("model.num_heads", what, "Choose a number that does.")
    network = AnySizeUNETR(
        in_channels=in_channels,
        out_channels=num_classes,
        img_size=size,
        feature_size=feature_size,
        hidden_size=hidden_size,
        mlp_dim=mlp_dim,
        num_heads=num_heads,
        norm_name=norm_name,
        dropout_rate=dropout_rate,
        spatial_dims=dims,
    )
    grid = tuple(length // _PATCH for length in size)
    network.vit.patch_embedding = PatchEmbedding(network.vit.patch_embedding, grid)
    for block in network.vit.blocks:
        for idle in ("norm_cross_attn", "cross_attn"):  # MONAI's blocks may attend to another image, which is none here
            if hasattr(block, idle):
                setattr(block, idle, nn.Identity())
    return network

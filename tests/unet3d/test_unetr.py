"""UNETR at sizes that are not those of its position embeddings."""

from __future__ import annotations

from typing import Any

import pytest
import torch

nets = pytest.importorskip("monai.networks.nets")

SMALL = {"feature_size": 4, "hidden_size": 24, "mlp_dim": 32, "num_heads": 4}


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 48), (32, 16, 48)])
def test_at_its_own_size_it_is_that_of_monai(size: tuple[int, ...], make: Any) -> None:
    network = make("unetr", dims=len(size), img_size=list(size), **SMALL).eval()
    theirs = nets.UNETR(in_channels=1, out_channels=2, img_size=size, spatial_dims=len(size), **SMALL).eval()
    theirs.load_state_dict(network.state_dict(), strict=False)
    image = torch.randn(1, 1, *size)
    torch.testing.assert_close(network(image), theirs(image), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_at_other_sizes_its_positions_are_interpolated(make: Any) -> None:
    network = make("unetr", dims=2, img_size=[32, 32], **SMALL).eval()
    embedding = network.vit.patch_embedding
    embedding.position_embeddings.copy_(torch.arange(4.0).view(1, 4, 1).expand(1, 4, 24))  # the grid [[0, 1], [2, 3]]
    embedding.patch_embeddings.weight.zero_()
    embedding.patch_embeddings.bias.zero_()
    tokens = embedding(torch.zeros(1, 1, 32, 64))
    row = torch.tensor([0, 0.25, 0.75, 1])
    torch.testing.assert_close(tokens[0, :, 0], torch.cat([row, row + 2]))
    assert network(torch.randn(1, 1, 48, 64)).shape == (1, 2, 48, 64)

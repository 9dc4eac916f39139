"""Residual blocks and attention, by formula."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as f

from volseg_unet3d.blocks import ChannelSpatialAttention, DoubleConv, ResidualBlock
from volseg_unet3d.layers import LayerOrder


@torch.no_grad()
@pytest.mark.parametrize(
    ("letters", "activation"), [("cl", lambda x: f.leaky_relu(x, 0.1)), ("ce", f.elu), ("cr", f.relu)]
)
def test_a_residual_block_is_the_formula(letters: str, activation: object) -> None:
    block = ResidualBlock(LayerOrder(letters, 3), 2, 4, (3, 3, 3), attention=False)
    image = torch.randn(2, 2, 4, 5, 6)
    shortcut = f.conv3d(image, block.conv1.weight, block.conv1.bias)
    inner = {"cl": lambda x: f.leaky_relu(x, 0.01), "ce": f.elu, "cr": f.relu}[letters]
    first = inner(f.conv3d(shortcut, block.conv2.conv.weight, block.conv2.conv.bias, padding=1))
    second = f.conv3d(first, block.conv3.conv.weight, block.conv3.conv.bias, padding=1)
    torch.testing.assert_close(block(image), activation(second + shortcut), atol=1e-6, rtol=1e-5)


def test_a_residual_block_of_equal_channels_has_no_mapping() -> None:
    block = ResidualBlock(LayerOrder("gcr", 3), 4, 4, (3, 3, 3), attention=False)
    assert not [name for name in block.state_dict() if name.startswith("conv1")]


@torch.no_grad()
@pytest.mark.parametrize("dims", [2, 3])
def test_attention_takes_the_larger_of_both_weightings(dims: int) -> None:
    torch.manual_seed(0)
    attention = ChannelSpatialAttention(3, dims)
    features = torch.randn(2, 3, *(4, 5, 6)[:dims])
    axes = tuple(range(2, 2 + dims))
    channel, spatial = attention.cSE, attention.sSE
    hidden = (features.mean(axes) @ channel.fc1.weight.T + channel.fc1.bias).relu()
    weights = (hidden @ channel.fc2.weight.T + channel.fc2.bias).sigmoid().reshape(2, 3, *[1] * dims)
    voxels = (torch.einsum("nc...,c->n...", features, spatial.conv.weight.flatten()) + spatial.conv.bias).sigmoid()
    expected = torch.maximum(features * weights, features * voxels.unsqueeze(1))
    torch.testing.assert_close(attention(features), expected)


def test_two_convolutions_may_differ_in_channels() -> None:
    block = DoubleConv(LayerOrder("cr", 2), 1, 4, 8, (3, 3))
    assert [tuple(layer.conv.weight.shape[:2]) for layer in block] == [(4, 1), (8, 4)]

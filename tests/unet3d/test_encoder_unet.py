"""The U-Net of volumes on an encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from volseg_core.api import UsageError
from volseg_core.network import build_network
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry
from volseg_unet3d.encoder_unet import build_encoder_unet

torch.set_num_threads(1)


class Pyramid(nn.Module):
    """One convolution for each feature; at ``empty`` strides there are no channels."""

    def __init__(self, in_channels: int, strides: tuple[int, ...], empty: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.strides = strides
        self.out_channels = [0 if stride in empty else 4 + stride for stride in strides]
        self.layers = nn.ModuleList(
            nn.Conv3d(in_channels, channels or 1, 3, stride, 1)
            for channels, stride in zip(self.out_channels, strides, strict=True)
        )

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [layer(image)[:, :channels] for layer, channels in zip(self.layers, self.out_channels, strict=True)]


class Choice:
    """The recipe's encoder as an architecture receives it."""

    def __init__(self, *args: Any, depth: int | None = None) -> None:
        self.name, self.target, self.params, self.args = "pyramid", "", {"depth": depth}, args

    def build(self, *, in_channels: int, depth: int, output_stride: int = 32) -> Pyramid:
        self.asked = depth
        return Pyramid(in_channels, *self.args)


@pytest.mark.parametrize(
    ("args", "levels"),
    [(((1, 2, 4, 8),), 3), (((2, 4, 8),), 3), (((2, 4, 8), (2,)), 2), (((1, 2, 4), (2,)), 1), (((2,),), 1)],
)
def test_features_are_joined_where_there_are_some(args: Any, levels: int) -> None:
    network = build_encoder_unet(in_channels=2, num_classes=3, encoder=Choice(*args), decoder_channels=(8, 6, 4))
    assert len(network.levels) == levels
    image = torch.randn(1, 2, 17, 22, 35)
    assert network(image).shape == (1, 3, 17, 22, 35)
    widths = [level.block.SingleConv2.conv.out_channels for level in network.levels]  # type: ignore[union-attr]
    assert widths == [8, 6, 4][3 - levels :]


def test_every_feature_counts() -> None:
    choice = Choice((1, 2, 4), depth=2)
    network = build_encoder_unet(in_channels=1, num_classes=2, encoder=choice, decoder_channels=(8, 4))
    assert choice.asked == 2
    network(torch.randn(2, 1, 8, 8, 8)).square().mean().backward()
    assert all(each.grad is not None and each.grad.any() for each in network.encoder.parameters() if each.ndim > 1)


def test_five_stages_are_asked_for_unless_the_recipe_says_otherwise() -> None:
    choice = Choice((1, 2))
    build_encoder_unet(in_channels=1, num_classes=2, encoder=choice)
    assert choice.asked == 5


def test_more_stages_than_channels_are_refused() -> None:
    with pytest.raises(UsageError, match=r"model.decoder_channels: \[8\] are 1 for 2 stages of 'pyramid'. Give one"):
        build_encoder_unet(in_channels=1, num_classes=2, encoder=Choice((1, 2, 4)), decoder_channels=(8,))


@pytest.mark.parametrize("encoder", [{"use": "inflated", "weights": "none"}, {"use": "residual-3d", "layers": 10}])
def test_a_recipe_names_encoder_and_depth(encoder: dict[str, Any]) -> None:
    registry = load_registry(builtin_only=True)
    content = {"extends": "volseg/patches", "model": {"use": "encoder-unet3d", "encoder": {**encoder, "depth": 2}}}
    recipe = resolve_recipe(registry, content)
    network = build_network(registry.catalog, recipe, 1, 2, pretrained=False).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 1, 32, 32, 32)).shape == (1, 2, 32, 32, 32)
    assert any(each is network.encoder for each in network.children()), "so that it can be frozen"

"""U-Nets of every option: sizes, and what they learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from volseg_core.api import UsageError

NAMES = ("unet3d", "residual-unet3d", "residual-unet-se3d", "unet2d", "residual-unet2d")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{}, {"layer_order": "cbeD"}, {"conv_kernel_size": 5}], ids=str)
def test_every_size_is_kept_and_every_parameter_learns(name: str, options: dict[str, Any], make: Any) -> None:
    size = (8, 9, 13)[: 2 if name.endswith("2d") else 3]
    network = make(name, in_channels=2, num_classes=3, f_maps=4, num_levels=3, **options)
    logits = network(torch.randn(2, 2, *size))
    assert logits.shape == (2, 3, *size)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_levels_are_those_of_the_recipe_or_of_the_original(name: str, make: Any) -> None:
    with torch.device("meta"):
        assert len(make(name).encoders) == (5 if "residual" in name else 4)
        assert len(make(name, f_maps=8, num_levels=3).encoders) == 3
        assert len(make(name, f_maps=[8, 16]).encoders) == 2


def test_the_second_convolution_may_widen_or_not(make: Any) -> None:
    wide, narrow = (make("unet3d", f_maps=[8, 16], conv_upscale=scale) for scale in (1, 2))
    assert [net.encoders[1].basic_module[0].conv.out_channels for net in (wide, narrow)] == [16, 8]


def test_a_joined_sum_has_no_channels_more_than_its_level(make: Any) -> None:
    assert make("residual-unet3d", f_maps=[4, 8], joining="sum").decoders[0].basic_module.conv2.conv.in_channels == 4
    assert make("residual-unet3d", f_maps=[4, 8], joining="concat").decoders[0].basic_module.conv1.in_channels == 8


def test_a_window_smaller_than_the_pooling_is_refused(make: Any) -> None:
    network = make("unet3d", f_maps=[4, 8, 16])
    with pytest.raises(UsageError, match=r"a window of \(3, 8, 8\) is too small .* which need \(4, 4, 4\)"):
        network(torch.zeros(1, 1, 3, 8, 8))
    assert make("unet3d", f_maps=[4, 8, 16], pool_kernel_size=[1, 2, 2])(torch.zeros(1, 1, 1, 8, 8)).shape[2] == 1


def test_an_even_kernel_is_refused(make: Any) -> None:
    with pytest.raises(UsageError, match=r"^model\.conv_kernel_size: 2 is even"):
        make("unet3d", f_maps=[4, 8], conv_kernel_size=2)

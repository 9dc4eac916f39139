"""Layers in the order of a string of letters."""

from __future__ import annotations

import pytest
from torch import nn

from volseg_core.api import UsageError
from volseg_unet3d.layers import LayerOrder, group_count


def kinds(letters: str, dims: int = 3) -> list[type[nn.Module]]:
    return [type(layer) for layer in LayerOrder(letters, dims).build(4, 8, (3,) * dims)]


def test_layers_follow_the_letters() -> None:
    assert kinds("gcr") == [nn.GroupNorm, nn.Conv3d, nn.ReLU]
    assert kinds("cbld", 2) == [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU, nn.Dropout]
    assert kinds("ceD") == [nn.Conv3d, nn.ELU, nn.Dropout3d]
    assert kinds("ceD", 2) == [nn.Conv2d, nn.ELU, nn.Dropout2d]


def test_a_norm_has_the_channels_of_where_it_stands() -> None:
    assert LayerOrder("gcr", 3, groups=2).build(4, 8, (3, 3, 3)).groupnorm.num_channels == 4
    assert LayerOrder("cgr", 3, groups=2).build(4, 8, (3, 3, 3)).groupnorm.num_channels == 8


def test_a_convolution_has_a_bias_where_there_is_no_norm() -> None:
    assert LayerOrder("cr", 3).build(4, 8, (3, 3, 3)).conv.bias is not None
    for letters in ("gcr", "cbr"):
        assert LayerOrder(letters, 3).build(4, 8, (3, 3, 3)).conv.bias is None


def test_the_order_without_activations_keeps_the_rest() -> None:
    assert LayerOrder("gcrd", 3).linear().letters == "gcd"


@pytest.mark.parametrize(
    ("letters", "message"),
    [
        (
            "gcx",
            (
                "model.layer_order: 'x' of 'gcx' is no layer. Known are c (conv), g (groupnorm), b (batchnorm), "
                "r (ReLU), l (LeakyReLU), e (ELU), d (dropout), D (dropout_channels)."
            ),
        ),
        ("gr", "model.layer_order: 'gr' must hold c, and each letter once. Write it like gcr."),
        ("", "model.layer_order: '' must hold c, and each letter once. Write it like gcr."),
        ("crcr", "model.layer_order: 'crcr' must hold c, and each letter once. Write it like gcr."),
        ("rc", "model.layer_order: 'rc' begins with an activation. Begin with c, g, b, d or D."),
    ],
)
def test_an_order_that_is_none_is_refused(letters: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        LayerOrder(letters, 3)
    assert str(raised.value) == message


@pytest.mark.parametrize(("channels", "groups", "expected"), [(16, 8, 8), (4, 8, 1), (12, 8, 4), (9, 8, 1), (8, 8, 8)])
def test_groups_divide_the_channels(channels: int, groups: int, expected: int) -> None:
    assert group_count(channels, groups) == expected

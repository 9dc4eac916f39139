"""Faults of pytorch-3dunet that these networks do not have, by their number in the list of its faults."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from volseg_core.api import UsageError
from volseg_core.catalog import Catalog
from volseg_core.testing import components, problems
from volseg_unet3d import plugin


def features_of(network: Any, level: int, image: torch.Tensor) -> tuple[int, ...]:
    seen: list[tuple[int, ...]] = []
    network.encoders[level].register_forward_hook(lambda *given: seen.append(tuple(given[2].shape[2:])))
    network(image)
    return seen[0]


def test_b1_the_pooling_is_that_of_the_recipe(make: Any) -> None:
    network = make("unet3d", f_maps=[2, 4, 8], pool_kernel_size=[1, 2, 2])
    assert features_of(network, 2, torch.zeros(1, 1, 5, 16, 12)) == (5, 4, 3)


def test_b1_the_pooling_may_differ_between_levels(make: Any) -> None:
    network = make("residual-unet3d", f_maps=[2, 4, 8], pool_kernel_size=[[1, 2, 2], [2, 2, 2]])
    assert features_of(network, 2, torch.zeros(1, 1, 6, 16, 12)) == (3, 4, 3)


def test_b1_the_kernel_is_that_of_the_recipe(make: Any) -> None:
    for name in ("unet3d", "residual-unet3d"):
        network = make(name, f_maps=[4, 8], num_groups=2, conv_kernel_size=[[1, 3, 3], [3, 5, 3]])
        kernels = {tuple(layer.kernel_size) for layer in network.encoders[0].modules() if isinstance(layer, nn.Conv3d)}
        assert kernels - {(1, 1, 1)} == {(1, 3, 3)}
        kernels = {tuple(layer.kernel_size) for layer in network.encoders[1].modules() if isinstance(layer, nn.Conv3d)}
        assert kernels - {(1, 1, 1)} == {(3, 5, 3)}
        assert network(torch.zeros(1, 1, 7, 9, 8)).shape == (1, 2, 7, 9, 8)


def test_b1_an_unknown_key_is_named() -> None:
    unet = next(item for item in components(Catalog.from_modules([plugin])) if item.component.name == "unet3d")
    with pytest.raises(UsageError, match="has no parameter 'pool_size'"):
        problems(unet, params={"pool_size": [1, 2, 2]})


def test_b19_the_residual_network_in_2d_trains_on_images(make: Any) -> None:
    network = make("residual-unet2d", in_channels=3, f_maps=[4, 8])
    network(torch.randn(2, 3, 18, 17)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("kind", ["nearest", "trilinear", "deconv"])
@pytest.mark.parametrize("options", [{"joining": "sum"}, {"joining": "concat"}], ids=str)
def test_b20_every_residual_network_is_enlarged_in_every_way(kind: str, options: dict[str, str], make: Any) -> None:
    network = make("residual-unet3d", f_maps=[4, 6, 20], num_groups=2, upsample=kind, **options)
    assert network(torch.randn(1, 1, 9, 8, 11)).shape == (1, 2, 9, 8, 11)


@pytest.mark.parametrize("kind", ["nearest", "trilinear", "deconv"])
def test_b20_channels_need_not_double(kind: str, make: Any) -> None:
    network = make("unet3d", f_maps=[8, 12, 40], num_groups=4, upsample=kind)
    assert network(torch.randn(1, 1, 9, 8, 11)).shape == (1, 2, 9, 8, 11)


def test_b21_dropout_reaches_residual_blocks(make: Any) -> None:
    network = make("residual-unet3d", f_maps=[4, 8], num_groups=2, layer_order="gcrd", dropout_prob=0.7)
    assert {layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)} == {0.7}
    image = torch.randn(1, 1, 8, 8, 8)
    assert not torch.equal(network(image), network(image))
    assert torch.equal(network.eval()(image), network(image))


@pytest.mark.parametrize(("order", "depends"), [("gcr", True), ("bcr", False), ("cr", False)])
def test_b34_only_group_norm_makes_the_logits_depend_on_what_is_far(order: str, depends: bool, make: Any) -> None:
    network = make("unet2d", f_maps=[4, 8], num_groups=2, layer_order=order).eval()
    image = torch.randn(1, 1, 64, 64)
    changed = image.clone()
    changed[..., 56:, 56:] += 5
    with torch.no_grad():
        here, there = network(image)[..., :16, :16], network(changed)[..., :16, :16]
    assert (not torch.equal(here, there)) == depends


def test_channels_that_the_groups_do_not_divide_have_fewer_groups(make: Any) -> None:
    network = make("unet3d", in_channels=12, f_maps=[16, 32])
    norm = network.encoders[0].basic_module[0].groupnorm
    assert (norm.num_groups, norm.num_channels) == (4, 12)
    assert network(torch.randn(1, 12, 8, 8, 8)).shape == (1, 2, 8, 8, 8)

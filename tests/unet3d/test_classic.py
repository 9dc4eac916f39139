"""The classic U-Net: as many parameters as are counted where it comes from, and an independent formulation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as f

from volseg_core.api import UsageError


@pytest.mark.parametrize(
    ("dims", "depth", "channels", "options", "expected"),
    [
        (3, 4, 4, {}, 88_125),
        (3, 3, 32, {}, 1_356_641),
        (3, 4, 16, {}, 1_401_969),
        (3, 5, 8, {}, 1_413_241),
        (3, 6, 4, {}, 1_416_029),
        (3, 4, 4, {"conv_kernel_size": 5}, 386_437),
        (3, 4, 4, {"resblocks": True}, 89_649),
    ],
)
def test_the_parameters_that_get_a_gradient_are_as_many(
    dims: int, depth: int, channels: int, options: dict[str, Any], expected: int, make: Any, count: Any
) -> None:
    with torch.device("meta"):
        network = make("classic-unet", num_classes=1, dims=dims, depth=depth, start_channels=channels, **options)
    assert count(network) == expected


def test_in_2d_it_has_what_is_counted_less_the_stage_that_is_never_used(make: Any, count: Any) -> None:
    with torch.device("meta"):
        network = make("classic-unet", num_classes=1, dims=2, depth=4, start_channels=4)
    unused = (4 * 1 * 2**2 + 1) + (4 * 1 * 3**2 + 1 + 2) + (1 * 1 * 3**2 + 1 + 2)
    assert count(network) == 30_713 - unused


def block(state: dict[str, torch.Tensor], name: str, image: torch.Tensor) -> torch.Tensor:
    """Twice convolution, ReLU, batch norm in evaluation."""
    for conv, norm in ((0, 2), (3, 5)):
        layers = f"{name}.layers"
        image = f.conv3d(image, state[f"{layers}.{conv}.weight"], state[f"{layers}.{conv}.bias"], padding=1).relu()
        mean, variance = (state[f"{layers}.{norm}.running_{each}"].view(1, -1, 1, 1, 1) for each in ("mean", "var"))
        scale, shift = (state[f"{layers}.{norm}.{each}"].view(1, -1, 1, 1, 1) for each in ("weight", "bias"))
        image = (image - mean) / (variance + 1e-5).sqrt() * scale + shift
    return image


def settled(network: torch.nn.Module) -> torch.nn.Module:
    """Give its norms statistics that are not those of the start."""
    for _ in range(3):
        network(3 * torch.randn(2, 1, 8, 8, 8) + 1)
    return network.eval()


@torch.no_grad()
def test_two_levels_are_the_formula(make: Any) -> None:
    network = settled(make("classic-unet", depth=2, start_channels=3))
    state, image = network.state_dict(), torch.randn(2, 1, 4, 6, 8)
    fine = block(state, "body.down.0", image)
    coarse = block(state, "body.down.1", f.max_pool3d(fine, 2))
    enlarged = f.conv_transpose3d(coarse, state["body.enlarge.0.weight"], state["body.enlarge.0.bias"], stride=2)
    joined = block(state, "body.up.0", torch.cat([enlarged, fine], 1))
    expected = f.conv3d(joined, state["output.weight"], state["output.bias"])
    torch.testing.assert_close(network(image), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_residual_block_adds_its_input_before_the_last_relu(make: Any) -> None:
    network = settled(make("classic-unet", depth=1, start_channels=3, resblocks=True))
    state, image = network.state_dict(), torch.randn(2, 1, 4, 5, 6)
    norm = network.body.down[0].shortcut[1]
    shortcut = norm(f.conv3d(image, state["body.down.0.shortcut.0.weight"]))
    summed = (block(state, "body.down.0", image) + shortcut).relu()
    expected = f.conv3d(summed, state["output.weight"], state["output.bias"])
    torch.testing.assert_close(network(image), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(1, 9, 17), (16, 16, 16), (5, 7, 3)])
def test_every_size_is_kept(size: tuple[int, ...], make: Any) -> None:
    network = make("classic-unet", in_channels=2, num_classes=3, start_channels=2)
    assert network(torch.randn(2, 2, *size)).shape == (2, 3, *size)


def test_an_even_kernel_is_refused(make: Any) -> None:
    with pytest.raises(UsageError, match=r"^model\.conv_kernel_size: 2 is even"):
        make("classic-unet", conv_kernel_size=[3, 2, 3])

"""The stacked hourglass: what one hands to the next, the scores of all, and how many parameters it has."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as f


def unused(channels: int, stacks: int) -> int:
    """Parameters that are counted where it comes from and take no part: see specs of the classic U-Net."""
    stage = sum(
        (channels * to * 2**3 + to) + (channels * to * 3**3 + to + 2 * to) + (to * to * 3**3 + to + 2 * to)
        for to in (1, *[channels] * (stacks - 1))
    )
    outputs = stacks * (channels + 1)
    last = (channels * channels + channels + 2 * channels) + (channels + channels)
    return stage + outputs + last


@pytest.mark.parametrize(
    ("depth", "channels", "stacks", "counted"),
    [(4, 4, 1, 88_368), (4, 4, 2, 177_906), (4, 4, 4, 356_982), (6, 4, 1, 1_416_272), (6, 8, 2, 11_324_510)],
)
def test_it_has_the_parameters_that_are_counted_less_those_without_part(
    depth: int, channels: int, stacks: int, counted: int, make: Any, count: Any
) -> None:
    with torch.device("meta"):
        network = make(
            "stacked-hourglass", num_classes=1, dims=3, depth=depth, start_channels=channels, num_stacks=stacks
        )
    assert count(network) == counted - unused(channels, stacks)


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 2])
def test_each_gets_its_predecessors_input_features_and_score(channels: int, make: Any) -> None:
    network = make("stacked-hourglass", in_channels=channels, num_stacks=2, depth=2, start_channels=3).eval()
    image = torch.randn(1, channels, 4, 6, 8)
    first, second = network.stacks

    def pointwise(layers: Any, features: torch.Tensor) -> torch.Tensor:
        return layers[2](f.conv3d(features, layers[0].weight, layers[0].bias).relu())

    entered = image if channels == 1 else f.conv3d(image, network.entry.weight, network.entry.bias)
    features = pointwise(first.features, first.body(entered))
    score = f.conv3d(features, first.score.weight, first.score.bias)
    following = entered + pointwise(first.carry, features) + f.conv3d(score, first.project.weight, first.project.bias)
    last = second.score(pointwise(second.features, second.body(following)))
    assert following.shape == (1, 3, 4, 6, 8)
    torch.testing.assert_close(network(image), last)
    for seen, expected in zip(network.supervised(image), (last, score), strict=True):
        torch.testing.assert_close(seen, expected)


def test_every_hourglass_can_be_supervised(make: Any) -> None:
    network = make("stacked-hourglass", num_stacks=3, depth=2, start_channels=2)
    scores = network.supervised(torch.randn(2, 1, 8, 9, 10))
    assert [tuple(score.shape) for score in scores] == [(2, 2, 8, 9, 10)] * 3
    scores[-1].square().mean().backward()
    assert {name.split(".")[1] for name, each in network.named_parameters() if each.grad is not None} == {"0"}


def test_one_hourglass_of_several_channels_needs_no_entry(make: Any) -> None:
    names = make("stacked-hourglass", in_channels=3, num_stacks=1, depth=2, start_channels=2).state_dict()
    assert not [name for name in names if name.startswith("entry") or "carry" in name or "project" in name]

from __future__ import annotations

import pytest
import torch
from torch import nn

from volseg_core.training.average import Average


def test_the_average_follows_by_a_decay_that_rises_to_its_value():
    network = nn.Conv2d(1, 1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = Average(network, 0.5)
    network.weight.data.fill_(1.0)
    expected = 0.0
    for step in range(1, 30):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay)
        average.update(network)
        assert average.network.weight.item() == pytest.approx(expected, abs=1e-6)
    assert network.weight.item() == 1.0


def test_statistics_are_averaged_and_counts_copied():
    network = nn.BatchNorm2d(1)
    average = Average(network, 0.9)
    network(torch.full((2, 1, 4, 4), 3.0) + torch.randn(2, 1, 4, 4))
    average.update(network)
    share = 1 - 2 / 11
    assert average.network.running_mean.item() == pytest.approx(share * network.running_mean.item(), abs=1e-6)
    assert average.network.num_batches_tracked == 1


def test_the_average_is_never_trained():
    average = Average(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)), 0.9).train()
    assert not average.network.training
    assert not any(parameter.requires_grad for parameter in average.parameters())

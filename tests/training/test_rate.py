from __future__ import annotations

import csv
import math

import numpy as np
import pytest
import torch
from torch import nn

from volseg_core.recipe import TrainBlock
from volseg_core.training.rate import choose, find_rate, read_rate, smooth


def test_smoothing_does_not_bend_the_start():
    assert smooth([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert smooth([1.0, 3.0])[1] == pytest.approx((0.9 * 1 + 1 * 3) / 1.9)


def test_the_choice_is_where_the_loss_falls_fastest():
    rates = np.geomspace(1e-6, 1, 60)
    falling = 1 - 1 / (1 + np.exp(-4 * (np.log10(rates) + 3)))  # steepest at 1e-3
    losses = falling + np.where(rates > 0.1, 10 * (rates - 0.1), 0)
    assert choose(rates, losses) == pytest.approx(1e-3, rel=0.3)


def test_the_choice_stays_a_tenth_below_the_lowest_loss():
    rates = np.geomspace(1e-6, 1, 60)
    late = np.where(rates < 1e-3, 1.0, 1.0 - (np.log10(rates) + 3)) + np.where(rates > 3e-3, 5, 0)
    assert choose(rates, late) == pytest.approx(rates[rates <= 3e-3][-1] / 10, rel=0.01)


def test_a_test_that_says_nothing_chooses_nothing():
    rates = np.geomspace(1e-6, 1, 60)
    assert choose(rates, np.arange(60.0)) is None, "the loss only rises"
    assert choose(rates[:10], -np.arange(10.0)) is None, "too few points"


class Loss:
    def __call__(self, outputs, targets):
        return (outputs[0] - targets[0]).square().mean(), {}


def endless(scale=1.0):
    random = torch.Generator().manual_seed(0)
    while True:
        images = torch.randn(4, 1, 4, 4, generator=random)
        yield images, [scale * 3 * images]


def test_the_test_leaves_the_network_alone_and_keeps_what_it_saw(tmp_path):
    (tmp_path / "figures").mkdir()
    network = nn.Conv2d(1, 1, 1)
    before = network.weight.detach().clone()
    rate = find_rate(TrainBlock(optimizer="SGD", weight_decay=0.0), network, Loss(), endless, tmp_path)
    assert torch.equal(network.weight, before)
    assert 1e-5 <= rate <= 1e-2
    assert read_rate(tmp_path) == rate
    rows = list(csv.DictReader((tmp_path / "lr_range.csv").open()))
    assert len(rows) > 20
    assert float(rows[-1]["smoothed"]) < float(rows[0]["smoothed"])
    assert (tmp_path / "figures" / "lr_range.png").stat().st_size > 1000


def test_an_explosion_ends_the_test_and_a_safe_rate_is_used(tmp_path, caplog):
    (tmp_path / "figures").mkdir()
    network = nn.Conv2d(1, 1, 1)
    nn.init.constant_(network.weight, math.inf)
    assert find_rate(TrainBlock(optimizer="SGD"), network, Loss(), endless, tmp_path) == 1e-3
    assert "no clear descent" in caplog.text

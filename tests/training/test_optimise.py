from __future__ import annotations

import pytest
import torch
from torch import nn

from volseg_core.errors import UsageError
from volseg_core.recipe import TrainBlock
from volseg_core.training.optimise import freeze_encoder, make_optimizer, make_schedule


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
        self.decoder = nn.Conv2d(2, 2, 1)


def rates(rule, steps, *, monitor=("", True), lr=0.1):
    optimizer = make_optimizer(rule, Network(), lr)
    schedule = make_schedule(rule, optimizer, steps, monitor)["scheduler"]
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return found


def test_the_encoder_learns_at_its_share_of_the_rate():
    network = Network()
    decoder, encoder = make_optimizer(TrainBlock(encoder_lr=0.1), network, 0.5).param_groups
    assert (decoder["lr"], encoder["lr"]) == (0.5, 0.05)
    assert {id(p) for p in encoder["params"]} == {id(p) for p in network.encoder.parameters()}
    assert {id(p) for p in decoder["params"]} == {id(p) for p in network.decoder.parameters()}


@pytest.mark.parametrize("optimizer", ["AdamW", "sgd", "RMSprop", "Adagrad", "NAdam", "Adadelta"])
def test_one_cycle_peaks_at_the_rate_of_each_group(optimizer):
    found = rates(TrainBlock(optimizer=optimizer, encoder_lr=0.1, warmup=0.5), 20)
    peak = max(found)
    assert peak == pytest.approx([0.1, 0.01])
    assert 8 <= found.index(peak) <= 11
    assert found[-1][0] < 1e-4


def test_cosine_falls_from_the_rate_to_nothing():
    found = [rate for (rate,) in rates(TrainBlock(schedule="cosine"), 10)]
    assert found[0] == 0.1
    assert found[5] == pytest.approx(0.05)
    assert found == sorted(found, reverse=True)


def test_plateau_lowers_the_rate_when_the_score_stays():
    rule = TrainBlock(schedule="plateau")
    optimizer = make_optimizer(rule, Network(), 0.1)
    schedule = make_schedule(rule, optimizer, 0, ("val/dice", True))
    assert (schedule["interval"], schedule["monitor"]) == ("epoch", "val/dice")
    for score in (0.5, 0.6, 0.6, 0.6, 0.6, 0.6):
        schedule["scheduler"].step(score)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)
    with pytest.raises(UsageError, match="plateau needs a held-out part"):
        make_schedule(rule, optimizer, 0, ("", True))


def test_options_of_an_optimiser_are_obeyed_and_wrong_ones_refused():
    optimizer = make_optimizer(TrainBlock(optimizer="SGD", optimizer_options={"momentum": 0.9}), Network(), 0.1)
    assert optimizer.param_groups[0]["momentum"] == 0.9
    with pytest.raises(UsageError, match="'SGD' cannot be used here .*momentun"):
        make_optimizer(TrainBlock(optimizer="SGD", optimizer_options={"momentun": 0.9}), Network(), 0.1)
    with pytest.raises(UsageError, match="Did you mean"):
        make_optimizer(TrainBlock(optimizer="adamm"), Network(), 0.1)


def test_a_frozen_encoder_keeps_weights_and_statistics():
    network = Network().train()
    freeze_encoder(network, frozen=True)
    before = {name: tensor.clone() for name, tensor in network.encoder.state_dict().items()}
    optimizer = make_optimizer(TrainBlock(), network, 0.1)
    network.decoder(network.encoder(torch.randn(2, 1, 4, 4))).sum().backward()
    optimizer.step()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.encoder.state_dict().items())
    freeze_encoder(network, frozen=False)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_network_without_an_encoder_says_so():
    with pytest.raises(UsageError, match="train.encoder_lr: the network has no encoder"):
        make_optimizer(TrainBlock(encoder_lr=0.5), nn.Conv2d(1, 1, 1), 0.1)

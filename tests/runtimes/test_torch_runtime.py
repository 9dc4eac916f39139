"""The torch runtime on a CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from volseg_core.api import ResourceError
from volseg_runtimes.torch_runtime import TorchRuntime


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))


def runtime(build=network):
    return TorchRuntime(network=build, device="cpu", threads=1)


def test_logits_are_those_of_the_network_in_evaluation_mode():
    batch = np.random.default_rng(0).normal(size=(4, 2, 16, 24)).astype(np.float32)
    with torch.no_grad():
        expected = network().eval()(torch.from_numpy(batch))
    logits = runtime().run(batch)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    assert not logits.requires_grad


class Layouts(nn.Conv2d):
    """A convolution that notes whether its input has channels last."""

    def __init__(self):
        super().__init__(2, 3, 3, padding=1)
        self.seen = []

    def forward(self, images):
        self.seen.append(images.is_contiguous(memory_format=torch.channels_last))
        return super().forward(images)


def test_the_network_sees_channels_last_and_the_logits_come_back_in_the_usual_layout():
    built = Layouts()
    logits = runtime(lambda: built).run(np.zeros((2, 2, 16, 16), np.float32))
    assert built.seen == [True]
    assert built.weight.is_contiguous(memory_format=torch.channels_last)
    assert logits.is_contiguous()


def test_a_network_of_boxes_keeps_its_layout():
    built = nn.Conv3d(1, 2, 3, padding=1)
    batch = np.random.default_rng(0).normal(size=(1, 1, 8, 8, 8)).astype(np.float32)
    with torch.no_grad():
        expected = built(torch.from_numpy(batch))
    torch.testing.assert_close(runtime(lambda: built).run(batch), expected)


def test_a_cpu_says_nothing_of_its_free_memory():
    assert runtime().free_bytes() is None
    assert runtime().device == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ResourceError, match="sees no GPU"):
        TorchRuntime(network=network, device="cuda", threads=1)

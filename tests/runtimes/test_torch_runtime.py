"""The torch runtime on a CPU."""

from __future__ import annotations

import copy

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


class Seen(nn.Module):
    """A layer that changes nothing and notes the strides of its input, least first."""

    def __init__(self):
        super().__init__()
        self.fastest = []

    def forward(self, images):
        self.fastest.append(int(np.argmin(images.stride())))
        return images


def sensitive(dims, *norms):
    seen = Seen()
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[dims](2, 8, 3, padding=1)
    return seen, nn.Sequential(seen, conv, *norms)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_network_sees_channels_last_and_the_logits_come_back_in_the_usual_layout(dims):
    seen, built = sensitive(dims, nn.ReLU())
    logits = runtime(lambda: built).run(np.zeros((2, 2, *[16] * dims), np.float32))
    assert seen.fastest == [1]
    assert int(np.argmin(built[1].weight.stride())) == 1
    assert logits.is_contiguous()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", ["group", "instance"])
def test_a_network_with_statistics_of_the_window_keeps_its_layout_on_a_cpu(dims, kind):
    instance = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dims]
    seen, built = sensitive(dims, nn.GroupNorm(2, 8) if kind == "group" else instance(8))
    runtime(lambda: built).run(np.zeros((2, 2, *[16] * dims), np.float32))
    assert seen.fastest == [dims + 1]
    assert built[1].weight.is_contiguous()


def test_group_norm_is_exact_over_a_million_voxels():
    """Torch's own kernel for channels last is off by 1e-3 here."""
    built = nn.Sequential(nn.Conv3d(1, 16, 1), nn.GroupNorm(8, 16)).eval()
    batch = np.random.default_rng(0).normal(0.5, 1, (1, 1, 96, 96, 96)).astype(np.float32)
    with torch.no_grad():
        expected = built.double()(torch.from_numpy(batch).double())
    found = runtime(built.float).run(batch)
    assert float((found - expected).abs().max()) < 1e-5


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv3d(2, 4, 3, padding=1),
        nn.Conv3d(2, 4, 3, padding=(1, 0, 2), stride=(2, 1, 2), bias=False),
        nn.Conv3d(2, 4, 3, dilation=2, groups=2),
        nn.Conv3d(2, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv3d(2, 4, (1, 3, 5), padding="same"),
        nn.ConvTranspose3d(2, 4, 2, stride=2),
    ],
)
@pytest.mark.parametrize("norm", [nn.BatchNorm3d(4), nn.GroupNorm(2, 4)])
@pytest.mark.parametrize("count", [1, 2])
def test_a_network_of_boxes_gives_its_own_logits(layer, norm, count):
    built = nn.Sequential(layer, norm, nn.Conv3d(4, 3, 1)).eval()
    batch = np.random.default_rng(0).normal(size=(count, 2, 10, 12, 8)).astype(np.float32)
    with torch.no_grad():
        expected = built(torch.from_numpy(batch))
    torch.testing.assert_close(runtime(lambda: copy.deepcopy(built)).run(batch), expected, atol=1e-5, rtol=1e-5)


def test_onednn_computes_boxes_one_by_one():
    """Torch would take its own code here: channels x depth x height are few."""
    built = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1))
    work = runtime(lambda: built)
    with torch.profiler.profile() as trace:
        work.run(np.zeros((1, 1, 8, 8, 8), np.float32))
    names = {event.key for event in trace.key_averages()}
    assert "aten::mkldnn_convolution" in names
    assert "aten::slow_conv3d" not in names


def test_a_cpu_says_nothing_of_its_free_memory():
    assert runtime().free_bytes() is None
    assert runtime().device == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ResourceError, match="sees no GPU"):
        TorchRuntime(network=network, device="cuda", threads=1)

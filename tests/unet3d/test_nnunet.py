"""nnU-Net's network: its sizes, its residual block by formula, and logits at several stages."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as f

from volseg_core.api import UsageError
from volseg_unet3d.nnunet import Layers, ResidualBlock

SMALL = {"stages": 3, "width": 4}


def test_channels_double_up_to_the_widest(make: Any) -> None:
    with torch.device("meta"):
        for dims, widths in ((3, [32, 64, 128, 256, 320, 320]), (2, [32, 64, 128, 256, 512, 512])):
            network = make("nnunet", dims=dims, stages=6)
            assert [stage[-1][0][0].out_channels for stage in network.down] == widths
        assert make("nnunet", max_width=48).down[-1][-1][0][0].out_channels == 48


def test_the_plain_network_has_the_parameters_of_its_convolutions_and_norms(make: Any, count: Any) -> None:
    def convolution(inputs: int, outputs: int) -> int:
        return 27 * inputs * outputs + outputs + 2 * outputs

    down = convolution(1, 4) + convolution(4, 4) + convolution(4, 8) + convolution(8, 8)
    up = (8 * 4 * 2**3 + 4) + convolution(8, 4) + convolution(4, 4)
    assert count(make("nnunet", num_classes=3, stages=2, width=4)) == down + up + (4 * 3 + 3)


def test_residual_stages_have_more_blocks_the_deeper_they_are(make: Any) -> None:
    with torch.device("meta"):
        network = make("nnunet", stages=6, width=8, residual=True)
    blocks = [sum(isinstance(module, ResidualBlock) for module in stage.modules()) for stage in network.down]
    assert blocks == [1, 3, 4, 6, 6, 6]
    assert [len(stage) for stage in network.up] == [1] * 5


def test_blocks_are_those_of_the_recipe(make: Any) -> None:
    network = make("nnunet", **SMALL, blocks=[1, 2, 3], decoder_blocks=1)
    assert [len(stage) for stage in network.down] == [1, 2, 3]
    with pytest.raises(UsageError) as raised:
        make("nnunet", **SMALL, blocks=[1, 2])
    assert str(raised.value) == (
        "model.blocks: [1, 2] has 2 items for 3 stages. Give one number for each stage, or none."
    )


@torch.no_grad()
def test_a_residual_block_is_the_formula() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(Layers(3, "instance", 0.0), 2, 4, (1, 3, 3), (1, 2, 2))
    image = torch.randn(2, 2, 4, 6, 8)

    def normalised(layers: nn.Sequential, features: torch.Tensor, **options: Any) -> torch.Tensor:
        features = f.conv3d(features, layers[0].weight, layers[0].bias, **options)
        mean, variance = features.mean((2, 3, 4), keepdim=True), features.var((2, 3, 4), correction=0, keepdim=True)
        return (features - mean) / (variance + 1e-5).sqrt()

    first = f.leaky_relu(normalised(block.first[0], image, stride=(1, 2, 2), padding=(0, 1, 1)), 0.01)
    second = normalised(block.second, first, padding=(0, 1, 1))
    pooled = image.unflatten(3, (3, 2)).unflatten(5, (4, 2)).mean((4, 6))
    expected = f.leaky_relu(second + normalised(block.shortcut[1], pooled), 0.01)
    torch.testing.assert_close(block(image), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("residual", [False, True])
def test_strides_and_kernels_may_differ_between_axes_and_stages(residual: bool, make: Any) -> None:
    network = make(
        "nnunet",
        **SMALL,
        residual=residual,
        strides=[[1, 2, 2], [2, 2, 2]],
        kernel_size=[[1, 3, 3], [3, 3, 3], [3, 3, 3]],
    )
    seen: list[tuple[int, ...]] = []
    for stage in network.down:
        stage.register_forward_hook(lambda *given: seen.append(tuple(given[2].shape[2:])))
    assert network(torch.randn(1, 1, 5, 12, 9)).shape == (1, 2, 5, 12, 9)
    assert seen == [(5, 12, 9), (5, 6, 5), (3, 3, 3)]


def test_stages_can_be_supervised(make: Any) -> None:
    network = make("nnunet", stages=4, width=4, deep_supervision=True).eval()
    image = torch.randn(1, 1, 16, 20, 24)
    logits = network.supervised(image)
    assert [tuple(each.shape) for each in logits] == [(1, 2, 16, 20, 24), (1, 2, 8, 10, 12)]
    torch.testing.assert_close(logits[0], network(image))
    sum(each.square().mean() for each in logits).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert len(make("nnunet", stages=4, width=4).supervised(image)) == 1


@pytest.mark.parametrize("stages", [2, 3])
def test_too_few_stages_to_supervise_are_refused(stages: int, make: Any) -> None:
    assert len(make("nnunet", stages=stages, width=4).supervised(torch.randn(1, 1, 16, 16, 16))) == 1
    with pytest.raises(UsageError, match=f"model.deep_supervision: {stages} stages leave none .* to 4 or more"):
        make("nnunet", stages=stages, width=4, deep_supervision=True)


@pytest.mark.parametrize(
    ("norm", "kind"), [("instance", nn.InstanceNorm3d), ("batch", nn.BatchNorm3d), ("group", nn.GroupNorm)]
)
def test_the_norm_is_that_of_the_recipe(norm: str, kind: type[nn.Module], make: Any) -> None:
    network = make("nnunet", **SMALL, norm=norm)
    assert {type(layer) for layer in network.modules() if "Norm" in type(layer).__name__} == {kind}


def test_a_window_that_leaves_one_voxel_is_refused_where_it_has_no_deviation(make: Any) -> None:
    image = torch.randn(2, 1, 4, 4, 4)
    with pytest.raises(UsageError, match=r"a window of \(4, 4, 4\) is too small .* need more than \(4, 4, 4\)\. Use"):
        make("nnunet", **SMALL)(image)
    assert make("nnunet", **SMALL, norm="batch")(image).shape == (2, 2, 4, 4, 4)
    with pytest.raises(UsageError, match=r"need \(4, 4, 4\)\. Use"):
        make("nnunet", **SMALL, norm="batch")(image[..., :3])


@pytest.mark.parametrize("stem", [2, [1, 2, 2]])
def test_with_a_stem_of_a_stride_no_stage_has_the_resolution_of_the_image(stem: Any, make: Any) -> None:
    network = make("nnunet", **SMALL, stem=stem, norm="batch").eval()
    image = torch.randn(1, 1, 9, 12, 17)
    assert network(image).shape == (1, 2, 9, 12, 17)
    seen: list[tuple[int, ...]] = []
    for stage in (*network.down, *network.up):
        stage.register_forward_hook(lambda *call: seen.append(tuple(call[2].shape[2:])))
    network(image)
    depth = 9 if isinstance(stem, list) else 5
    assert max(seen) == (depth, 6, 9)


def test_logits_of_a_stem_are_one_convolution_of_enlarged_features_and_the_image(make: Any) -> None:
    network = make("nnunet", stages=4, width=4, stem=2, norm="batch", deep_supervision=True).eval()
    image = torch.randn(1, 1, 16, 16, 32)
    finest, coarser = network.supervised(image)
    torch.testing.assert_close(finest, network(image))
    assert coarser.shape == (1, 2, 4, 4, 8)
    head, features = network.heads[0], network._decoded(image)[0]
    nn.init.zeros_(head.join.weight)
    nn.init.zeros_(head.join.bias)
    with torch.no_grad():
        head.join.weight[[0, 1], [0, 1], 1, 1, 1] = 1
        head.join.weight[1, 2, 1, 1, 2] = 5  # of the image, the voxel after along x
    weight, bias = head.enlarge.weight, head.enlarge.bias
    corner = torch.einsum("nczyx,ck->nkzyx", features, weight[:, :, 1, 0, 1]) + bias.view(1, -1, 1, 1, 1)
    corner[:, 1, ..., :-1] += 5 * image[:, 0, 1::2, ::2, 2::2]
    torch.testing.assert_close(network(image)[:, :, 1::2, ::2, 1::2], corner)


def test_a_stem_counts_for_the_smallest_window(make: Any) -> None:
    with pytest.raises(UsageError, match=r"need \(8, 8, 8\)"):
        make("nnunet", **SMALL, stem=2, norm="batch")(torch.randn(2, 1, 8, 8, 7))

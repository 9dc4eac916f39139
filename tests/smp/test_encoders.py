"""Encoders on their own, as an architecture of another plugin gets them."""

from __future__ import annotations

import pytest
import torch

from volseg_core.api import UsageError
from volseg_smp.encoders import build
from volseg_smp.table import descriptors

SAMPLES = [
    ("resnet18", 1),
    ("resnet18", 3),
    ("mobilenet_v2", 1),
    ("mit_b0", 1),
    ("tu-resnet18", 2),
    ("tu-convnext_atto", 1),
    ("tu-darknet17", 1),
    ("tu-test_vit", 1),
    ("tu-test_vit", 3),
    ("tu-convnextv2_atto", 1),
]


@pytest.mark.parametrize(("name", "in_channels"), SAMPLES)
def test_channels_and_strides_are_true(name: str, in_channels: int) -> None:
    encoder = build(name=name, in_channels=in_channels, weights="none").eval()
    with torch.no_grad():
        features = encoder(torch.randn(1, in_channels, 64, 64))
    assert [feature.shape[1] for feature in features] == list(encoder.out_channels)
    assert tuple(64 // feature.shape[-1] for feature in features) == encoder.strides
    assert encoder.strides == next(e for e in descriptors() if e.name == name).strides


@pytest.mark.parametrize(
    ("name", "stride"), [("tu-test_vit_relpos", 16), ("tu-test_maxvit", 0), ("tu-test_coatnet", 0)]
)
def test_a_model_of_one_size_is_built_for_the_wanted_one(name: str, stride: int) -> None:
    encoder = build(name=name, in_channels=1, weights="none", input_size=96).eval()
    with torch.no_grad():
        features = encoder(torch.randn(1, 1, 96, 96))
    strides = (stride,) * 4 if stride else (1, 2, 4, 8, 16, 32)
    assert tuple(96 // feature.shape[-1] for feature in features) == strides


@pytest.mark.parametrize("name", ["resnet18", "tu-resnet18"])
def test_depth_and_output_stride_are_obeyed(name: str) -> None:
    encoder = build(name=name, in_channels=1, depth=4, output_stride=8, weights="none").eval()
    with torch.no_grad():
        features = encoder(torch.randn(1, 1, 64, 64))
    assert encoder.strides == (1, 2, 4, 8, 8) == tuple(64 // feature.shape[-1] for feature in features)


def test_more_stages_than_there_are_is_a_usage_error() -> None:
    with pytest.raises(
        UsageError, match=r"^model\.encoder\.depth: 5 is more than the 4 stages of encoder 'tu-test_vit'\.$"
    ):
        build(name="tu-test_vit", in_channels=1, depth=5, weights="none")


def test_an_encoder_that_cannot_be_dilated_is_a_usage_error() -> None:
    with pytest.raises(
        UsageError, match=r"^model\.encoder: encoder 'densenet121' cannot be built with depth 5 and output stride 8: "
    ):
        build(name="densenet121", in_channels=1, output_stride=8, weights="none")

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from volseg_smp.rewrites import MatrixPool, pooling


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.tuples(st.integers(1, 7), st.integers(1, 7)))
def test_averaging_matrices_pool_as_torch_does(size, bins):
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(MatrixPool(bins)(image), nn.AdaptiveAvgPool2d(bins)(image))


@pytest.mark.parametrize("name", ["PSPNet", "UPerNet"])
def test_a_rewritten_network_gives_the_same_logits_at_any_size(name):
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    network = getattr(smp, name)("resnet18", encoder_weights=None, in_channels=1, classes=2).eval()
    images = [torch.randn(1, 1, *size) for size in ((64, 96), (160, 128))]
    with torch.inference_mode():
        wanted = [network(image) for image in images]
        changed = pooling(network)
        for image, logits in zip(images, wanted, strict=True):
            torch.testing.assert_close(changed(image), logits, rtol=1e-4, atol=1e-4)
    left = [module for module in changed.modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
    assert all(module.output_size in (1, (1, 1)) for module in left)

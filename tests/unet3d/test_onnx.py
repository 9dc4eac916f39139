"""Networks in 3D as ONNX files whose batch, depth, height and width are free."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch

AXES = {0: "batch", 2: "depth", 3: "height", 4: "width"}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "nearest": ("unet3d", {"f_maps": 4, "pool_kernel_size": [1, 2, 2]}),
    "trilinear": ("unet3d", {"f_maps": 4, "upsample": "trilinear"}),
    "transposed": ("residual-unet-se3d", {"f_maps": [4, 8, 16]}),
    "classic": ("classic-unet", {"start_channels": 2, "depth": 3}),
    "hourglass": ("stacked-hourglass", {"start_channels": 2, "depth": 3}),
    "plain": ("nnunet", {"width": 2, "stages": 3, "strides": [[1, 2, 2], [2, 2, 2]]}),
    "residual": ("nnunet", {"width": 2, "stages": 3, "residual": True}),
    "stem": ("nnunet", {"width": 2, "stages": 2, "stem": 2, "norm": "batch"}),
}
OF_MONAI: dict[str, dict[str, Any]] = {
    "segresnet": {"blocks_down": [1, 1, 1], "blocks_up": [1, 1]},
    "vnet": {},
    "attention-unet": {"channels": [4, 8, 16], "strides": [2, 2]},
    "monai-unet": {"channels": [4, 8, 16], "strides": [2, 2]},
    "dynunet": {"filters": [2, 4, 8], "strides": [[1, 2, 2], [2, 2, 2]]},
    "unetr": {"feature_size": 4, "hidden_size": 24, "mlp_dim": 32, "num_heads": 4},
}


def exported(network: torch.nn.Module, image: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (image,),
            buffer,
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": AXES, "logits": AXES},
            opset_version=20,
        )
    return buffer.getvalue()


def compare(network: torch.nn.Module, *sizes: tuple[int, ...]) -> None:
    """Export at the first size, and compare at all."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    content = exported(network.eval(), torch.randn(sizes[0]))
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for size in sizes:
        image = torch.randn(size)
        with torch.no_grad():
            expected = network(image).numpy()
        (logits,) = session.run(None, {"image": image.numpy()})
        np.testing.assert_allclose(logits, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("case", NETWORKS)
def test_the_logits_are_the_same_at_every_size(case: str, make: Any) -> None:
    name, params = NETWORKS[case]
    network = make(name, num_classes=3, dims=3, **params)
    compare(network, (2, 1, 16, 16, 16), (1, 1, 9, 12, 21), (1, 1, 24, 17, 16))


@pytest.mark.parametrize("name", OF_MONAI)
def test_networks_of_monai_have_the_same_logits_at_other_sizes(name: str, make: Any) -> None:
    pytest.importorskip("monai")
    compare(make(name, dims=3, **OF_MONAI[name]), (1, 1, 32, 16, 16), (2, 1, 16, 16, 48))


def test_windows_of_attention_follow_the_size_in_3d(make: Any) -> None:
    pytest.importorskip("monai")
    from volseg_unet3d.rewrites import shifted_windows

    small = {"feature_size": 12, "depths": [2, 1, 1, 1], "num_heads": [1, 2, 4, 8], "window_size": 4}
    network = shifted_windows(make("swin-unetr", dims=3, **small))
    compare(network, (2, 1, 64, 32, 32), (1, 1, 32, 32, 96))

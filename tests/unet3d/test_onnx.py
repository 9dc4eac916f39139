"""Networks in 3D as ONNX files at sizes that no stride divides."""

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

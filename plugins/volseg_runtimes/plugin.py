"""Runtimes that execute a network."""

from __future__ import annotations

from volseg_core.api import Param, Runtime, hookimpl


@hookimpl
def volseg_runtimes() -> list[Runtime]:
    """Return the runtimes of this plugin."""
    return [
        Runtime(
            name="torch",
            target="volseg_runtimes.torch_runtime:TorchRuntime",
            summary="The trained network in torch, on a CPU or a CUDA GPU.",
            params={
                "precision": Param("choice", "auto", "Arithmetic on a GPU.", choices=("auto", "32", "bf16", "16")),
            },
            wants=("network", "device", "threads"),
            needs=("torch>=2.8",),
            extra="train",
            licence="Apache-2.0",
        ),
        Runtime(
            name="onnxruntime",
            target="volseg_runtimes.onnx_runtime:OnnxRuntime",
            summary="An exported model in ONNX Runtime, on a CPU or a CUDA GPU; needs no torch.",
            params={"gpu_memory_gb": Param("float", 0.0, "Most memory that it may take on a GPU (0: any).", min=0)},
            wants=("model", "device", "threads"),
            needs=("array-api-compat>=1.11",),
            extra="gpu",
            licence="MIT",
        ),
    ]

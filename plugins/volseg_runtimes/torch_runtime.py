"""The torch runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from volseg_core.api import ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


class TorchRuntime:
    """Execute a network with torch: batches (N, C, *S) float32 in, logits (N, C, *S) as a tensor on the device out.

    Networks run in channels-last layout where that is faster and as exact, and on a GPU in half precision where
    ``precision`` says so.

    Raises:
        ResourceError: ``device`` is ``cuda`` and torch sees no GPU.
    """

    def __init__(
        self, *, precision: str = "auto", network: Callable[[], torch.nn.Module], device: str, threads: int
    ) -> None:
        self.device = _choose(device)
        self._type = _half(precision) if self.device == "cuda" else None
        torch.set_num_threads(threads)
        self._network = network().eval().to(self.device)
        if self.device == "cpu":
            _use_onednn(self._network)
        self._layouts = _layouts(self._network, self.device)
        torch.nn.utils.convert_conv2d_weight_memory_format(self._network, self._layouts[4])
        torch.nn.utils.convert_conv3d_weight_memory_format(self._network, self._layouts[5])

    def run(self, batch: np.ndarray[Any, Any]) -> torch.Tensor:
        """Return the logits of a batch.

        Raises:
            MemoryError: the device has too little memory for it.
        """
        try:
            with torch.inference_mode(), torch.autocast(self.device, self._type, enabled=self._type is not None):
                tensor = torch.from_numpy(batch).to(self.device, non_blocking=True)
                logits: torch.Tensor = self._network(tensor.contiguous(memory_format=self._layouts[tensor.ndim]))
                return logits.contiguous()
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise MemoryError(str(error)) from None

    def free_bytes(self) -> int | None:
        """Return the free memory of the GPU, or None on a CPU."""
        return torch.cuda.mem_get_info()[0] if self.device == "cuda" else None


def _layouts(network: torch.nn.Module, device: str) -> dict[int, torch.memory_format]:
    """Return the layout of batches by their number of axes.

    On a CPU, channels last saves 10 to 30 % of a U-Net's time with batch norm. With instance norm it costs 15 %; with
    group norm torch then sums in plain float32, and what it gives is off by 1e-3 after a million pixels. On GPUs it is
    chosen for slices alone: boxes were not measured.
    """
    norms = (torch.nn.GroupNorm, torch.nn.InstanceNorm2d, torch.nn.InstanceNorm3d)
    plain = device == "cpu" and any(isinstance(module, norms) for module in network.modules())
    return {
        4: torch.contiguous_format if plain else torch.channels_last,
        5: torch.contiguous_format if plain or device != "cpu" else torch.channels_last_3d,
    }


class OneDnnConv3d(torch.nn.Conv3d):
    """A convolution that oneDNN computes.

    Torch leaves a batch of one box to code of its own where channels x depth x height are few, which takes 1.6 times as
    long in a U-Net and more memory.
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return what the convolution gives."""
        return torch.mkldnn_convolution(
            image, self.weight, self.bias, tuple(map(int, self.padding)), self.stride, self.dilation, self.groups
        )


def _use_onednn(network: torch.nn.Module) -> None:
    """Let oneDNN compute the network's plain 3D convolutions, in place."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for module in network.modules():
        if type(module) is torch.nn.Conv3d and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            module.__class__ = OneDnnConv3d


def _choose(device: str) -> str:
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise ResourceError(
            "device",
            f"cuda was asked for, but torch {torch.__version__} sees no GPU",
            "Run volseg doctor; in a container give --gpus all; or use --device cpu.",
        )
    return "cuda"


def _half(precision: str) -> torch.dtype | None:
    if precision == "auto":
        precision = "bf16" if torch.cuda.is_bf16_supported() else "16"
    return {"32": None, "bf16": torch.bfloat16, "16": torch.float16}[precision]

"""A torch runtime of chosen precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from volseg_core.api import ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


class ComponentClass:
    """Execute a network with torch in single or double precision, on a CPU or a CUDA GPU.

    Args:
        precision: ``float32`` or ``float64``.
        network: returns the module with its weights; call it once.
        device: ``auto`` (the GPU where there is one), ``cpu`` or ``cuda``; the attribute ``device`` holds the choice.
        threads: CPU threads to use.

    Raises:
        ResourceError: ``device`` is ``cuda`` and torch sees no GPU.
    """

    def __init__(
        self, *, precision: str = "float64", network: Callable[[], torch.nn.Module], device: str, threads: int
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise ResourceError("device", "cuda was asked for, but torch sees no GPU", "Use --device cpu.")
        self.device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        self._type = torch.float64 if precision == "float64" else torch.float32
        torch.set_num_threads(threads)
        self._network = network().eval().to(self.device, self._type)

    def run(self, batch: np.ndarray[Any, Any]) -> torch.Tensor:
        """Return logits (N, C, *S) of a batch (N, C, *S) float32; they may stay on the device.

        Raises:
            MemoryError: the device has too little memory; volseg tries again with fewer windows.
        """
        try:
            with torch.inference_mode():
                logits: torch.Tensor = self._network(torch.from_numpy(batch).to(self.device, self._type))
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise MemoryError(str(error)) from None
        return logits

    def free_bytes(self) -> int | None:
        """Return the memory left on the GPU, None on a CPU: batches are sized by it."""
        return torch.cuda.mem_get_info()[0] if self.device == "cuda" else None

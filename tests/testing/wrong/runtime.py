"""A right runtime and, for each rule, a runtime that breaks it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from volseg_core.api import ResourceError, Runtime


def described(target: str, summary: str) -> Runtime:
    wants = ("network", "device", "threads")
    return Runtime(name=target.lower(), target=f"runtime:{target}", summary=summary, wants=wants, licence="MIT")


class Right:
    device = "cpu"

    def __init__(self, *, network: Any, device: str, threads: int) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise ResourceError("device", "there is no GPU")
        self.network = self.prepared(network())

    def prepared(self, network: Any) -> Any:
        return network.eval()

    def free_bytes(self) -> Any:
        return None

    def run(self, batch: Any) -> Any:
        try:
            with torch.inference_mode():
                return self.network(torch.from_numpy(batch))
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from None


class FlatOnly(Right):
    def prepared(self, network: Any) -> Any:
        if isinstance(next(network.children(), None), torch.nn.Conv3d):
            raise TypeError("2D only")
        return super().prepared(network)


class Training(Right):
    def prepared(self, network: Any) -> Any:
        return network.train()


class FirstSize(Right):
    def run(self, batch: Any) -> Any:
        self.shape = getattr(self, "shape", batch.shape)
        padded = np.zeros(self.shape, np.float32)
        padded[: len(batch)] = batch[: len(padded)]
        return super().run(padded)


class Lists(Right):
    def run(self, batch: Any) -> Any:
        return super().run(batch).tolist()


class KeepsGraph(Right):
    def run(self, batch: Any) -> Any:
        try:
            return self.network(torch.from_numpy(batch))
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from None


class Device(Right):
    device = torch.device("cpu")  # type: ignore[assignment]


class NoBytes(Right):
    def free_bytes(self) -> Any:
        return -1


class OutOfMemory(Right):
    def run(self, batch: Any) -> Any:
        with torch.inference_mode():
            return self.network(torch.from_numpy(batch))


class FallsBack(Right):
    def __init__(self, *, network: Any, device: str, threads: int) -> None:
        super().__init__(network=network, device="cpu", threads=threads)


RIGHT = [(described("Right", "torch on a CPU"), {})]
WRONG = {
    "works": (described("FlatOnly", "raises in 3D and declares it"), "in 3D it raised PluginError"),
    "logits": (described("Training", "runs the network in training mode"), "with (2, 2, 16, 24) they differ by"),
    "batches": (described("FirstSize", "pads each batch to the size of the first"), "with (1, 2, 16, 24) it gives (2,"),
    "namespace": (described("Lists", "returns lists"), "they are list"),
    "detached": (described("KeepsGraph", "keeps the graph of gradients"), "requires_grad is True"),
    "device": (described("Device", "tells its device as an object"), "it is device(type='cpu')"),
    "free-bytes": (described("NoBytes", "gives -1 for what it does not know"), "it is -1"),
    "memory": (described("OutOfMemory", "lets torch's own error through"), "it raises OutOfMemoryError"),
    "no-gpu": (described("FallsBack", "falls back to the CPU"), "it is taken"),
}

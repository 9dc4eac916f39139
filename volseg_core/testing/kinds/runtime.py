"""Rules of runtimes."""

from __future__ import annotations

import io
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from array_api_compat import array_namespace
from torch import nn

from volseg_core.errors import ResourceError
from volseg_core.testing.findings import rules

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

    Array = np.ndarray[Any, Any]

RULES = rules(
    "runtime",
    works=("A runtime executes a small network on the CPU in the dims that it declares", "Mend it."),
    logits=(
        "run(batch) gives the logits of the network in evaluation mode, to a thousandth of the largest",
        "Call eval(), load the weights that network() has, and apply no softmax.",
    ),
    batches=(
        "Batches of one, of several and of another size of image are taken one after the other",
        "Return as many logits as there were images, whatever came before.",
    ),
    namespace=(
        "The logits are an array of a namespace that the array API knows",
        "Return an array of numpy, torch or cupy.",
    ),
    detached=("The logits ask for no gradient", "Run the network under torch.inference_mode()."),
    device=("device is the name of the device that is used", "Set it to 'cpu' or 'cuda'."),
    free_bytes=("free_bytes() is a number above 0, or None where nothing tells", "Return None on a CPU."),
    memory=(
        "Memory exhausted on the device is raised as MemoryError",
        "Catch the library's own error in run(); the core then tries a smaller batch.",
    ),
    no_gpu=(
        "A GPU that is not there is refused with a ResourceError",
        "Check the device when the runtime is built, and never fall back to the CPU in silence.",
    ),
)

_CHANNELS, _CLASSES = 2, 3
_SIZES = {2: ((16, 24), (32, 16)), 3: ((8, 8, 12), (16, 8, 8))}
_TOLERANCE = 1e-3


def examine(trial: Trial, found: Findings) -> None:
    """Run a small network of two convolutions."""
    for dims in trial.component.dims:
        with found.trying("works", f"in {dims}D"):
            Examination(trial, found, dims).run()


class Full(nn.Module):
    """A network for which there is never enough memory."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Raise what torch raises."""
        message = f"CUDA out of memory for {tuple(batch.shape)}"
        raise torch.OutOfMemoryError(message)


def make_network(dims: int) -> nn.Module:
    """Return a network whose output depends on evaluation mode."""
    convolution, norm = (nn.Conv2d, nn.BatchNorm2d) if dims == 2 else (nn.Conv3d, nn.BatchNorm3d)  # noqa: PLR2004
    torch.manual_seed(0)
    return nn.Sequential(
        convolution(_CHANNELS, 4, 3, padding=1), norm(4), nn.ReLU(), convolution(4, _CLASSES, 3, padding=1)
    )


@dataclass(frozen=True)
class Examination:
    """One runtime on networks of one number of dimensions."""

    trial: Trial
    found: Findings
    dims: int

    def run(self) -> None:
        """Apply every rule."""
        with tempfile.TemporaryDirectory() as folder:
            model = self._export(Path(folder))
            runtime = self._build(model)
            self._describes(runtime)
            self._logits(runtime)
            if not torch.cuda.is_available():
                self._no_gpu(model)
        if "network" in self.trial.component.wants:
            self._memory()

    def _export(self, folder: Path) -> Path | None:
        """Write the network as ONNX for a runtime that wants a model."""
        if "model" not in self.trial.component.wants:
            return None
        path, example = folder / "model.onnx", torch.zeros(1, _CHANNELS, *_SIZES[self.dims][0])
        free = dict.fromkeys((0, *range(2, 2 + self.dims)), "free")
        names = {axis: f"{name}{axis}" for axis, name in free.items()}
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                make_network(self.dims).eval(),
                (example,),
                buffer,  # type: ignore[arg-type]  # files are taken too
                dynamo=False,
                input_names=["image"],
                output_names=["logits"],
                dynamic_axes={"image": names, "logits": names},
            )
        path.write_bytes(buffer.getvalue())
        return path

    def _build(self, model: Path | None, network: Any = None, device: str = "cpu") -> Any:
        def build() -> nn.Module:
            return network or make_network(self.dims)

        return self.trial.build(network=build, model=model, device=device, threads=1)

    def _describes(self, runtime: Any) -> None:
        if not isinstance(runtime.device, str) or not runtime.device:
            self.found.broke("device", f"it is {runtime.device!r}")
        free = runtime.free_bytes()
        if free is not None and not (isinstance(free, int) and free > 0):
            self.found.broke("free-bytes", f"it is {free!r}")

    def _logits(self, runtime: Any) -> None:
        network = make_network(self.dims).eval()
        for count, size in ((2, 0), (1, 0), (3, 0), (1, 1), (2, 0)):
            shape = (count, _CHANNELS, *_SIZES[self.dims][size])
            batch = np.random.default_rng(count).normal(size=shape).astype(np.float32)
            with torch.inference_mode():
                expected = network(torch.from_numpy(batch)).numpy()
            try:
                logits = runtime.run(batch)
            except Exception as error:  # noqa: BLE001  (third-party code raises what it likes)
                self.found.broke("batches", f"with {shape} it raised {type(error).__name__}: {error}")
                return
            if not self._is_array(logits):
                return
            values = np.asarray(logits.detach().cpu() if hasattr(logits, "detach") else logits)
            if values.shape != expected.shape:
                self.found.broke("batches", f"with {shape} it gives {values.shape}, not {expected.shape}")
                return
            difference = float(np.abs(values - expected).max() / np.abs(expected).max())
            if not difference <= _TOLERANCE:
                self.found.broke("logits", f"with {shape} they differ by {difference:.2g} of it")
                return

    def _is_array(self, logits: Any) -> bool:
        try:
            array_namespace(logits)
        except TypeError:
            self.found.broke("namespace", f"they are {type(logits).__name__}")
            return False
        if getattr(logits, "requires_grad", False):
            self.found.broke("detached", "requires_grad is True")
        return True

    def _memory(self) -> None:
        try:
            self._build(None, Full()).run(np.zeros((1, _CHANNELS, *_SIZES[self.dims][0]), np.float32))
        except MemoryError:
            return
        except Exception as error:  # noqa: BLE001  (third-party code raises what it likes)
            self.found.broke("memory", f"it raises {type(error).__name__}")
        else:
            self.found.broke("memory", "nothing is raised")

    def _no_gpu(self, model: Path | None) -> None:
        if "device" not in self.trial.component.wants:
            return
        try:
            self._build(model, device="cuda")
        except ResourceError:
            return
        except Exception as error:  # noqa: BLE001  (third-party code raises what it likes)
            self.found.broke("no-gpu", f"it raises {type(error).__name__}: {error}")
        else:
            self.found.broke("no-gpu", "it is taken")

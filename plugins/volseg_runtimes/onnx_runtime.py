"""The ONNX Runtime runtime."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from volseg_core.api import DataError, PluginError, ResourceError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("volseg")

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_DRIVER = "libcuda.so.1"
_HINT = "Run volseg doctor; in a container give --gpus all; or use --device cpu."


class OnnxRuntime:
    """Execute an exported model with ONNX Runtime: batches (N, C, *S) float32 in, logits (N, C, *S) out.

    On a GPU every batch of a window gets the shape of the first one, the last being padded: a new shape would make
    the convolutions choose their algorithms anew. A model that takes batches of one size only gets those. Where torch
    or CuPy is installed, batches and logits are arrays of theirs on the device and are not copied to the host. The
    provider that a session really has is checked, since ONNX Runtime falls back to the CPU without an error.

    Raises:
        PluginError: onnxruntime is not installed. UsageError: there is no exported model.
        ResourceError: the device is not to be had, or its memory is exhausted when the model is loaded. DataError: the
            model is damaged.
    """

    def __init__(self, *, gpu_memory_gb: float = 0.0, model: Path | None, device: str, threads: int) -> None:
        if model is None:
            raise UsageError("runtime onnxruntime", "needs an exported model", "Make one: volseg export RUN")
        runtime = _import()
        self.device = _choose(runtime, device)
        if self.device != "cpu" and hasattr(runtime, "preload_dlls"):
            with redirect_stdout(io.StringIO()):  # what is missing is named by volseg doctor
                runtime.preload_dlls()  # CUDA libraries of pip's packages are on no search path
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(
                model.read_bytes(), options, providers=_providers(self.device, gpu_memory_gb)
            )
        except Exception as error:  # noqa: BLE001  (its exceptions have no base of their own)
            kind = ResourceError if _is_memory(error) else DataError
            raise kind(str(model), f"cannot be loaded by ONNX Runtime ({_line(error)})", "Try volseg verify.") from None
        found = self._session.get_providers()[0]
        if found != _PROVIDERS[self.device]:
            raise ResourceError(
                "device", f"{self.device} was asked for, but ONNX Runtime chose {found}: a library is missing", _HINT
            )
        self._arrays = _device_arrays() if self.device != "cpu" else None
        image = self._session.get_inputs()[0]
        if image.type != "tensor(float)":
            raise DataError(str(model), f"takes {image.type}; volseg gives tensor(float)", "Export it with that input.")
        self._input, self._outputs = image.name, self._session.get_outputs()
        self._fixed = image.shape[0] if isinstance(image.shape[0], int) else None
        self._batches: dict[tuple[int, ...], int] = {}
        if self.device != "cpu":
            self._warm_up(str(model))

    def _warm_up(self, where: str) -> None:
        """Run one small batch, so that a GPU that cannot execute the model says so before a volume is read.

        A graph with free sizes tells only in volseg's metadata which ones suit it; without them there is none.
        """
        shape = smallest_input(self._session.get_inputs()[0].shape, self._session.get_modelmeta().custom_metadata_map)
        if shape is None:
            return
        try:
            self.run(np.zeros(shape, np.float32))
        except (MemoryError, RuntimeError) as error:
            raise ResourceError(where, f"cannot be executed on {self.device} ({_line(error)})", _HINT) from None
        self._batches.clear()

    def run(self, batch: np.ndarray[Any, Any]) -> Any:
        """Return the logits of a batch.

        Raises:
            MemoryError: the device has too little memory for it.
        """
        if self._fixed is None:
            return self._run(batch)
        self._batches[batch.shape[1:]] = self._fixed
        parts = [self._run(batch[start : start + self._fixed]) for start in range(0, len(batch), self._fixed)]
        return array_api_compat.array_namespace(*parts).concat(parts) if len(parts) > 1 else parts[0]

    def _run(self, batch: np.ndarray[Any, Any]) -> Any:
        count = len(batch)
        if self.device != "cpu" or self._fixed is not None:
            batch = self._padded(batch)
        try:
            if self._arrays is None:
                return _joined(self._session.run(None, {self._input: batch}))[:count]
            return self._on_device(batch)[:count]
        except RuntimeError as error:
            if _is_memory(error):
                self._batches.clear()
                raise MemoryError(_line(error)) from None
            raise

    def _padded(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        most = self._batches.setdefault(batch.shape[1:], len(batch))
        if len(batch) >= most:
            self._batches[batch.shape[1:]] = len(batch)
            return batch
        return np.concatenate([batch, np.zeros((most - len(batch), *batch.shape[1:]), batch.dtype)])

    def _on_device(self, batch: np.ndarray[Any, Any]) -> Any:
        """Run with input and outputs in arrays of the GPU library, bound by their addresses."""
        binding = self._session.io_binding()
        bound = [(binding.bind_input, self._input, self._arrays.put(batch))]
        for output in self._outputs:
            array = self._arrays.empty((len(batch), output.shape[1], *batch.shape[2:]))
            bound.append((binding.bind_output, output.name, array))
        for bind, name, array in bound:
            bind(name, "cuda", 0, np.float32, tuple(array.shape), self._arrays.address(array))
        self._arrays.wait()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return _joined([array for _, _, array in bound[1:]])

    def free_bytes(self) -> int | None:
        """Return the free memory of the GPU, or None on a CPU or where nothing tells."""
        return self._arrays.free() if self._arrays is not None else None


def _joined(outputs: list[Any]) -> Any:
    """Return the outputs of all heads as one array, one after the other."""
    return array_api_compat.array_namespace(*outputs).concat(outputs, axis=1) if len(outputs) > 1 else outputs[0]


def smallest_input(shape: list[Any], metadata: dict[str, str]) -> tuple[int, ...] | None:
    """Return the shape of the smallest batch that a model takes, or None where nothing tells.

    ``shape`` is that of its input, with names where a size is free; ``metadata`` holds ``volseg.spec``.
    """
    try:
        spec = json.loads(metadata["volseg.spec"])
        least = [_smallest(spec, axis) for axis in range(len(shape) - 2)]
    except (IndexError, KeyError, TypeError, ValueError):
        least = [0] * (len(shape) - 2)
    sizes = [size if isinstance(size, int) else smallest for size, smallest in zip(shape[2:], least, strict=True)]
    if not all(sizes) or not isinstance(shape[1], int):
        return None
    return (shape[0] if isinstance(shape[0], int) else 1, shape[1], *sizes)


def _smallest(spec: dict[str, Any], axis: int) -> int:
    """Return the smallest size along an axis; a single number is that of every axis."""
    step, minimum = (
        int(value[axis] if isinstance(value, list) else value) for value in (spec["divisor"], spec["min_size"])
    )
    return -(-max(minimum, 1) // step) * step


class _Torch:
    """Arrays of torch on the GPU."""

    def __init__(self) -> None:
        import torch

        self._torch = torch

    def put(self, array: np.ndarray[Any, Any]) -> Any:
        return self._torch.from_numpy(array).to("cuda")

    def empty(self, shape: tuple[int, ...]) -> Any:
        return self._torch.empty(shape, dtype=self._torch.float32, device="cuda")

    def address(self, array: Any) -> int:
        return int(array.data_ptr())

    def wait(self) -> None:
        self._torch.cuda.current_stream().synchronize()

    def free(self) -> int:
        return int(self._torch.cuda.mem_get_info()[0])


class _CuPy:
    """Arrays of CuPy."""

    def __init__(self) -> None:
        import cupy

        self._cupy = cupy

    def put(self, array: np.ndarray[Any, Any]) -> Any:
        return self._cupy.asarray(array)

    def empty(self, shape: tuple[int, ...]) -> Any:
        return self._cupy.empty(shape, dtype=np.float32)

    def address(self, array: Any) -> int:
        return int(array.data.ptr)

    def wait(self) -> None:
        self._cupy.cuda.get_current_stream().synchronize()

    def free(self) -> int:
        return int(self._cupy.cuda.runtime.memGetInfo()[0])


def _device_arrays() -> _Torch | _CuPy | None:
    """Return the GPU arrays of the first library that is installed and sees the GPU."""
    for library in (_Torch, _CuPy):
        try:
            arrays = library()
            arrays.free()
        except Exception as error:  # noqa: BLE001  (each fails in its own way without a GPU)
            log.debug("arrays on the GPU: %s: %s", library.__name__.strip("_"), _line(error))
        else:
            return arrays
    return None


def _import() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise PluginError(
            "runtime onnxruntime",
            f"onnxruntime is not installed ({_line(error)})",
            notes=['pip install "volseg[gpu]", or without a GPU "volseg[cpu]"; never both in one environment'],
        ) from None
    return onnxruntime


def _choose(runtime: Any, device: str) -> str:
    """Return the device to use; ``auto`` is the GPU where there are a driver and a build that can use it."""
    built = runtime.get_available_providers()
    if device == "auto":
        return "cuda" if _PROVIDERS["cuda"] in built and _has_driver() else "cpu"
    if _PROVIDERS[device] not in built:
        what = f"{device} was asked for, but onnxruntime {runtime.__version__} was built without it"
        raise ResourceError("device", what, 'Install "volseg[gpu]", or use --device cpu.')
    if device != "cpu" and not _has_driver():
        raise ResourceError("device", f"{device} was asked for, but there is no GPU driver ({_DRIVER})", _HINT)
    return device


def _has_driver() -> bool:
    import ctypes

    try:
        driver = ctypes.CDLL(_DRIVER)
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def _providers(device: str, gigabytes: float) -> list[Any]:
    if device == "cpu":
        return [_PROVIDERS["cpu"]]
    options: dict[str, Any] = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
    if gigabytes:
        options["gpu_mem_limit"] = int(gigabytes * 2**30)
    gpu = [(_PROVIDERS["cuda"], options), _PROVIDERS["cpu"]]
    return [_PROVIDERS["tensorrt"], *gpu] if device == "tensorrt" else gpu


def _is_memory(error: Exception) -> bool:
    text = str(error).lower()
    return "failed to allocate memory" in text or "out of memory" in text


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]

"""What can use a GPU here: the driver and its GPUs, and ONNX Runtime's providers, opened as a session would open them.

Driver and management library are asked through their C interfaces (the CUDA driver API and NVML), so that neither torch
nor a command has to be installed.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

DRIVER = "libcuda.so.1"
"""The driver's library: it comes with the machine or the container toolkit, never with a package."""
MANAGEMENT = "libnvidia-ml.so.1"
PROVIDERS = {"cuda": "libonnxruntime_providers_cuda.so", "tensorrt": "libonnxruntime_providers_tensorrt.so"}
"""Libraries of ONNX Runtime's providers for NVIDIA GPUs, by device."""
_MISSING = ": cannot open shared object file"
_PRELOAD = re.compile(r"Failed to load (\S+):")
_TEXT = 96


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver describes it, memory in bytes."""

    name: str
    memory: int


@dataclass(frozen=True)
class Driver:
    """The installed driver: its version where NVML tells, the newest CUDA it runs, and the GPUs that it shows."""

    version: str
    cuda: str
    gpus: tuple[Gpu, ...]


def find_driver() -> Driver | None:
    """Return the driver and its GPUs, or None without a driver that works."""
    try:
        cuda = ctypes.CDLL(DRIVER)
    except OSError:
        return None
    number = ctypes.c_int(0)
    if cuda.cuDriverGetVersion(ctypes.byref(number)):
        return None
    newest = f"{number.value // 1000}.{number.value % 1000 // 10}"
    count = ctypes.c_int(0)
    # cuInit fails where the driver is there but no GPU is given to this process or container
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return Driver(_driver_version(), newest, ())
    return Driver(_driver_version(), newest, tuple(_gpu(cuda, index) for index in range(count.value)))


def _gpu(cuda: ctypes.CDLL, index: int) -> Gpu:
    device, name, memory = ctypes.c_int(0), ctypes.create_string_buffer(_TEXT), ctypes.c_size_t(0)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, _TEXT, device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return Gpu(name.value.decode(errors="replace"), memory.value)


def _driver_version() -> str:
    try:
        management = ctypes.CDLL(MANAGEMENT)
    except OSError:
        return ""
    text = ctypes.create_string_buffer(_TEXT)
    if management.nvmlInit_v2() or management.nvmlSystemGetDriverVersion(text, _TEXT):
        return ""
    return text.value.decode(errors="replace")


def missing_libraries(device: str) -> list[str] | None:
    """Return the libraries that ONNX Runtime's provider for ``cuda`` or ``tensorrt`` lacks, with the driver's.

    None means that there is nothing to look at: ONNX Runtime is not installed, or was built without the provider.
    """
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "capi"
    provider = folder / PROVIDERS[device]
    if not provider.is_file():
        return None
    import onnxruntime

    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # it prints what it cannot load
        onnxruntime.preload_dlls()
    missing = [Path(name).name for name in _PRELOAD.findall(said.getvalue())]
    try:
        for name in ("libonnxruntime_providers_shared.so", provider.name):
            ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        text = str(error)
        missing.append(text.partition(_MISSING)[0] if _MISSING in text else text)
    return list(dict.fromkeys(missing))


def describe_provider(device: str) -> str:
    """Return ``usable``, or in words why ONNX Runtime cannot use the device here."""
    missing = missing_libraries(device)
    if missing is None:
        return "not built in (the extra gpu brings it)"
    lacking = [name for name in missing if name != DRIVER]
    if lacking:
        return f"{', '.join(lacking)} missing"
    if missing:
        return f"complete, but there is no GPU driver ({DRIVER}); in a container give --gpus all"
    driver = find_driver()
    return "usable" if driver and driver.gpus else "complete, but the driver shows no GPU"


def main() -> None:
    """Leave with 0 when nothing but the driver is missing: a check for images, which are built without a GPU."""
    missing = missing_libraries("cuda")
    print(f"CUDA provider of ONNX Runtime: {describe_provider('cuda')}")  # noqa: T201  (its output)
    sys.exit(0 if missing is not None and set(missing) <= {DRIVER} else 1)


if __name__ == "__main__":
    main()

"""What ONNX Runtime can use here: its CUDA provider is opened as a session would, and a missing library is named."""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

DRIVER = "libcuda.so.1"
"""The driver's library: it comes with the machine or the container toolkit, never with a package."""
_MISSING = ": cannot open shared object file"


def missing_cuda_library() -> str | None:
    """Return the first library that ONNX Runtime's CUDA provider lacks, an empty string for none.

    None means that there is nothing to look at: ONNX Runtime is not installed, or was built without CUDA.
    """
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "capi"
    provider = folder / "libonnxruntime_providers_cuda.so"
    if not provider.is_file():
        return None
    import onnxruntime

    onnxruntime.preload_dlls()
    try:
        for name in ("libonnxruntime_providers_shared.so", provider.name):
            ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        text = str(error)
        return text.partition(_MISSING)[0] if _MISSING in text else text
    return ""


def describe_cuda_provider() -> str:
    """Return in words whether ONNX Runtime can use a GPU here."""
    missing = missing_cuda_library()
    if missing is None:
        return "not built in (the extra gpu brings it)"
    if missing == DRIVER:
        return f"complete, but there is no GPU driver ({DRIVER}); in a container give --gpus all"
    return f"{missing} is missing" if missing else "usable"


def main() -> None:
    """Leave with 0 when nothing but the driver is missing: a check for images, which are built without a GPU."""
    missing = missing_cuda_library()
    print(f"CUDA provider of ONNX Runtime: {describe_cuda_provider()}")  # noqa: T201  (its output)
    sys.exit(0 if missing in ("", DRIVER) else 1)


if __name__ == "__main__":
    main()

from __future__ import annotations

import subprocess
import sys

import pytest

from volseg_core import accelerators


def test_without_a_gpu_nothing_but_the_driver_is_missing():
    """The CUDA libraries come from packages; the check of the image accepts that the driver is not there."""
    done = subprocess.run(
        [sys.executable, "-m", "volseg_core.accelerators"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "usable" in done.stdout or "there is no GPU driver (libcuda.so.1)" in done.stdout


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        (None, "not built in (the extra gpu brings it)"),
        ("libcurand.so.10", "libcurand.so.10 is missing"),
        ("libcuda.so.1", "complete, but there is no GPU driver (libcuda.so.1); in a container give --gpus all"),
        ("", "usable"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, missing, text):
    monkeypatch.setattr(accelerators, "missing_cuda_library", lambda: missing)
    assert accelerators.describe_cuda_provider() == text


def test_a_missing_library_fails_the_check_of_an_image(monkeypatch):
    monkeypatch.setattr(accelerators, "missing_cuda_library", lambda: "libcurand.so.10")
    with pytest.raises(SystemExit) as left:
        accelerators.main()
    assert left.value.code == 1

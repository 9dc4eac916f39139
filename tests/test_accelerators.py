"""What is said of a driver comes from a library with the driver's interface, compiled here; no GPU is needed."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from volseg_core import accelerators
from volseg_core.accelerators import Driver, Gpu

DRIVER = """
#include <string.h>
#include <stddef.h>
int cuDriverGetVersion(int *v) { *v = 13020; return VERSION_STATUS; }
int cuInit(unsigned flags) { return flags == 0 ? INIT_STATUS : 1; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGet(int *device, int index) { *device = 40 + index; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
  strncpy(name, device == 40 ? "First GPU" : "Second GPU", length); return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)(device - 39) << 34; return 0; }
"""
MANAGEMENT = """
#include <string.h>
int nvmlInit_v2(void) { return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned length) { strncpy(text, "580.12", length); return 0; }
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Compile a driver with the given states and make it the one that is found."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")

    def install(version=0, init=0, management=True):
        states = f"#define VERSION_STATUS {version}\n#define INIT_STATUS {init}\n"
        for name, text in (("cuda", states + DRIVER), ("ml", MANAGEMENT)):
            (tmp_path / f"{name}.c").write_text(text)
            built = [compiler, "-shared", "-fPIC", "-o", tmp_path / f"{name}.so", tmp_path / f"{name}.c"]
            subprocess.run(built, check=True)
        monkeypatch.setattr(accelerators, "DRIVER", str(tmp_path / "cuda.so"))
        monkeypatch.setattr(accelerators, "MANAGEMENT", str(tmp_path / ("ml.so" if management else "none.so")))

    return install


def test_a_driver_tells_its_version_and_its_gpus(driver):
    driver()
    gpus = (Gpu("First GPU", 1 << 34), Gpu("Second GPU", 2 << 34))
    assert accelerators.find_driver() == Driver("580.12", "13.2", gpus)


def test_a_driver_without_its_management_library_still_tells_the_gpus(driver):
    driver(management=False)
    found = accelerators.find_driver()
    assert found is not None
    assert (found.version, len(found.gpus)) == ("", 2)


def test_a_driver_that_gives_no_gpu_to_this_process_shows_none(driver):
    driver(init=100)  # CUDA_ERROR_NO_DEVICE
    assert accelerators.find_driver() == Driver("580.12", "13.2", ())


def test_a_driver_that_does_not_answer_and_none_at_all_are_none(driver, monkeypatch):
    driver(version=3)
    assert accelerators.find_driver() is None
    monkeypatch.setattr(accelerators, "DRIVER", "no-such-library.so")
    assert accelerators.find_driver() is None


def test_without_a_gpu_nothing_but_the_driver_is_missing():
    """The CUDA libraries come from packages; the check of the image accepts that the driver is not there."""
    done = subprocess.run(
        [sys.executable, "-m", "volseg_core.accelerators"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "usable" in done.stdout or "there is no GPU driver (libcuda.so.1)" in done.stdout


def test_the_tensorrt_provider_names_the_library_that_no_extra_brings():
    missing = accelerators.missing_libraries("tensorrt")
    assert missing is None or not missing or any(name.startswith("libnvinfer.so") for name in missing)


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        (None, "not built in (the extra gpu brings it)"),
        (["libcurand.so.10"], "libcurand.so.10 missing"),
        (["libcublas.so.13", "libcurand.so.10", "libcuda.so.1"], "libcublas.so.13, libcurand.so.10 missing"),
        (["libcuda.so.1"], "complete, but there is no GPU driver (libcuda.so.1); in a container give --gpus all"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, missing, text):
    monkeypatch.setattr(accelerators, "missing_libraries", lambda _: missing)
    assert accelerators.describe_provider("cuda") == text


@pytest.mark.parametrize(("init", "text"), [(0, "usable"), (100, "complete, but the driver shows no GPU")])
def test_a_complete_provider_is_usable_with_a_gpu(driver, monkeypatch, init, text):
    driver(init=init)
    monkeypatch.setattr(accelerators, "missing_libraries", lambda _: [])
    assert accelerators.describe_provider("cuda") == text


def test_a_missing_library_fails_the_check_of_an_image(monkeypatch):
    monkeypatch.setattr(accelerators, "missing_libraries", lambda _: ["libcurand.so.10", "libcuda.so.1"])
    with pytest.raises(SystemExit) as left:
        accelerators.main()
    assert left.value.code == 1

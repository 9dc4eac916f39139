from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from volseg_core.errors import ResourceError, UsageError
from volseg_core.machine import cpu_count, cpu_quota, memory_available, shared_memory, thread_count, torch_device

GIB = 2**30


def tree(folder: Path, **files: str) -> Path:
    """Write a control group: ``cpu__max`` is ``cpu.max`` and ``cpu___x`` is ``cpu/x``."""
    for name, content in files.items():
        path = folder / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu__max": "150000 100000\n"}, 1.5),
        ({"cpu__max": "max 100000\n"}, None),
        ({"cpu__max": "nonsense"}, None),
        ({"cpu__max": "5 0"}, None),
        ({"cpu___cpu__cfs_quota_us": "400000", "cpu___cpu__cfs_period_us": "100000"}, 4.0),
        ({"cpu___cpu__cfs_quota_us": "-1", "cpu___cpu__cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_a_container_is_read(tmp_path: Path, files: Any, quota: Any) -> None:
    assert cpu_quota(tree(tmp_path, **files)) == quota


def test_cpus_are_bounded_by_quota_and_affinity(tmp_path: Path) -> None:
    allowed = len(os.sched_getaffinity(0))
    assert cpu_count(tree(tmp_path / "one", cpu__max="100000 100000")) == 1
    assert cpu_count(tree(tmp_path / "tenth", cpu__max="10000 100000")) == 1
    assert cpu_count(tree(tmp_path / "many", cpu__max="99900000 100000")) == allowed
    assert cpu_count(tmp_path / "none") == allowed


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text(f"MemTotal: {64 * 2**20} kB\nMemAvailable: {32 * 2**20} kB\n")
    return path


@pytest.mark.parametrize(
    ("files", "gib"),
    [
        ({}, 32),
        ({"memory__max": "max", "memory__current": str(5 * GIB)}, 32),
        ({"memory__max": str(8 * GIB), "memory__current": str(5 * GIB)}, 3),
        ({"memory__max": str(8 * GIB), "memory__current": str(8 * GIB)}, 0),
        (
            # a container that has read a large file: its cache is given back on demand
            {
                "memory__max": str(8 * GIB),
                "memory__current": str(8 * GIB),
                "memory__stat": f"anon 1\ninactive_file {6 * GIB}\n",
            },
            6,
        ),
        ({"memory__max": str(999 * GIB), "memory__current": "0"}, 32),
        ({"memory___memory__limit_in_bytes": str(4 * GIB), "memory___memory__usage_in_bytes": str(GIB)}, 3),
    ],
)
def test_memory_is_what_the_system_and_the_container_leave(tmp_path: Path, meminfo: Path, files: Any, gib: Any) -> None:
    assert memory_available(tree(tmp_path / "group", **files), meminfo) == gib * GIB


def test_memory_is_unknown_where_the_system_does_not_say(tmp_path: Path) -> None:
    assert memory_available(tmp_path, tmp_path / "absent") is None


def test_this_machine_has_memory() -> None:
    assert (memory_available() or 0) > 0
    assert shared_memory() is None or shared_memory() >= 0


@pytest.mark.parametrize("length", [10, 100])
def test_sockets_need_a_folder_with_a_short_path(length: int) -> None:
    code = "from volseg_core.machine import socket_fault; print(socket_fault())"
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        folder = Path(short) / ("a" * length)
        folder.mkdir()
        told = subprocess.check_output([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(folder)})
    assert (told != b"\n") == (length == 100)


def test_the_cpu_can_always_be_had() -> None:
    assert torch_device("cpu") == "cpu"


def test_a_gpu_that_is_not_there_is_never_replaced_silently() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        assert torch_device("auto") == torch_device("cuda") == "cuda"
        return
    assert torch_device("auto") == "cpu"
    with pytest.raises(ResourceError) as caught:
        torch_device("cuda")
    assert str(caught.value).startswith("device: cuda was asked for, but torch ")
    assert "sees no GPU. Run volseg doctor; in a container give --gpus all; or use --device cpu." in str(caught.value)


@pytest.mark.parametrize(("word", "hint"), [("cudda", "Did you mean 'cuda'?"), ("mps", "CUDA_VISIBLE_DEVICES chooses")])
def test_other_devices_are_refused(word: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"device: '{word}' is not one of auto, cpu, cuda") as caught:
        torch_device(word)
    assert hint in str(caught.value)


def test_threads_are_what_the_user_set_or_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_count() == 3
    for unusable in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", unusable)
        assert thread_count() == cpu_count()

"""What this machine offers: CPUs within the container's quota, memory, shared memory, the torch device."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from volseg_core.errors import ResourceError, UsageError, did_you_mean

DEVICES = ("auto", "cpu", "cuda")

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def cpu_count(cgroup: Path = _CGROUP) -> int:
    """Return how many CPUs this process may use: affinity and the quota of ``cgroup``, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(cgroup)
    return max(1, min(allowed, int(quota + 0.5) if quota else allowed))


def thread_count() -> int:
    """Return how many threads a network should use: ``OMP_NUM_THREADS`` where the user sets it, else the CPUs."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) > 0 else cpu_count()


def cpu_quota(cgroup: Path = _CGROUP) -> float | None:
    """Return the CPUs that a control group (version 2, else 1) allows, or None without a limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        pass
    quota, interval = _number(cgroup / "cpu/cpu.cfs_quota_us"), _number(cgroup / "cpu/cpu.cfs_period_us")
    return quota / interval if quota and interval and quota > 0 else None


def memory_available(cgroup: Path = _CGROUP, meminfo: Path = _MEMINFO) -> int | None:
    """Return bytes of main memory that can still be used, or None where the system does not say.

    The limit of ``cgroup`` counts too; its page cache does not, for the kernel gives that back.
    """
    try:
        lines = meminfo.read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None
    for folder, limit, used, cache in (
        (cgroup, "memory.max", "memory.current", "inactive_file"),
        (cgroup / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, now = _number(folder / limit), _number(folder / used)
        if most is not None and now is not None:
            return min(free, max(0, most - now + _statistic(folder / "memory.stat", cache)))
    return free


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _statistic(path: Path, name: str) -> int:
    try:
        pairs = (line.split() for line in path.read_text().splitlines())
        return next((int(pair[1]) for pair in pairs if pair[0] == name), 0)
    except (OSError, ValueError, IndexError):
        return 0


def shared_memory() -> int | None:
    """Return the free bytes of /dev/shm, which data workers need, or None where there is none."""
    try:
        return shutil.disk_usage("/dev/shm").free  # noqa: S108  (the mount itself is meant)
    except OSError:
        return None


def socket_fault() -> str:
    """Return why processes cannot hand each other arrays, or an empty string.

    Data workers do so through sockets in the folder of temporary files, whose path may be too long for one (107
    characters with the socket's own name on Linux). They would wait for ever without a word.
    """
    from multiprocessing.connection import Listener

    try:
        Listener().close()
    except OSError as error:
        return str(error)
    return ""


def importable(name: str) -> bool:
    """Return whether a package is installed, without importing it."""
    from importlib.util import find_spec

    return find_spec(name) is not None


def onnx_is_faster(device: str) -> bool:
    """Return whether ONNX Runtime is installed and beats torch: on a CPU (docs/benchmarks.md)."""
    if not importable("onnxruntime") or device not in ("auto", "cpu"):
        return False
    return device == "cpu" or not importable("torch") or torch_device("auto") == "cpu"


def torch_device(wanted: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: another word. ResourceError: a GPU was asked for and torch sees none; never a silent fall-back.
    """
    where = "device"
    if wanted not in DEVICES:
        hint = did_you_mean(wanted, DEVICES) or "CUDA_VISIBLE_DEVICES chooses among several GPUs."
        raise UsageError(where, f"{wanted!r} is not one of {', '.join(DEVICES)}", hint)
    if wanted == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
        raise ResourceError(
            where,
            f"cuda was asked for, but torch {torch.__version__} (built for {built}) sees no GPU",
            "Run volseg doctor; in a container give --gpus all; or use --device cpu.",
        )
    return "cpu"

"""What this machine offers: CPUs within the container's quota, memory, shared memory, the torch device."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from volseg_core.errors import ResourceError

_CGROUP = Path("/sys/fs/cgroup")


def cpu_count() -> int:
    """Return how many CPUs this process may use: affinity and the container's quota, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota()
    return max(1, min(allowed, int(quota + 0.5) if quota else allowed))


def _cpu_quota() -> float | None:
    try:
        limit, period = (_CGROUP / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = int((_CGROUP / "cpu/cpu.cfs_quota_us").read_text())
        return limit / int((_CGROUP / "cpu/cpu.cfs_period_us").read_text()) if limit > 0 else None
    except (OSError, ValueError):
        return None


def memory_available() -> int | None:
    """Return bytes of main memory that can still be used, or None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return free
    return min(free, max(0, limit - used))


def shared_memory() -> int | None:
    """Return the free bytes of /dev/shm, which data workers need, or None where there is none."""
    try:
        return shutil.disk_usage("/dev/shm").free  # noqa: S108  (the mount itself is meant)
    except OSError:
        return None


def torch_device(wanted: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ResourceError: a GPU was asked for and torch sees none; never a silent fall-back.
    """
    import torch

    if wanted == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
        raise ResourceError(
            "device", f"cuda was asked for, but torch {torch.__version__} (built for {built}) sees no GPU",
            "Run volseg doctor; in a container give --gpus all; or use --device cpu.",
        )
    return "cpu"

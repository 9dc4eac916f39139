"""What this installation can use: machine, container limits, GPU, runtimes, plugins; and what is wrong with it."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from volseg_core import accelerators, machine, provenance
from volseg_core.errors import ExitCode
from volseg_core.mending import mend

if TYPE_CHECKING:
    from volseg_core.registry import Registry

_LITTLE_SHARED = 512 * 2**20
"""Bytes of shared memory below which data workers are likely to die; Docker's default is 64 MiB."""


@dataclass(frozen=True)
class Problem:
    """Something that will fail, how to mend it, and the exit code that it means."""

    what: str
    hint: str
    code: ExitCode


def look(registry: Registry) -> dict[str, Any]:
    """Return the facts of the installation by group, as plain data; sizes are bytes, None is unknown or absent."""
    driver = accelerators.find_driver()
    return {
        "volseg": provenance.own_version(),
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "machine": {
            "cpus": machine.cpu_count(),
            "cpu_quota": machine.cpu_quota(),
            "threads": machine.thread_count(),
            "memory": machine.memory_available(),
            "shared_memory": machine.shared_memory(),
            "socket_fault": machine.socket_fault(),
        },
        "libraries": {name: provenance.installed_version(name) or None for name in provenance.LIBRARIES},
        "driver": asdict(driver) if driver else None,
        "torch": _torch(),
        "onnxruntime": {device: accelerators.describe_provider(device) for device in accelerators.PROVIDERS},
        "registry": str(registry.file.path) if registry.file.path else None,
        "plugins": {
            record.id: {
                "version": record.version,
                "status": record.status,
                "reason": record.reason,
                "mend": mend(record),
            }
            for record in registry.plugins.records
        },
    }


def problems(facts: dict[str, Any], *, gpu: bool) -> list[Problem]:
    """Return what is wrong; a missing GPU is only with ``gpu``, but one that cannot be used always is."""
    found = [
        Problem(f"plugin {name} is {plugin['status']}: {plugin['reason']}", _run(plugin["mend"]), ExitCode.PLUGIN)
        for name, plugin in facts["plugins"].items()
        if plugin["status"] in ("broken", "incompatible")
    ]
    shared, driver = facts["machine"]["shared_memory"], facts["driver"]
    if driver and shared is not None and shared < _LITTLE_SHARED:
        what = f"shared memory (/dev/shm) has {shared / 2**20:.0f} MiB free, too little for data workers"
        found.append(Problem(what, "docker run --shm-size 1g, or train with -s train.workers=0", ExitCode.RESOURCE))
    if facts["machine"]["socket_fault"]:
        what = f"data workers cannot make sockets for temporary files ({facts['machine']['socket_fault']})"
        found.append(Problem(what, "set TMPDIR to a local folder with a short path", ExitCode.RESOURCE))
    if gpu or (driver and driver["gpus"]):
        found += _gpu_problems(facts)
    return found


def _run(command: str) -> str:
    return f"Try: {command}"


def _gpu_problems(facts: dict[str, Any]) -> list[Problem]:
    driver, torch = facts["driver"], facts["torch"]
    if not driver or not driver["gpus"]:
        what = "the driver shows no GPU" if driver else f"there is no GPU driver ({accelerators.DRIVER})"
        hint = "In a container give --gpus all (Apptainer: --nv); CUDA_VISIBLE_DEVICES may hide GPUs."
        return [Problem(what, hint, ExitCode.RESOURCE)]
    found = []
    newest = _major(driver["cuda"])
    if torch and not torch["gpus"]:
        what = f"torch {facts['libraries']['torch']} sees no GPU"
        if torch["cuda"] is None:
            hint = "It was built without CUDA; install the CUDA build."
        elif _major(torch["cuda"]) > newest:
            hint = f"It needs CUDA {torch['cuda']} and the driver runs {driver['cuda']} at most: update the driver."
        else:
            hint = "Run python -c 'import torch; torch.zeros(1).cuda()' to see why."
        found.append(Problem(what, hint, ExitCode.RESOURCE))
    state = facts["onnxruntime"]["cuda"]
    if machine.importable("onnxruntime") and state != "usable":
        what = f"ONNX Runtime cannot use the GPU: {state}"
        found.append(Problem(what, 'pip install "volseg[gpu]" and no onnxruntime beside it', ExitCode.RESOURCE))
    return found


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _torch() -> dict[str, Any] | None:
    """Return for which CUDA torch was built and how many GPUs it sees, or None without torch."""
    if not machine.importable("torch"):
        return None
    import torch

    return {"cuda": torch.version.cuda, "gpus": torch.cuda.device_count() if torch.cuda.is_available() else 0}

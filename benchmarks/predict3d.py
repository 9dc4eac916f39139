"""What 3D prediction costs beside its network, and its peak memory, against pytorch-3dunet and MONAI.

    export PEER3D_PYTHON=peer3d/bin/python OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
    python benchmarks/predict3d.py [host] [memory] [growth]

All tools read a volume of bytes from an HDF5 file and write to one, in windows of 32 x 64 x 64, one process for each
measurement; PEER3D_PYTHON has `pytorch3dunet==1.9.6` and `monai`. ``host`` puts a sigmoid in the network's place.
``memory`` is the peak above that after imports and a small prediction, on 64 x 256 x 256 with a U-Net of 16 channels
and four levels, the same weights in all tools. ``growth`` is the same with a sigmoid and volumes 1, 2 and 4 times as
deep. `predict_cost.py --dims 3` compares with the bare network.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from peer_run import Meter
from random_model import write_random

from volseg_core.operations import predict
from volseg_core.registry import Registry, load_registry

if TYPE_CHECKING:
    from collections.abc import Sequence

PLUGIN = '''
"""A network that costs nothing: its logits are the image, so that probabilities are a sigmoid of it."""

from volseg_core.api import Architecture, hookimpl


@hookimpl
def volseg_architectures():
    return [Architecture(name="free", target="free:build", summary="Nothing.", licence="MIT", dims=(3,), divisor=1)]


def build():
    from torch import nn

    return nn.Identity()
'''
PEERS = {
    "pytorch-3dunet": ["pytorch-3dunet"],
    "pytorch-3dunet, halo 4, 8, 8": ["pytorch-3dunet", "--halo", "4", "8", "8"],
    "MONAI, gaussian": ["monai"],
    "MONAI, gaussian, 4 at once": ["monai", "--batch", "4"],
}
SHAPE = (64, 256, 256)
MIB = 1 << 20


def main() -> None:
    """Measure and print what is asked for, by default everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=("host", "memory", "growth", []), default=[])
    parser.add_argument("--side", nargs=4, metavar=("NETWORK", "VOLUME", "OVERLAP", "WANTED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        own(*options.side)
        return
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what in options.what or ("host", "memory", "growth"):
            {"host": host, "memory": memory, "growth": growth}[what](folder)


def host(folder: Path) -> None:
    """Print CPU seconds per million voxels of the volume, with a sigmoid for a network."""
    volume = write_volume(folder, SHAPE)
    million = np.prod(SHAPE) / 1e6
    print("host cost, CPU s per Mvoxel   overlap   labels   probabilities")
    for overlap in (0.0, 0.5):
        for name in ("volseg", "pytorch-3dunet", "MONAI, gaussian", "MONAI, gaussian, 4 at once"):
            costs = [
                min(measured(name, "sigmoid", volume, overlap, wanted)["cpu"] for _ in range(3)) / million
                for wanted in ("labels", "probabilities")
            ]
            print(f"{name:30} {overlap:6} {costs[0]:8.3f} {costs[1]:12.3f}", flush=True)


def memory(folder: Path) -> None:
    """Print peaks on 64 x 256 x 256 with the same U-Net."""
    volume = write_volume(folder, SHAPE)
    write_network(folder)
    print("peak memory, MiB              labels   probabilities   CPU s")
    for name in ("volseg", *PEERS):
        found = [measured(name, "unet", volume, 0.5, wanted) for wanted in ("labels", "probabilities")]
        peaks = " ".join(f"{each['peak'] / MIB:12.0f}" for each in found)
        print(f"{name:30} {peaks} {found[0]['cpu']:12.1f}", flush=True)


def growth(folder: Path) -> None:
    """Print how peaks grow with the volume."""
    print("bytes per voxel that peaks grow by: volume of bytes, network for nothing, labels")
    deep = {times: write_volume(folder, (SHAPE[0] * times, *SHAPE[1:])) for times in (1, 2, 4)}
    voxels = {times: np.prod(SHAPE) * times for times in deep}
    for name in ("volseg", "pytorch-3dunet", "MONAI, gaussian"):
        peaks = {times: measured(name, "sigmoid", path, 0.5, "labels")["peak"] for times, path in deep.items()}
        steps = [(peaks[b] - peaks[a]) / (voxels[b] - voxels[a]) for a, b in ((1, 2), (2, 4))]
        shown = ", ".join(f"{peak / MIB:.0f}" for peak in peaks.values())
        print(f"{name:30} peaks {shown} MiB: {steps[0]:.1f}, {steps[1]:.1f}", flush=True)


def measured(name: str, network: str, volume: Path, overlap: float, wanted: str) -> dict[str, Any]:
    """Return the figures of a prediction in a process of its own."""
    if name == "volseg":
        command = [sys.executable, __file__, "--side", network, str(volume), str(overlap), wanted]
    else:
        own = network if network == "sigmoid" else str(volume.with_name("network.pt"))
        command = [os.environ.get("PEER3D_PYTHON", sys.executable), str(Path(__file__).with_name("peer3d_run.py"))]
        command += [*PEERS[name], str(volume), "--network", own, "--overlap", str(overlap)]
        command += ["--labels"] if wanted == "labels" else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def own(network: str, volume: str, overlap: str, wanted: str) -> None:
    """Make a small prediction that imports everything, then the measured one, and print its figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry = local_registry(folder)
        model = write_model(registry, folder, network, wanted)
        small = np.random.default_rng(0).integers(0, 256, (32, 64, 64), dtype=np.uint8)
        settings = ["predict.window=[32, 64, 64]", f"predict.overlap={overlap}"]

        def run(volume: Any, output: str) -> None:
            predict(model, volume, output=folder / output, device="cpu", overrides=settings,
                    probabilities=wanted == "probabilities", registry=registry)  # fmt: skip

        run(small, "small.h5")
        meter = Meter()
        with meter:
            run(volume, "found.h5")
        print(json.dumps(meter.figures))


def local_registry(folder: Path) -> Registry:
    """Return a registry that knows the network that costs nothing."""
    (folder / "free.py").write_text(PLUGIN)
    (folder / "registry.yaml").write_text("version: 1\nplugins: {local: [free.py]}\n")
    return load_registry(folder / "registry.yaml")


def write_model(registry: Registry, folder: Path, network: str, wanted: str = "labels") -> Path:
    """Write a model of one channel: the U-Net that all tools get, or the network that costs nothing.

    As in the other tools its sigmoid is what is written as probabilities: the task is then multilabel.
    """
    task = ("binary", 2) if wanted == "labels" else ("multilabel", 1)
    chosen: Sequence[str] = ["model.use=free"] if network == "sigmoid" else ["model.use=unet3d", "model.f_maps=16"]
    given = [f"task={task[0]}", "loss=[bce]", "metrics=[soft-dice]", *chosen]
    return write_random(registry, folder / "model.safetensors", "patches", task[1], given).path


def write_network(folder: Path) -> None:
    """Write the weights of the U-Net as a state_dict, whose names are those of pytorch-3dunet."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(write_model(load_registry(), folder, "unet")), folder / "network.pt")


def write_volume(folder: Path, shape: tuple[int, int, int]) -> Path:
    """Write a volume of noise."""
    path = folder / f"volume{shape[0]}.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return path


if __name__ == "__main__":
    main()

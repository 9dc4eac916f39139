"""Peak memory of a whole prediction beside what it cannot do without, each in a process of its own.

    OMP_NUM_THREADS=1 python benchmarks/predict_memory.py [--size 256] [--classes 4] [--encoder resnet34]

The whole is `predict` from an HDF5 file to an HDF5 file in 12 directions. The floor is the network's own peak (a torch
module with the weights of the same file, on one batch of the prediction in inference mode and the same layout), the
bytes of the volume, and the state that the merge declares. Peaks are resident memory above that after imports and a
first tiny prediction (VmHWM, set back by /proc/PID/clear_refs: Linux only). ``--directions 1`` shows that the peak does
not depend on their number.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
from predict_cost import record, spread
from random_model import write_random_model
from safetensors.torch import load_file

from volseg_core.machine import thread_count
from volseg_core.model import read_model
from volseg_core.network import build_network
from volseg_core.operations import predict
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry

MIB = 1 << 20


def main() -> None:
    """Measure both sides and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="edge of the volume (default 256)")
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--directions", type=int, default=12, help="1 to 12 of quality high (default 12)")
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--side", choices=("whole", "network"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        child(options)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry = load_registry()
        model = write_random_model(registry, folder / "model.safetensors", options.encoder, options.classes)
        volume = np.random.default_rng(0).integers(0, 256, (options.size,) * 3, dtype=np.uint8)
        with h5py.File(folder / "scan.h5", "w") as file:
            file["data"] = volume
        shape = record(registry, model, folder / "scan.h5", spread(1), 1).batches[0].shape
        network, whole = (measure(side, folder, shape) for side in ("network", "whole"))
    state = volume.size * 2 * (options.classes - 1)  # what the merge mean declares
    floor = network + volume.nbytes + state
    print(
        f"{options.size}^3, {options.directions} directions, {options.classes} classes, U-Net/{options.encoder}: "
        f"network {network / MIB:.0f} + volume {volume.nbytes / MIB:.0f} + merge {state / MIB:.0f} = "
        f"{floor / MIB:.0f} MiB; whole prediction {whole / MIB:.0f} MiB: ratio {whole / floor:.3f}"
    )


def measure(side: str, folder: Path, shape: torch.Size) -> int:
    """Return the bytes that a child process needs at its peak."""
    command = [sys.executable, __file__, *sys.argv[1:], "--side", side, "--folder", str(folder)]
    command += ["--batch", *map(str, shape)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def child(options: argparse.Namespace) -> None:
    """Import everything, then do one side's work and print its peak above that."""
    torch.set_num_threads(thread_count())
    registry = load_registry()
    tiny = write_random_model(registry, options.folder / f"{options.side}.safetensors", "tu-tf_efficientnet_lite0", 2)
    scan = np.random.default_rng(0).integers(0, 256, (1, 32, 32), dtype=np.uint8)
    predict(tiny, scan, quality="low", device="cpu", output=options.folder / f"{options.side}.h5", registry=registry)
    gc.collect()
    model = read_model(options.folder / "model.safetensors")
    recipe = resolve_recipe(registry, model.recipe)
    before = start_peak()
    if options.side == "whole":
        predict(
            model,
            options.folder / "scan.h5",
            output=options.folder / "segmentation.h5",
            device="cpu",
            overrides=spread(options.directions),
            registry=registry,
        )
    else:
        network = build_network(registry.catalog, recipe, 1, options.classes, pretrained=False).eval()
        network.load_state_dict(load_file(model.path))
        network.to(memory_format=torch.channels_last)
        batch = torch.zeros(options.batch)
        with torch.inference_mode():
            network(batch)
    print(status("VmHWM") - before)


def start_peak() -> int:
    """Set the peak back to what is resident now and return that, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(name: str) -> int:
    """Return a line of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()

"""One look at everything that a GPU does: training, export, both runtimes, parity, throughput; one table, minutes.

    python benchmarks/gpu_check.py                                   # on a GPU, 512^3 in 12 directions
    python benchmarks/gpu_check.py --device cpu --size 64 --directions 2 --steps 4 --encoder resnet18

Throughput is slices per second of whole predictions in memory, beside the bare network on batches of the same shape
that already lie on the device (torch, the precision and layout of the torch runtime). A runtime that cannot be had is
a row that says why, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from predict_cost import spread
from random_model import write_random_model

import volseg_core
from volseg_core.machine import thread_count, torch_device
from volseg_core.network import trained_network
from volseg_core.prediction.predictor import opened_job
from volseg_core.prediction.segment import Segmenter
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.model import ModelFile
    from volseg_core.registry import Registry

ROWS: list[tuple[str, str]] = []


def row(name: str, value: str) -> None:
    """Keep and print a line of the table."""
    ROWS.append((name, value))
    print(f"{name:34} {value}", flush=True)


def attempt(name: str, work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns; a failure is a row."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001  (one part that fails must not hide the others)
        row(name, f"FAILED: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
        return None


def train(folder: Path, options: argparse.Namespace) -> Path:
    """Train on a small synthetic volume and say how fast."""
    volume = volseg_core.generate("blobs", overrides=["shape=[64, 256, 256]", "seed=1"])
    settings = [
        f"model.encoder={options.encoder}",
        "model.encoder.weights=none",
        "data.axes=z",
        "train.epochs=2",
        f"train.steps={options.steps}",
        "train.batch=8",
        f"train.device={options.device}",
    ]
    start = time.time()
    run = volseg_core.train(
        "slices", data=volume["data"], labels=volume["labels"], output=folder / "run", overrides=settings
    )
    seconds = time.time() - start
    rate = 2 * options.steps * 8 / seconds
    row(
        "training",
        f"{rate:.1f} windows of 256 x 256 / s, validation and start included; Dice {run.scores['val/dice']:.3f}",
    )
    return run.folder


def export(folder: Path, model: Path) -> Path:
    """Export, and replay the vectors on the device."""
    done = volseg_core.export(model, output=folder / "model.onnx")
    worst = max(item.difference for item in done.parity)
    row("export", f"{done.attempt}, {done.seconds:.1f} s, largest difference {worst:.1e}")
    return done.path


def verify(path: Path, device: str) -> None:
    """Replay the test vectors on the device."""
    parity, used = volseg_core.verify(path, device=device)
    row(f"ONNX Runtime on {used}", f"{'good' if parity.good else 'NOT GOOD'}: {parity.describe()}")


def throughput(registry: Registry, model: ModelFile, exported: Path, options: argparse.Namespace) -> None:
    """Predict a volume with both runtimes beside the bare network."""
    scan = np.random.default_rng(0).integers(0, 256, (options.size,) * 3, dtype=np.uint8)
    settings = spread(options.directions)
    slices = options.size * options.directions
    recipe = resolve_recipe(registry, model.recipe, settings)
    bare = attempt("bare network", lambda: bare_rate(registry, model, recipe, scan, options.device))
    labels = {}
    for name, item in (("torch", model.path), ("onnxruntime", exported)):
        call: dict[str, Any] = {"runtime": name, "device": options.device, "registry": registry}

        def predict(item: Path = item, call: dict[str, Any] = call) -> tuple[float, np.ndarray]:
            volseg_core.predict(item, scan[:8], overrides=["predict.views=[z]"], **call)  # warm-up
            start = time.time()
            found = volseg_core.predict(item, scan, overrides=settings, **call).labels
            return time.time() - start, found

        done = attempt(f"predict with {name}", predict)
        if done is not None:
            seconds, labels[name] = done
            ratio = f", {bare / (slices / seconds):.2f} x the bare network's time" if bare else ""
            row(f"predict with {name}", f"{slices / seconds:.1f} slices / s ({seconds:.1f} s){ratio}")
    if len(labels) == 2:
        same = float((labels["torch"] == labels["onnxruntime"]).mean())
        row("same labels from both", f"{same:.6f}")


def bare_rate(registry: Registry, model: ModelFile, recipe: Any, scan: np.ndarray, device: str) -> float:
    """Return slices per second of the network alone, on the batch that a prediction would give it."""
    with opened_job(registry.catalog, model, recipe, scan, device=device) as job:
        tile = job.plan.window(scan.shape[1:])[1]
        count = Segmenter(job.plan, job.runtime, None, lambda _: None)._batch(tile)  # noqa: SLF001  (the same batch)
        half = getattr(job.runtime, "_type", None)
    kind = torch_device(device)
    network = trained_network(registry.catalog, recipe, model).to(kind).to(memory_format=torch.channels_last)
    batch = torch.randn(count, 1, *tile, device=kind).contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode(), torch.autocast(kind, half, enabled=half is not None):
        for _ in range(12 if kind == "cuda" else 3):
            start = time.time()
            network(batch)
            if kind == "cuda":
                torch.cuda.synchronize()
            times.append(time.time() - start)
    best = float(np.median(times[len(times) // 3 :]))
    row("bare network", f"{count / best:.1f} slices / s in batches of {count}, {half or 'float32'}")
    return count / best


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--directions", type=int, default=12)
    parser.add_argument("--steps", type=int, default=50, help="steps of each of two epochs")
    parser.add_argument("--encoder", default="resnet34")
    options = parser.parse_args()
    torch.set_num_threads(thread_count())
    name = torch.cuda.get_device_name() if options.device == "cuda" and torch.cuda.is_available() else "CPU"
    row("machine", f"{name}, torch {torch.__version__}, python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    registry = load_registry()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = attempt("training", lambda: train(folder, options))
        if run is not None:
            attempt("export of the trained run", lambda: export(folder / "run", run))
        model = write_random_model(registry, folder / "model.safetensors", options.encoder, 4)
        exported = attempt("export", lambda: export(folder, model.path))
        if exported is not None:
            attempt("verify", lambda: verify(exported, options.device))
            throughput(registry, model, exported, options)
    sys.exit(any("FAILED" in value or "NOT GOOD" in value for _, value in ROWS))


if __name__ == "__main__":
    main()

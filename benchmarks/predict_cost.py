"""What a whole prediction costs beside the bare network on the same batches, interleaved in one process.

    OMP_NUM_THREADS=1 python benchmarks/predict_cost.py [--size 128] [--classes 2] [--directions 12] [--every 2]
    OMP_NUM_THREADS=1 python benchmarks/predict_cost.py --dims 3 [--every 8]   # boxes that overlap by half

The whole is `predict` from an HDF5 file to an HDF5 file after imports: opening, the model's weights, statistics, every
batch, merging, writing. The bare network is a torch module with the same weights in inference mode, on every
``--every``-th batch of that prediction right after it, in torch's own memory layout and in channels_last; its sum is
scaled to all batches and the cheaper layout counts. What the bare network takes is left out of the whole. CPU time
(user + system, all threads) is the figure to trust where others use the machine. ``--size 256`` with one thread and 12
directions takes 20 minutes; fewer directions are spread over axes and turns. With ``--dims 3`` the network is a 3D
U-Net (16 channels, four levels, ``--order``) on 64 x 256 x 256 voxels in windows of 32 x 64 x 64. With group norm only
torch's own layout counts: on a CPU the other one is off by up to 1e-3 in each norm.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import torch
from random_model import write_random, write_random_model

from volseg_core.machine import thread_count
from volseg_core.network import trained_network
from volseg_core.operations import predict
from volseg_core.prediction.predictor import opened_job
from volseg_core.prediction.segment import Segmenter
from volseg_core.progress import Silent
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import Registry, load_registry
from volseg_core.volume import preset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from volseg_core.model import ModelFile
    from volseg_core.recipe import Recipe

LAYOUTS = {
    2: {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last},
    3: {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last_3d},
}
BOXES = (64, 256, 256), ("predict.window=[32, 64, 64]", "predict.quality=low", "predict.overlap=0.5")
"""Volume and settings of the case in 3D."""


def now() -> np.ndarray:
    """Return CPU and wall seconds."""
    return np.array([time.process_time(), time.perf_counter()])


class Recorder:
    """A runtime that keeps every n-th batch and answers with zeros."""

    device = "cpu"

    def __init__(self, classes: int, every: int) -> None:
        self.classes, self.every, self.count = classes, every, 0
        self.batches: dict[int, torch.Tensor] = {}

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Return logits (N, C, *S) of zeros."""
        if self.count % self.every == 0:
            self.batches[self.count] = torch.from_numpy(batch.copy())
        self.count += 1
        return np.zeros((len(batch), self.classes, *batch.shape[2:]), np.float32)

    def free_bytes(self) -> None:
        """Stand for a CPU."""


class Nowhere:
    """A merge that keeps nothing."""

    def start(self, shape: Any, classes: int, views: int) -> None:
        """Ignore."""

    def add(self, probabilities: Any, where: Any, view: int, weight: int = 1) -> None:
        """Ignore."""


class Interleaved(Silent):
    """Progress that runs the bare network after the batches that were kept, and adds up what that takes."""

    def __init__(
        self,
        networks: dict[str, Callable[[torch.Tensor], Any]],
        recorder: Recorder,
        layouts: dict[str, torch.memory_format],
    ) -> None:
        self.networks, self.recorder, self.layouts, self.count = networks, recorder, layouts, 0
        self.bare = {name: np.zeros(2) for name in networks}
        self.paused = np.zeros(2)

    @contextmanager
    def task(self, name: str, total: int, unit: str, *, done: int = 0) -> Iterator[Interleaved]:  # noqa: ARG002
        """Count batches of a prediction."""
        yield self

    def advance(self, amount: int = 1, note: str = "") -> None:  # noqa: ARG002
        """Run the bare networks on the batch that was just predicted; each layout comes first in turn."""
        start = now()
        batch = self.recorder.batches.get(self.count)
        if batch is not None:
            order = list(self.networks)[:: -1 if self.count // self.recorder.every % 2 else 1]
            for name in order:
                self.bare[name] += run(self.networks[name], batch, self.layouts[name])
        self.count += 1
        self.paused += now() - start


def run(network: Callable[[torch.Tensor], Any], batch: torch.Tensor, layout: torch.memory_format) -> np.ndarray:
    """Return CPU and wall seconds of a batch that lies in memory in the layout."""
    batch = batch.contiguous(memory_format=layout)
    start = now()
    with torch.inference_mode():
        network(batch)
    return now() - start


def record(registry: Registry, model: ModelFile, scan: Path, settings: Sequence[str], every: int) -> Recorder:
    """Return the batches that a prediction gives to its network."""
    recorder = Recorder(model.spec.out_channels, every)
    recipe = resolve_recipe(registry, model.recipe, settings)
    with opened_job(registry.catalog, model, recipe, scan, device="cpu") as job:
        data, normaliser = job.read()
        Segmenter(job.plan, recorder, normaliser, lambda _: None).block(data, Nowhere())
    return recorder


def measure(folder: Path, registry: Registry, model: ModelFile, settings: Sequence[str], every: int) -> None:
    """Predict once and print what it took beside the bare network."""
    recorder = record(registry, model, folder / "scan.h5", settings, every)
    recipe = resolve_recipe(registry, model.recipe)
    layouts = dict(LAYOUTS[model.spec.dims])
    if "g" in recipe.architecture.params.get("layer_order", ""):
        del layouts["channels_last"]
    networks: dict[str, Callable[[torch.Tensor], Any]] = {
        name: trained_network(registry.catalog, recipe, model).to(memory_format=layout)
        for name, layout in layouts.items()
    }
    if model.spec.dims == 3:
        networks["oneDNN"], layouts["oneDNN"] = with_onednn(registry, recipe, model), torch.contiguous_format
    for name, network in networks.items():
        run(network, recorder.batches[0], layouts[name])
    progress = Interleaved(networks, recorder, layouts)
    start = now()
    predict(
        model.path,
        folder / "scan.h5",
        output=folder / "segmentation.h5",
        device="cpu",
        overrides=settings,
        overwrite=True,
        registry=registry,
        progress=progress,
    )
    whole = now() - start - progress.paused
    scale = recorder.count / len(recorder.batches)
    bare = {name: seconds * scale for name, seconds in progress.bare.items()}
    shape = "x".join(map(str, recorder.batches[0].shape))
    print(f"{recorder.count} batches of {shape}, bare on {len(recorder.batches)} of them")
    for index, kind in enumerate(("CPU", "wall")):
        best = min(seconds[index] for seconds in bare.values())
        row = ", ".join(f"bare {name} {seconds[index]:.1f}" for name, seconds in bare.items())
        print(f"{kind:4} s: whole {whole[index]:.1f}, {row}: ratio {whole[index] / best:.3f}", flush=True)


def with_onednn(registry: Registry, recipe: Recipe, model: ModelFile) -> Callable[[torch.Tensor], Any]:
    """Return the network as the runtime prepares it for a CPU."""
    settings = {"device": "cpu", "threads": thread_count(), "model": None}
    context = {"network": lambda: trained_network(registry.catalog, recipe, model), **settings}
    runtime = registry.catalog.build(recipe.runtime.provided, recipe.runtime.params, context)
    return lambda batch: runtime.run(batch.numpy())


def spread(directions: int) -> list[str]:
    """Return the setting for some directions of quality high, each along the next axis with the next turn."""
    high = [view.name for view, _ in preset("high")]
    chosen = (f"'{high[index * 5 % len(high)]}'" for index in range(directions))
    return [f"predict.views=[{', '.join(chosen)}]"]


def write_case(registry: Registry, folder: Path, options: argparse.Namespace) -> tuple[ModelFile, Sequence[str]]:
    """Write the volume into ``scan.h5`` and a model, and return it with the settings of its prediction."""
    shape, settings = BOXES if options.dims == 3 else ((options.size,) * 3, spread(options.directions))
    volume = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with h5py.File(folder / "scan.h5", "w") as file:
        file["data"] = volume
    path = folder / "model.safetensors"
    if options.dims == 3:
        network = ["model.use=unet3d", "model.f_maps=16", f"model.layer_order={options.order}"]
        model = write_random(registry, path, "patches", options.classes, network)
    else:
        model = write_random_model(registry, path, options.encoder, options.classes)
    predict(model.path, volume[:32, :32, :32], quality="low", device="cpu", registry=registry)  # imports
    return model, settings


def main() -> None:
    """Measure one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, choices=(2, 3), default=2)
    parser.add_argument("--size", type=int, default=128, help="edge of the volume (default 128)")
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--directions", type=int, default=12, help="1 to 12 of quality high (default 12)")
    parser.add_argument("--every", type=int, default=2, help="bare network on every n-th batch (default 2)")
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--order", default="gcr", help="layers of the 3D network, such as bcr (default gcr)")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(thread_count())
    registry = load_registry()
    case = f"{options.size}^3, {options.directions} directions, U-Net/{options.encoder}"
    if options.dims == 3:
        case = "64 x 256 x 256 in windows of 32 x 64 x 64 that overlap by half, 3D U-Net"
    with tempfile.TemporaryDirectory() as name:
        model, settings = write_case(registry, Path(name), options)
        threads = f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
        print(f"{case}, {options.classes} classes, {threads}")
        for _ in range(options.rounds):
            measure(Path(name), registry, model, settings, options.every)


if __name__ == "__main__":
    main()

"""What a training step of `volseg train` costs beside bare forward, backward and optimiser, in turns in one process.

    OMP_NUM_THREADS=1 python benchmarks/train_step.py [--steps 20] [--encoder resnet34] [--augment standard]
    OMP_NUM_THREADS=1 python benchmarks/train_step.py --dims 3 [--steps 20] [-s KEY=VALUE]   # recipe `patches`, boxes

The step is everything from the end of one step to the end of the next inside an epoch of `train` with the recipe
`slices`: drawing and augmenting windows (in this process: on a CPU the recipe chooses no workers), loss, backward,
AdamW with its schedule, checks, callbacks. The bare step is forward, cross-entropy and soft Dice of the foreground in
plain torch, backward and AdamW, by a second network of the same architecture on the same batch, already in memory;
it runs after each step of the training and is left out of it. Epoch ends (validation, checkpoints) are left out. CPU
time (user + system, all threads) is the figure to trust where others use the machine. With ``--dims 3`` the network is
a 3D U-Net of 16 channels and four levels on two boxes of 32 x 64 x 64.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from volseg_core.data.truth import teachers
from volseg_core.machine import thread_count
from volseg_core.network import build_network
from volseg_core.operations import train
from volseg_core.progress import Silent
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry
from volseg_core.training.loaders import make_batches
from volseg_core.training.run import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

WARM = 2
"""Steps at the start that are not counted."""


def now() -> np.ndarray:
    """Return CPU and wall seconds, children included."""
    times = os.times()
    return np.array([time.process_time() + times.children_user + times.children_system, time.perf_counter()])


class Interleaved(Silent):
    """Progress that makes a bare step after each step of the training, and keeps what both take."""

    def __init__(self, network: nn.Module, batches: list[tuple[Tensor, list[Tensor]]]) -> None:
        self.network, self.batches = network, batches
        self.optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
        self.step = 0
        self.start = now()
        self.whole: list[np.ndarray] = []
        self.bare: list[np.ndarray] = []

    @contextmanager
    def task(self, name: str, total: int, unit: str, *, done: int = 0) -> Iterator[Interleaved]:  # noqa: ARG002
        """Count the steps of a training."""
        yield self

    def advance(self, amount: int = 1, note: str = "") -> None:  # noqa: ARG002
        """Note what a step took, then make a bare one."""
        end = now()
        images, (labels,) = self.batches[self.step]
        bare_step(self.network, self.optimizer, images, labels)
        if self.step >= WARM:
            self.whole.append(end - self.start)
            self.bare.append(now() - end)
        self.step += 1
        self.start = now()


def bare_step(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    """Forward, cross-entropy plus soft Dice of the classes but the first, backward, AdamW; labels -1 do not count."""
    logits = network(images)
    loss = functional.cross_entropy(logits, labels, ignore_index=-1)
    valid = (labels >= 0).unsqueeze(1)
    chance = logits.softmax(1)[:, 1:] * valid
    truth = functional.one_hot(labels.clamp(min=0), logits.shape[1]).movedim(-1, 1)[:, 1:] * valid
    axes = (0, *range(2, logits.ndim))
    dice = 2 * (chance * truth).sum(axes) / (chance.sum(axes) + truth.sum(axes) + 1e-6)
    loss = loss + (1 - dice).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def volumes(edge: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a volume uint8 with labels, blobs of smoothed noise cut into classes of equal size."""
    coarse = torch.from_numpy(np.random.default_rng(0).random((1, 1, 12, 12, 12), dtype=np.float32))
    field = functional.interpolate(coarse, size=(edge,) * 3, mode="trilinear")[0, 0].numpy()
    bounds = np.quantile(field, np.linspace(0, 1, classes + 1)[1:-1])
    return (field * 255).astype(np.uint8), np.searchsorted(bounds, field.ravel()).reshape(field.shape).astype(np.uint8)


def settings_of(options: argparse.Namespace) -> tuple[str, list[str], str]:
    """Return the recipe of a case, what is changed of it, and what to call its network."""
    settings = [f"data.augment={options.augment}", f"train.steps={options.steps + WARM}", "train.epochs=1"]
    settings += ["data.val.fraction=0", "train.device=cpu"]
    if options.dims == 3:
        network = ["model.use=unet3d", "model.f_maps=16", "data.window=[32, 64, 64]", "train.batch=2"]
        return "patches", [*network, *settings, *options.set], " ".join(["3D U-Net", *options.set])
    network = [f"model.encoder.use={options.encoder}", "model.encoder.weights=none"]
    return "slices", [*network, *settings, *options.set], " ".join([f"U-Net/{options.encoder}", *options.set])


def main() -> None:
    """Measure one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, choices=(2, 3), default=2)
    parser.add_argument("--steps", type=int, default=20, help="steps that count (default 20)")
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--augment", default="standard")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="of the recipe")
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--edge", type=int, default=288, help="edge of the volume; windows are 256 x 256 (default 288)")
    options = parser.parse_args()
    torch.set_num_threads(thread_count())
    registry = load_registry()
    name, settings, network_name = settings_of(options)
    data, labels = volumes(options.edge, options.classes)
    recipe = resolve_recipe(registry, name, settings)
    prepared = prepare(registry, recipe, [data], [labels])
    augment = registry.catalog.build(recipe.augment.provided, recipe.augment.params)
    taught = teachers(registry.catalog, prepared.recipe, prepared.spec.heads, None)
    drawn = make_batches(prepared, augment, taught)
    start = now()
    batches = [torch.utils.data.default_collate([drawn.windows[draw] for draw in draws]) for draws in drawn.plan]
    drawing = (now() - start) / len(batches)
    network = build_network(registry.catalog, recipe, 1, options.classes, pretrained=False).train()
    progress = Interleaved(network, batches)
    with tempfile.TemporaryDirectory() as folder:
        train(name, data=data, labels=labels, output=Path(folder) / "run", overrides=settings,
              registry=registry, progress=progress)  # fmt: skip
    print(
        f"{len(progress.whole)} steps of {'x'.join(map(str, batches[0][0].shape))}, {network_name}, "
        f"{options.classes} classes, augmentation {options.augment}, {torch.get_num_threads()} threads, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    for index, kind in enumerate(("CPU", "wall")):
        whole, bare = (sum(step[index] for step in steps) / len(steps) for steps in (progress.whole, progress.bare))
        pairs = zip(progress.whole, progress.bare, strict=True)
        middle = np.median([one[index] / other[index] for one, other in pairs])
        print(
            f"{kind:4} s per step: training {whole:.3f} (windows {drawing[index]:.3f}), bare {bare:.3f}: "
            f"ratio {whole / bare:.3f}, median of the steps' ratios {middle:.3f}"
        )


if __name__ == "__main__":
    main()

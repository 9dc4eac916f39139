"""What augmenting a box costs beside a training step of a 3D U-Net on it.

    OMP_NUM_THREADS=1 python benchmarks/augment_boxes.py [--window 96 96 96] [--boxes 24] [--device cpu]

A box of one channel with labels goes through each augmentation as the core hands it over; the mean of ``--boxes`` seeds
is printed, natively and plane by plane as an augmentation that knows slices only is applied. The step is forward,
cross-entropy, backward and AdamW of the recipe ``patches``. CPU seconds, on a GPU wall time.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from volseg_core.data.augment import Space, augmented
from volseg_core.network import build_network
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.registry import Registry

NAMES = ("none", "light", "standard", "strong", "em", "ct")


def milliseconds(work: Callable[[int], Any], count: int, clock: Callable[[], float] = time.process_time) -> float:
    """Return the mean time of ``work(0), work(1), ...`` after one that does not count."""
    work(0)
    start = clock()
    for number in range(count):
        work(number)
    return (clock() - start) / count * 1000


def build(registry: Registry, name: str) -> Any:
    """Return an augmentation with its defaults."""
    provided = registry.catalog.find("augmentation", name)
    params = provided.component.params
    return registry.catalog.build(provided, {key: param.default for key, param in params.items()})


def step_time(registry: Registry, window: list[int], device: str) -> float:
    """Return the milliseconds of a training step on one box."""
    recipe = resolve_recipe(registry, "patches", [])
    network = build_network(registry.catalog, recipe, 1, 2, pretrained=False).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters())
    image, labels = torch.rand(1, 1, *window, device=device), torch.randint(2, (1, *window), device=device)

    def step(_: int) -> None:
        loss = functional.cross_entropy(network(image), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return milliseconds(step, 1 if device == "cpu" else 20, time.process_time if device == "cpu" else time.perf_counter)


def main() -> None:
    """Measure all augmentations on one window."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--window", type=int, nargs=3, default=[96, 96, 96])
    parser.add_argument("--boxes", type=int, default=24)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    registry = load_registry()
    random = np.random.default_rng(0)
    image = random.random((1, *options.window), np.float32)
    truth = random.integers(0, 2, (1, *options.window), np.int8)
    print(f"a box of {' x '.join(map(str, options.window))}, ms:")
    for name in NAMES:
        augment = build(registry, name)
        slices = augment.__class__.__call__.__get__(augment)  # without its method for boxes
        native, planes = (
            milliseconds(lambda seed, used=used: augmented(used, image, truth, seed, Space()), options.boxes)
            for used in (augment, slices)
        )
        print(f"{name:10} native {native:6.1f}, plane by plane {planes:6.1f}")
    whole = step_time(registry, options.window, options.device)
    print(f"step of the 3D U-Net of patches on {options.device}: {whole:.0f}")


if __name__ == "__main__":
    main()

"""How far windows show in 3D prediction: normalisation layers against kinds of blending, on networks trained for it.

    OMP_NUM_THREADS=1 python benchmarks/seams.py DATA_FOLDER [--steps 120] [--models runs] [--picture seams.png]

DATA_FOLDER holds fib25_medulla/train.h5. Small networks learn its membranes on planes 0-71 in windows of 32 x 64 x 64
(recipe `patches`); the seams are those of all 104 planes. Scores, differences and labels are explained in the
reference under *Seams*; windows that are kept apart by a halo are ``crop`` with overlap. Trained models are kept in
``--models``. The picture shows the probability of membrane where windows meet.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

import volseg_core
from volseg_core.registry import Registry, load_registry

if TYPE_CHECKING:
    from volseg_core.prediction.seams import Seams

UNET = ["model.use=unet3d", "model.f_maps=8"]
NNUNET = ["model.use=nnunet", "model.width=8", "model.stages=4"]
NETWORKS = {
    "unet3d, group norm (gcr)": UNET,
    "unet3d, batch norm (bcr)": [*UNET, "model.layer_order=bcr"],
    "nnunet, instance norm": NNUNET,
    "nnunet, batch norm": [*NNUNET, "model.norm=batch"],
}
WINDOW = [32, 64, 64]
BLENDING = {
    "gaussian, overlap 0.5": ["predict.blend=gaussian", "predict.overlap=0.5"],
    "constant, overlap 0.5": ["predict.blend=constant", "predict.overlap=0.5"],
    "crop, halo 8, 16, 16 (overlap 0.5)": ["predict.blend=crop", "predict.overlap=0.5"],
    "crop, halo 4, 8, 8 (overlap 0.25)": ["predict.blend=crop", "predict.overlap=0.25"],
    "crop, no halo": ["predict.blend=crop", "predict.overlap=0"],
}


def main() -> None:
    """Train what is missing and print a row for each network and blending."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--models", type=Path, default=Path("seam-models"))
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--only", action="append", choices=list(NETWORKS), help="default: all; repeat for several")
    options = parser.parse_args()
    registry = load_registry()
    with h5py.File(options.data / "fib25_medulla" / "train.h5") as file:
        data, labels = file["data"][()], file["labels_membrane"][()]
    print(f"{'network':26} {'blending':34}   score  differ: border inside  labels: border inside")
    for name in options.only or NETWORKS:
        run = folder_of(options.models, name)
        train(registry, run, NETWORKS[name], options.steps, data[:72], labels[:72])
        for blend, settings in BLENDING.items():
            found = seams(registry, run, settings, data)
            differ, flips = found.difference, found.labels
            figures = f"{found.score:7.4f} {differ.border:15.4f} {differ.inside:6.4f}"
            print(f"{name:26} {blend:34} {figures} {flips.border:14.2%} {flips.inside:6.2%}", flush=True)
    if options.picture:
        draw(registry, options.models, data, options.picture)


def folder_of(models: Path, name: str) -> Path:
    """Return the run of a network."""
    return models / name.replace(",", "").replace(" ", "-")


def train(registry: Registry, folder: Path, network: list[str], steps: int, data: Any, labels: Any) -> None:
    """Train a network unless that was done."""
    if not (folder / "weights.safetensors").exists():
        settings = [*network, f"data.window={WINDOW}", "train.epochs=1", f"train.steps={steps}", "train.device=cpu"]
        settings += ["data.val.fraction=0", "train.lr=2e-3"]
        volseg_core.train(
            "patches", data=data, labels=labels, output=folder, overwrite=True, overrides=settings, registry=registry
        )


def seams(registry: Registry, run: Path, settings: list[str], data: Any) -> Seams:
    """Return the seams of a prediction, without making all of it."""
    from volseg_core.model import read_model
    from volseg_core.prediction.predictor import opened_job
    from volseg_core.progress import Silent
    from volseg_core.recipe import resolve_model

    model = read_model(run)
    recipe = resolve_model(registry, model, settings)
    with opened_job(registry.catalog, model, recipe, data, device="cpu") as job:
        found = job.seams(Silent())
    if found is None:
        raise SystemExit("one window: nothing to measure")
    return found


def draw(registry: Registry, models: Path, data: Any, path: Path) -> None:
    """Draw the membranes that the network with group norm finds, for each kind of blending."""
    import matplotlib.pyplot as plt

    run = folder_of(models, next(iter(NETWORKS)))
    chosen = [list(BLENDING.items())[index] for index in (0, 1, 2, 4)]
    figure, axes = plt.subplots(1, len(chosen) + 1, figsize=(4 * len(chosen) + 4, 4.4), layout="constrained")
    part = data[20:84, :144, :144]
    axes[0].imshow(part[32], cmap="gray")
    axes[0].set_title("image")
    for axis, (name, settings) in zip(axes[1:], chosen, strict=True):
        found = volseg_core.predict(
            run, part, probabilities=True, overrides=settings, registry=registry, device="cpu"
        ).arrays["probabilities"][1, 32]
        axis.imshow(np.float32(found), cmap="gray", vmin=0, vmax=1)
        axis.set_title(name, fontsize=9)
    for axis in axes:
        axis.set_axis_off()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()

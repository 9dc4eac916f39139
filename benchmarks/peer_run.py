"""Volume Segmantics' side of `peer.py`, executed by the Python of its own environment; prints one line of JSON.

What is not the peer's own code: its trainer of 0.3 (``--legacy-trainer``) asks for a GPU even where there is none, so
the device is set to the CPU from outside; the batch of CPUs is the 2 of 0.3.2 instead of 8, which would leave one step
for an epoch of 16 slices and none for 8; and ImageNet weights of a timm encoder come from a local file (LITE0_WEIGHTS)
instead of a hub: its own ``encoder_weights_path`` loads every file into a ResNet-50.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import gc
import itertools
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, Self

BATCH = 2
CPU, WALL = time.process_time, time.perf_counter


class Meter:
    """CPU and wall seconds of a ``with`` block, its peak memory above that before, and the network's share of both.

    Call `watch` before the block: every call of a segmentation_models_pytorch network is then counted as network.
    """

    def __init__(self) -> None:
        self.network = [0.0, 0.0]
        self.figures: dict[str, Any] = {}

    def watch(self, every: int = 1) -> None:
        """Time the networks; all but every n-th call, or with 0 all, are of a stand-in that costs nothing."""
        import segmentation_models_pytorch as smp
        import torch

        original = smp.base.SegmentationModel.forward
        calls = itertools.count()

        def cheap(network: Any, image: Any) -> Any:
            classes = network.segmentation_head[0].out_channels
            return torch.cat([image * (index - 1) for index in range(classes)], 1)

        @functools.wraps(original)
        def forward(network: Any, image: Any) -> Any:
            start, real = (CPU(), WALL()), every > 0 and next(calls) % every == 0
            try:
                return (original if real else cheap)(network, image)
            finally:
                self.network[0] += CPU() - start[0]
                self.network[1] += WALL() - start[1]

        smp.base.SegmentationModel.forward = forward

    def __enter__(self) -> Self:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        self._base = memory("VmRSS")
        self.network = [0.0, 0.0]
        self._start = CPU(), WALL()
        return self

    def __exit__(self, *_: object) -> None:
        cpu, wall = CPU() - self._start[0], WALL() - self._start[1]
        self.figures = {"cpu": cpu, "wall": wall, "network": self.network, "peak": memory("VmHWM") - self._base}


def memory(name: str) -> int:
    """Return bytes of this process: VmRSS now, VmHWM at most since the last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def predict_settings(quality: str) -> dict[str, Any]:
    """Return prediction settings: its defaults but for clipping, which is off as in the training settings."""
    return {
        "quality": quality, "output_probs": False, "output_entropy": False, "clip_data": False, "st_dev_factor": 2.575,
        "data_hdf5_path": "/data", "cuda_device": 0, "downsample": False, "one_hot": False, "prediction_axis": "Z",
        "minmax_norm": False, "use_imagenet_norm": True,
    }  # fmt: skip


def predict(arguments: argparse.Namespace) -> dict[str, Any]:
    """Segment a file as model-predict-2d does, after a small prediction that imports everything.

    With ``--every 0`` the figures begin when volume and model are loaded.
    """
    import numpy as np
    from volume_segmantics.data import get_settings_data
    from volume_segmantics.model import VolSeg2DPredictionManager

    settings = get_settings_data(predict_settings(arguments.quality))
    meter = Meter()
    meter.watch(arguments.every)
    small = get_settings_data(predict_settings("low"))
    VolSeg2DPredictionManager(arguments.model, np.zeros((2, 32, 32), np.uint8), small).predict_volume_to_path(None)

    def load() -> Any:
        return VolSeg2DPredictionManager(arguments.model, Path(arguments.volume), settings)

    loaded = None if arguments.every else load()
    with meter:
        (loaded or load()).predict_volume_to_path(Path(arguments.output))
    return meter.figures


def checkpoint(arguments: argparse.Namespace) -> dict[str, Any]:
    """Write a U-Net on ResNet-34 as its early stopping does, after a few steps on windows of the volume."""
    import h5py
    import numpy as np
    import torch
    from volume_segmantics.model.model_2d import create_model_on_device
    from volume_segmantics.utilities.base_data_utils import ModelType
    from volume_segmantics.utilities.early_stopping import EarlyStopping

    torch.manual_seed(0)
    random = np.random.default_rng(0)
    structure = {"type": ModelType.U_NET, "encoder_name": "resnet34", "encoder_weights": None, "in_channels": 1}
    structure["classes"] = arguments.classes
    network = create_model_on_device("cpu", structure).train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    with h5py.File(arguments.volume) as file:
        data, labels = file["data"][:64], file["labels"][:64]
    for _ in range(60):
        corners = random.integers(0, (len(data), *(size - 32 + 1 for size in data.shape[1:])), (16, 3))
        boxes = [np.s_[z, y : y + 32, x : x + 32] for z, y, x in corners]
        image = (np.stack([data[box] for box in boxes])[:, None] / np.float32(255) - 0.449) / 0.226
        loss = torch.nn.functional.cross_entropy(
            network(torch.from_numpy(image.astype(np.float32))),
            torch.from_numpy(np.stack([labels[box] for box in boxes])).long(),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    EarlyStopping(path=Path(arguments.model), model_dict=structure)(float(loss), network, optimizer, {})
    return {"loss": float(loss)}


def train_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return training settings: cross-entropy, no rescaling, no early end, one rate for all layers, else the defaults.

    The search for a rate ends at 1e-2: up to its default, 50, it has chosen rates at which networks collapsed.
    """
    legacy = arguments.trainer == "legacy"
    return {
        "data_im_dirname": "data", "seg_im_out_dirname": "seg", "model_output_fn": "peer", "clip_data": False,
        "st_dev_factor": 2.575, "data_hdf5_path": "/data", "seg_hdf5_path": "/labels",
        "training_axes": "All" if arguments.axes == "zyx" else arguments.axes.upper(), "image_size": arguments.size,
        "downsample": False, "training_set_proportion": 0.85, "cuda_device": 0, "num_cyc_frozen": 0,
        "num_cyc_unfrozen": arguments.epochs, "patience": arguments.epochs + 1, "loss_criterion": "CrossEntropyLoss",
        "alpha": 0.5, "beta": 0.5, "eval_metric": "MeanIoU", "pct_lr_inc": 0.3,
        "starting_lr": 1e-5 if legacy else 1e-3, "end_lr": 1e-2, "lr_find_epochs": 1, "lr_reduce_factor": 500,
        "plot_lr_graph": False, "minmax_norm": False, "use_imagenet_norm": True, "random_seed": arguments.seed,
        "encoder_lr_multiplier": 1.0, "use_sam": False, "adaptive_sam": True,
        "encoder_weights_path": False, "full_weights_path": False,
        "model": {
            "type": "U_Net", "encoder_name": "tu-tf_efficientnet_lite0",
            "encoder_weights": "imagenet" if os.environ.get("LITE0_WEIGHTS") else None,
        },
    }  # fmt: skip


AUGMENTATIONS = """schema_version: pipeline_v1
heads:
  semantic: {enabled: true, loss: cross_entropy, loss_weight: 1.0}
augmentations:
  train_transforms:
    - {name: HorizontalFlip, p: 0.5}
    - {name: VerticalFlip, p: 0.5}
    - {name: RandomRotate90, p: 0.5}
    - {name: Rotate, limit: 30, p: 0.5, border_mode: 4}
    - {name: RandomBrightnessContrast, brightness_limit: 0.2, contrast_limit: 0.2, p: 0.3}
    - {name: GaussNoise, var_limit: [10.0, 50.0], p: 0.3}
"""
"""Those of its pipeline.default.yaml, whose ``border_mode: reflect`` its own library refuses."""


def epochs_within(arguments: argparse.Namespace) -> int:
    """Return how many epochs take about ``budget`` CPU seconds, from a few steps on noise; at least one."""
    import h5py
    import segmentation_models_pytorch as smp
    import torch

    with h5py.File(Path(arguments.folder) / "train.h5") as file:
        slices = sum(file["data"].shape["zyx".index(axis)] for axis in arguments.axes)
    steps, held_out = int(slices * 0.85) // BATCH, slices - int(slices * 0.85)
    network = smp.Unet("tu-tf_efficientnet_lite0", encoder_weights=None, in_channels=1)
    optimizer = torch.optim.AdamW(network.parameters())
    image = torch.randn(BATCH, 1, arguments.size, arguments.size)

    def step() -> None:
        optimizer.zero_grad()
        network(image).square().mean().backward()
        optimizer.step()

    step()
    start = CPU()
    for _ in range(3):
        step()
    middle = CPU()
    with torch.no_grad():
        network(image)
    each, forward = (middle - start) / 3, (CPU() - middle) / BATCH
    search = each * steps if arguments.trainer == "legacy" else 0.0
    return max(1, round((arguments.budget - search) / (each * steps + forward * held_out)))


def train(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train as model-train-2d does and report CPU seconds after imports."""
    import yaml
    from volume_segmantics.model.operations import lightning2d  # noqa: F401
    from volume_segmantics.scripts import train_2d_model

    folder = Path(arguments.folder)
    settings = folder / "volseg-settings"
    settings.mkdir(exist_ok=True)
    arguments.epochs = arguments.epochs or epochs_within(arguments)
    (settings / "2d_model_train_settings.yaml").write_text(yaml.safe_dump(train_settings(arguments)))
    volume = str(folder / "train.h5")
    sys.argv = ["model-train-2d", "--data", volume, "--labels", volume, "--data_dir", str(folder)]
    rates: list[float] = []
    if arguments.trainer == "legacy":
        sys.argv.append("--legacy-trainer")
        on_cpu(rates)
    else:
        (settings / "pipeline.yaml").write_text(AUGMENTATIONS)
    start = CPU(), WALL()
    train_2d_model.main()
    model = str(next(folder.glob("*.pytorch")))
    spent = {"cpu": CPU() - start[0], "wall": WALL() - start[1]}
    return {**spent, "epochs": arguments.epochs, "rates": rates, "model": model}


def on_cpu(rates: list[float]) -> None:
    """Make the trainer of 0.3 use the CPU, and note the rates that it finds."""
    from volume_segmantics.model.operations import trainer_lr_finder, trainer_model_manager, vol_seg_2d_trainer
    from volume_segmantics.utilities import base_data_utils

    def to_cpu(function: Any) -> Any:
        return lambda _, *rest, **options: function("cpu", *rest, **options)

    def prepare(batch: Any, _: Any, labels: int) -> Any:
        return original(batch, "cpu", labels)

    def search(*arguments: Any, **options: Any) -> float:
        rates.append(float(find(*arguments, **options)))
        return rates[-1]

    finder = trainer_lr_finder.LearningRateFinder
    find, finder.find_optimal_lr = finder.find_optimal_lr, search
    original = base_data_utils.prepare_training_batch
    base_data_utils.prepare_training_batch = prepare
    trainer_model_manager.create_model_on_device = to_cpu(trainer_model_manager.create_model_on_device)
    trainer = vol_seg_2d_trainer.VolSeg2dTrainer
    trainer._load_in_weights = functools.partialmethod(trainer._load_in_weights, gpu=False)  # noqa: SLF001


def main() -> None:
    """Do one job; the peer's own output goes to standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    jobs = parser.add_subparsers(required=True)
    job = jobs.add_parser("checkpoint")
    job.set_defaults(work=checkpoint)
    for name in ("volume", "model"):
        job.add_argument(name)
    job.add_argument("--classes", type=int, default=2)
    job = jobs.add_parser("predict")
    job.set_defaults(work=predict)
    for name in ("model", "volume", "output"):
        job.add_argument(name)
    job.add_argument("--quality", default="high")
    job.add_argument("--every", type=int, default=1, help="run the network on every n-th batch, 0: never")
    job = jobs.add_parser("train")
    job.set_defaults(work=train)
    job.add_argument("folder")
    job.add_argument("--axes", default="z")
    job.add_argument("--size", type=int, default=256)
    job.add_argument("--epochs", type=int, default=0, help="default: what fits into the budget")
    job.add_argument("--budget", type=float, default=200, help="CPU seconds")
    job.add_argument("--seed", type=int, default=0)
    job.add_argument("--trainer", choices=["legacy", "lightning"], default="legacy")
    arguments = parser.parse_args()
    report, sys.stdout = sys.stdout, sys.stderr
    logging.disable(logging.INFO)
    if os.environ.get("LITE0_WEIGHTS"):
        import timm

        local = {"file": os.environ["LITE0_WEIGHTS"]}
        timm.create_model = functools.partial(timm.create_model, pretrained_cfg_overlay=local)
    from volume_segmantics.utilities import config

    config.OUTPUT_FORMAT = "hdf"
    if arguments.work is train:
        config.SMALL_CUDA_BATCH = BATCH
    print(json.dumps(arguments.work(arguments)), file=report)


if __name__ == "__main__":
    main()

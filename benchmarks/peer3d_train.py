"""Another tool's side of `accuracy3d.py`, executed by the Python of its own environment.

Trains on FOLDER/train-*.h5 until ``--seconds`` of CPU time are spent and writes the probabilities (C, Z, Y, X) of all
classes of FOLDER/test-*.h5 to FOLDER/found-*.npy; prints the CPU seconds of the training and its steps as JSON. What is
not the tools' own code: the trainer stops by CPU time; MONAI, which has no trainer for patches of one volume, gets a
plain loop around its network, loss, transforms and sliding window.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def unet3d(arguments: argparse.Namespace) -> None:
    """Train and predict with pytorch-3dunet: flips, turns and noise, Adam, BCE + Dice or cross-entropy.

    Its RandomContrast, which clips standardised images at 1, is left out: that would be to its disadvantage.
    """
    from pytorch3dunet.datasets.utils import get_test_loaders
    from pytorch3dunet.unet3d import trainer as training
    from pytorch3dunet.unet3d.config import TorchDevice
    from pytorch3dunet.unet3d.predictor import StandardPredictor

    several = arguments.classes > 2
    outputs = arguments.classes if several else 1
    window = arguments.window
    stride = [edge // 2 for edge in window]
    turns = [{"name": "RandomFlip"}, {"name": "RandomRotate90"}]
    noise = {"name": "AdditiveGaussianNoise", "scale": [0.0, 0.1]}
    image = [{"name": "Standardize"}, *turns, noise, {"name": "ToTensor", "expand_dims": True}]
    truth = [*turns, {"name": "ToTensor", "expand_dims": not several, "dtype": "int64" if several else "float32"}]
    slices = {"name": "SliceBuilder", "patch_shape": window, "stride_shape": stride, "skip_shape_check": True}
    files = sorted(map(str, arguments.folder.glob("train-*.h5")))
    common = {"dataset": "StandardHDF5Dataset", "num_workers": 0, "raw_internal_path": "data",
              "label_internal_path": "labels", "global_normalization": True}  # fmt: skip
    phase = {"file_paths": files, "slice_builder": slices, "transformer": {"raw": image, "label": truth}}
    held = {**phase, "file_paths": sorted(map(str, arguments.folder.glob("test-*.h5")))}
    model = {"name": "UNet3D", "in_channels": 1, "out_channels": outputs, "f_maps": 16, "num_levels": 4,
             "layer_order": "gcr", "final_sigmoid": not several}  # fmt: skip
    config = {
        "device": TorchDevice.CPU,
        "model": model,
        "loss": {"name": "CrossEntropyLoss" if several else "BCEDiceLoss"},
        "eval_metric": {"name": "MeanIoU"},
        "optimizer": {"name": "Adam", "learning_rate": arguments.rate, "weight_decay": 1e-5},
        "loaders": {**common, "batch_size": 1, "train": phase, "val": held},
        "trainer": {
            "checkpoint_dir": str(arguments.folder / "peer"),
            "max_num_epochs": 10_000,
            "max_num_iterations": 10_000_000,
            "validate_after_iters": 10_000_000,
            "log_after_iters": 10_000_000,
            "tensorboard_formatter": {},
        },
    }
    trainer = training.create_trainer(config)
    trainer.should_stop = lambda: time.process_time() > arguments.seconds
    trainer.fit()
    steps = trainer.num_iterations
    spent = time.process_time()
    test = {"file_paths": held["file_paths"], "transformer": {"raw": [image[0], image[-1]]}}
    test["slice_builder"] = {**slices, "halo_shape": [edge // 8 for edge in window]}
    out = arguments.folder / "peer"
    predictor = StandardPredictor(trainer.model, str(out), outputs, TorchDevice.CPU, save_segmentation=False)
    for loader in get_test_loaders({"loaders": {**common, "batch_size": 1, "test": test}, "device": TorchDevice.CPU}):
        predictor(loader)
    for path in out.glob("*_predictions.h5"):
        with h5py.File(path) as file:
            name = path.name.replace("test-", "found-").replace("_predictions.h5", ".npy")
            found = file["predictions"][()]
            np.save(arguments.folder / name, found if several else np.concatenate([1 - found, found]))
    print(json.dumps({"cpu": spent, "steps": steps}))


def monai(arguments: argparse.Namespace) -> None:
    """Train MONAI's residual U-Net with its Dice + cross-entropy and predict with its sliding window."""
    import torch
    from monai.inferers import sliding_window_inference
    from monai.losses import DiceCELoss
    from monai.networks.nets import UNet
    from monai.transforms import (
        Compose,
        NormalizeIntensityd,
        RandCropByPosNegLabeld,
        RandFlipd,
        RandGaussianNoised,
        RandRotate90d,
        RandScaleIntensityd,
        SpatialPadd,
    )

    keys = ["image", "label"]
    ready = NormalizeIntensityd("image")
    draw = Compose(
        [
            SpatialPadd(keys, arguments.window, mode="reflect"),
            RandCropByPosNegLabeld(keys, "label", arguments.window, num_samples=1),
            *(RandFlipd(keys, 0.5, axis) for axis in range(3)),
            *([RandRotate90d(keys, 0.5, 3, (1, 2))] if arguments.window[1] == arguments.window[2] else []),
            RandScaleIntensityd("image", 0.2, prob=0.5),
            RandGaussianNoised("image", 0.5, std=0.1),
        ]
    )
    volumes = [ready(read(path)) for path in sorted(arguments.folder.glob("train-*.h5"))]
    shape = {"channels": (16, 32, 64, 128), "strides": (2, 2, 2), "num_res_units": 2}
    network = UNet(3, 1, arguments.classes, norm=arguments.norm, **shape)
    loss = DiceCELoss(to_onehot_y=True, softmax=True)
    optimizer = torch.optim.Adam(network.parameters(), arguments.rate, weight_decay=1e-5)
    random, steps = np.random.default_rng(arguments.seed), 0
    draw.set_random_state(arguments.seed)
    while time.process_time() < arguments.seconds:
        drawn = [draw(volumes[int(random.integers(len(volumes)))])[0] for _ in range(2)]
        images, labels = (torch.stack([torch.as_tensor(each[key]) for each in drawn]).float() for key in keys)
        optimizer.zero_grad()
        loss(network(images), labels).backward()
        optimizer.step()
        steps += 1
    spent = time.process_time()
    network.eval()
    for path in sorted(arguments.folder.glob("test-*.h5")):
        image = torch.as_tensor(ready(read(path))["image"])[None].float()
        with torch.inference_mode():
            logits = sliding_window_inference(image, arguments.window, 1, network, 0.5, mode="gaussian")
        found = logits[0].softmax(0).numpy()
        np.save(path.with_name(path.name.replace("test-", "found-")).with_suffix(".npy"), found)
    print(json.dumps({"cpu": spent, "steps": steps}))


def read(path: Path) -> dict[str, Any]:
    """Return image and labels with a channel axis."""
    with h5py.File(path) as file:
        return {"image": file["data"][()].astype(np.float32)[None], "label": file["labels"][()][None]}


def main() -> None:
    """Train and predict with one tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=["pytorch-3dunet", "monai"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--window", type=int, nargs=3, required=True)
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--seconds", type=float, required=True, help="CPU time of the training")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--norm", default="instance", help="of MONAI's network")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    import torch

    torch.manual_seed(arguments.seed)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    {"pytorch-3dunet": unet3d, "monai": monai}[arguments.tool](arguments)


if __name__ == "__main__":
    main()

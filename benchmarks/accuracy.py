"""Accuracy at equal CPU time: volseg's training against a plain 60-line loop, in one run on one machine.

    python benchmarks/accuracy.py DATA_FOLDER [--case isbi-crop] [--threads 1] [--rows rows.jsonl]

DATA_FOLDER holds isbi2012_em/train.h5 and fib25_medulla/train.h5; LITE0_WEIGHTS names the loop's weights (safetensors).
Both sides use a U-Net on tf_efficientnet_lite0 with ImageNet weights, cross-entropy plus Dice and AdamW with one cycle
to 2e-3. The loop makes 200 steps of four windows of 192 x 192 with flips, quarter turns, brightness and contrast and
holds nothing out; volseg runs its `slices` recipe for as many steps as cost the same. CPU seconds are user plus
system of a training process, start-up included. Finished rows are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np


@dataclass(frozen=True)
class Case:
    """A labelled file, the part to train on, the part to score, the loop's slicing axes, volseg's equal effort."""

    file: str
    labels: str
    train: Any
    test: Any
    axes: str
    effort: tuple[str, ...]


# Batches of two and twice the steps for the same voxels: on a quarter of the ISBI slices that neither side trains on
# nor is scored on, Dice .745 became .760 (two seeds each; with a running average of the weights .756).
SMALL = ("train.batch=2", "train.channels_last=true", "train.epochs=4")
SQUARE = (*SMALL, "train.steps=100", "data.window=192")
CASES = {
    "isbi-crop": Case("isbi2012_em", "labels", np.s_[:16, :256, :256], np.s_[16:20], "z", SQUARE),
    "isbi": Case("isbi2012_em", "labels", np.s_[:16], np.s_[16:20], "z", SQUARE),
    # most windows of a slab are oblong and cost less than 192 x 192
    "fib25": Case("fib25_medulla", "labels_membrane", np.s_[:72], np.s_[80:104], "zyx", (*SMALL, "train.steps=172")),
}
VOLSEG = Path(sys.executable).with_name("volseg")
SETTINGS = {"volseg": [], "volseg, nothing held out": ["data.val.fraction=0"]}


def main() -> None:
    """Run the cases and print a row for each side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--side", action="append", choices=["plain loop", *SETTINGS])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=Path, default=Path("accuracy.jsonl"))
    parser.add_argument("--seed", type=int, action="append", help="default 0; repeat for several")
    parser.add_argument("--loop", nargs=2, metavar=("FOLDER", "AXES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    seeds = arguments.seed or [0]
    if arguments.loop:
        train_loop(Path(arguments.loop[0]), arguments.loop[1], seeds[0])
        return
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    done = {tuple(row["key"]): row for row in read_rows(arguments.rows)}
    print(f"{'case':12} {'side':28} {'seed':>4} {'CPU s':>7} {'low':>7} {'medium':>7} {'high':>7}   Dice of class 1")
    for case, seed, side in product(arguments.case or CASES, seeds, arguments.side or ("plain loop", *SETTINGS)):
        row = done.get((case, side, seed)) or measure(case, side, seed, arguments)
        scores = " ".join(f"{row['dice'].get(quality, float('nan')):7.3f}" for quality in ("low", "medium", "high"))
        print(f"{case:12} {side:28} {seed:4} {row['cpu']:7.0f} {scores}", flush=True)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an earlier run."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def measure(case: str, side: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one side on one case, score it, and keep the row."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(arguments.data, CASES[case], folder)
        start = cpu_seconds()
        if side == "plain loop":
            command = [sys.executable, __file__, str(arguments.data), "--loop", name, CASES[case].axes]
            command += ["--seed", str(seed)]
        else:
            sets = [
                word for item in (*CASES[case].effort, *SETTINGS[side], f"train.seed={seed}") for word in ("-s", item)
            ]
            crop = str(folder / "train.h5")
            command = [
                str(VOLSEG),
                "train",
                "slices",
                "--data",
                crop,
                "--labels",
                crop,
                "-o",
                str(folder / "run"),
                *sets,
            ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        row = {"key": [case, side, seed], "cpu": cpu_seconds() - start, "dice": {}}
        truth = read(folder / "test.h5", "labels")
        for quality in ("low", "medium", "high") if CASES[case].axes == "zyx" else ("low", "high"):
            predict(folder, side, quality, CASES[case].axes)
            found = read(folder / "seg.h5", "labels") == 1
            row["dice"][quality] = float(2 * (found & (truth == 1)).sum() / (found.sum() + (truth == 1).sum()))
    with arguments.rows.open("a") as file:
        file.write(json.dumps(row) + "\n")
    return row


def cpu_seconds() -> float:
    """Return CPU seconds of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def prepare(data: Path, case: Case, folder: Path) -> None:
    """Cut the training and test parts into files of their own."""
    with h5py.File(data / case.file / "train.h5") as source:
        for part, box in (("train", case.train), ("test", case.test)):
            with h5py.File(folder / f"{part}.h5", "w") as file:
                file["data"], file["labels"] = source["data"][box], source[case.labels][box]


def read(path: Path, name: str) -> Any:
    """Return a dataset."""
    with h5py.File(path) as file:
        return file[name][()]


def predict(folder: Path, side: str, quality: str, axes: str) -> None:
    """Write seg.h5 of the test part."""
    if side == "plain loop":
        predict_loop(folder, quality, axes)
        return
    command = [
        VOLSEG,
        "predict",
        folder / "run",
        folder / "test.h5",
        "-o",
        folder / "seg.h5",
        "--quality",
        quality,
        "-q",
        "--overwrite",
    ]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)


def build() -> Any:
    """Return the loop's network with ImageNet weights, stem summed over its input channels."""
    import segmentation_models_pytorch as smp
    import torch
    from safetensors.torch import load_file

    network = smp.Unet("tu-tf_efficientnet_lite0", encoder_weights=None, in_channels=1, classes=2)
    weights = load_file(os.environ["LITE0_WEIGHTS"])
    weights["conv_stem.weight"] = weights["conv_stem.weight"].sum(1, keepdim=True)
    network.encoder.model.load_state_dict(weights, strict=False)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return network


def train_loop(folder: Path, axes: str, seed: int) -> None:
    """Train the plain loop: 200 steps of four random windows."""
    import torch
    from torch.nn import functional

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = build().train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=200)
    data, labels = read(folder / "train.h5", "data"), read(folder / "train.h5", "labels")
    data = ((data - data.mean()) / data.std()).astype(np.float32)
    for _ in range(200):
        windows = [window(data, labels, axes, random) for _ in range(4)]
        image = torch.from_numpy(np.stack([pair[0] for pair in windows]))[:, None]
        target = torch.from_numpy(np.stack([pair[1] for pair in windows])).long()
        logits = network(image)
        chance = logits.softmax(1)[:, 1]
        dice = 1 - (2 * (chance * target).sum() + 1) / (chance.sum() + target.sum() + 1)
        loss = functional.cross_entropy(logits, target) + dice
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    torch.save(network.state_dict(), folder / "loop.pt")


def window(data: Any, labels: Any, axes: str, random: np.random.Generator) -> tuple[Any, Any]:
    """Return a random augmented window of 192 x 192."""
    axis = "zyx".index(axes[int(random.integers(len(axes)))])
    index = int(random.integers(data.shape[axis]))
    image, target = np.take(data, index, axis), np.take(labels, index, axis)
    grow = [(0, max(0, 192 - size)) for size in image.shape]
    image, target = np.pad(image, grow, "reflect"), np.pad(target, grow, "reflect")
    top, left = (int(random.integers(size - 191)) for size in image.shape)
    box = np.s_[top : top + 192, left : left + 192]
    turns, flip = int(random.integers(4)), bool(random.integers(2))
    image, target = np.rot90(image[box], turns), np.rot90(target[box], turns)
    if flip:
        image, target = image[::-1], target[::-1]
    image = image * random.uniform(0.8, 1.2) + random.uniform(-0.2, 0.2)
    return np.ascontiguousarray(image, np.float32), np.ascontiguousarray(target)


def predict_loop(folder: Path, quality: str, axes: str) -> None:
    """Average whole-slice probabilities over one direction, three axes, or with four quarter turns each."""
    import torch

    network = build().eval()
    network.load_state_dict(torch.load(folder / "loop.pt", weights_only=True))
    train = read(folder / "train.h5", "data")
    data = ((read(folder / "test.h5", "data") - train.mean()) / train.std()).astype(np.float32)
    total = np.zeros(data.shape, np.float64)
    for axis in range(3) if quality != "low" and axes == "zyx" else (0,):
        for turn in range(4 if quality == "high" else 1):
            planes = np.rot90(np.moveaxis(data, axis, 0), turn, (1, 2))
            height, width = planes.shape[1:]
            grow = ((0, 0), (0, -height % 32), (0, -width % 32))
            padded = np.pad(planes, grow, "reflect")
            with torch.inference_mode():
                chances = [
                    network(torch.from_numpy(plane.copy())[None, None]).softmax(1)[0, 1].numpy() for plane in padded
                ]
            turned = np.rot90(np.stack(chances)[:, :height, :width], -turn, (1, 2))
            total += np.moveaxis(turned, 0, axis)
    views = (3 if quality != "low" and axes == "zyx" else 1) * (4 if quality == "high" else 1)
    with h5py.File(folder / "seg.h5", "w") as file:
        file["labels"] = (total / views > 0.5).astype(np.uint8)


if __name__ == "__main__":
    main()

"""Accuracy of 3D networks at equal CPU time: volseg's recipe `patches`, pytorch-3dunet and MONAI's U-Net.

    export PEER3D_PYTHON=peer3d/bin/python OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
    python benchmarks/accuracy3d.py DATA_FOLDER --seconds 300 [--case nuclei3d] [--side volseg] [--rows rows.jsonl]

Every side trains for so many CPU seconds, start-up included, on the same crop and predicts the whole volume; Dice of
the foreground classes is that of voxels away from the crop. All networks have 16 channels and four levels: volseg's
is that of `volseg suggest --dims 3` on a CPU, MONAI's its residual U-Net, pytorch-3dunet's, and volseg's once more, a
U-Net with group norm; windows are equal.
volseg's steps are chosen by the pace of a few, so that its schedule ends with the time; a training that took longer,
or less than 92 % of it, is done again with others. Nothing is held out. Finished rows are kept.

Objects are made of every side's probabilities by the same steps of volseg, with the one parameter of `OBJECTS` that
gives the lowest adapted Rand error on the crop that was trained on, and scored away from it.
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

from volseg_core.operations import evaluate, postprocess

LIGHT = "data.augment={use: light, rotate90: false}"
OWN = {
    "volseg": (LIGHT, "model={use: nnunet, stem: 2, norm: batch, width: 16, stages: 4}", "train.lr=6.0e-3"),
    "volseg, unet3d": (LIGHT, "model.use=unet3d", "model.f_maps=16"),
}
"""volseg with the network of `volseg suggest --dims 3` on a CPU, and with pytorch-3dunet's; augmented as the others."""
PEERS = {"pytorch-3dunet": (), "monai": (), "monai, as volseg": ("--norm", "batch", "--rate", "6e-3")}
"""Words for `peer3d_train.py`; MONAI once more with the norm and the rate that volseg has."""
SIDES = (*OWN, *PEERS)
AIM, LEAST = 0.97, 0.92
"""Share of the time that volseg's steps are chosen for, and the least that it takes."""
PACE = 6, 24
"""Steps of the two short trainings whose difference is volseg's pace."""


@dataclass(frozen=True)
class Case:
    """A labelled file or all of a folder, the part to train on, the part to score, and windows."""

    file: str
    labels: str
    train: Any
    test: Any
    window: tuple[int, int, int]
    classes: int = 2
    objects: str = ""
    """The step that makes objects of the probability, where the labels are ids of objects."""


def membranes(labels: np.ndarray) -> np.ndarray:
    """Return where two objects meet, two voxels wide: of each pair of neighbours with different numbers, both."""
    found = np.zeros(labels.shape, bool)
    for axis in range(3):
        differ = np.moveaxis(np.diff(labels.astype(np.int64), axis=axis) != 0, axis, 0)
        view = np.moveaxis(found, axis, 0)
        view[1:] |= differ
        view[:-1] |= differ
    return found.astype(np.uint8)


def foreground(labels: np.ndarray) -> np.ndarray:
    """Return where there is any object."""
    return (labels > 0).astype(np.uint8)


def of_fold(fold: int, *, test: bool) -> list[int]:
    """Return the hippocampi, of 16, that a fold of five tests, or the others."""
    return [number for number in range(16) if (number % 5 == fold) is test]


CASES = {
    "nuclei3d": Case(
        "nuclei3d/train.h5", "labels", np.s_[:, :160], np.s_[:, 176:], (32, 64, 64), objects="distance-watershed"
    ),
    "plant_ovule_cells": Case(
        "plant_ovule_cells/sample.h5", "labels", np.s_[:, :80], np.s_[:, 88:], (32, 64, 64), objects="watershed"
    ),
    "fib25": Case("fib25_medulla/train.h5", "labels", np.s_[:72], np.s_[80:104], (32, 64, 64), objects="watershed"),
    **{
        f"hippocampus-{fold}": Case(
            "hippocampus_mri", "labels", of_fold(fold, test=False), of_fold(fold, test=True), (32, 48, 32), 3
        )
        for fold in range(5)
    },
}
TARGETS = {"distance-watershed": foreground, "watershed": membranes}
OBJECTS = {
    "distance-watershed": [f"min_distance={edge}" for edge in (4, 8, 12)],
    "watershed": [f"seeds={edge}" for edge in (0.05, 0.1, 0.2, 0.3, 0.4)],
}
FIXED = {"distance-watershed": ["prominence=0"]}
"""Settings that are the same for all: one parameter is chosen."""


def main() -> None:
    """Run what is missing and print a row for each case and side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--side", action="append", choices=SIDES)
    parser.add_argument("--seed", type=int, action="append", help="default 0; repeat for several")
    parser.add_argument("--rows", type=Path, default=Path("accuracy3d.jsonl"))
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    lines = options.rows.read_text().splitlines() if options.rows.exists() else []
    done = {tuple(row["key"]): row for row in map(json.loads, lines)}
    print(f"{'case':18} {'side':18} {'seed':>4} {'CPU s':>6} {'steps':>6}   Dice   objects")
    for case, seed, side in product(options.case or CASES, options.seed or [0], options.side or SIDES):
        key = (case, side, seed, options.seconds)
        row = done.get(key)
        if row is None:
            paces = [each["pace"] for each in done.values() if tuple(each["key"][:2]) == (case, side)]
            row = {"key": key, **measure(options.data, case, side, seed, options.seconds, paces)}
            done[key] = row
            with options.rows.open("a") as file:
                file.write(json.dumps(row) + "\n")
        scores = " ".join(f"{score:.3f}" for score in row["dice"])
        scores += "   " + " ".join(f"{name} {value}" for name, value in row.get("objects", {}).items())
        print(f"{case:18} {side:18} {seed:4} {row['cpu']:6.0f} {row['steps']:6}   {scores}", flush=True)


def measure(
    data: Path, name: str, side: str, seed: int, seconds: float, paces: list[tuple[float, float]]
) -> dict[str, Any]:
    """Train one side on one case, predict, and return CPU seconds, steps, Dice of each foreground class and objects."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        truths = prepare(data, name, folder)
        if side in OWN:
            row = own(folder, case, OWN[side], seed, seconds, paces)
        else:
            script = Path(__file__).with_name("peer3d_train.py")
            command = [
                os.environ.get("PEER3D_PYTHON", sys.executable),
                str(script),
                side.partition(",")[0],
                str(folder),
            ]
            command += PEERS[side]
            command += ["--window", *map(str, case.window), "--classes", str(case.classes)]
            command += ["--seconds", str(seconds), "--seed", str(seed)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            row = json.loads(done.stdout.splitlines()[-1])
        scores = []
        for path, (truth, box) in truths.items():
            chances = np.load(path)[(slice(None), *(slice(0, size) for size in truth.shape))].astype(np.float32)
            found = chances.argmax(0)
            scores.append([dice(found[box] == index, truth[box] == index) for index in range(1, case.classes)])
        row["dice"] = np.mean(scores, 0).round(4).tolist()
        if case.objects:
            row["objects"] = objects(case, chances[1:], load(data / case.file, case.labels)[1])
        return row


def objects(case: Case, chances: np.ndarray, ids: np.ndarray) -> dict[str, Any]:
    """Return how well objects made of probabilities (1, Z, Y, X) agree with ids away from the training."""
    choices = {}
    for given in OBJECTS[case.objects]:
        overrides = [given, *FIXED.get(case.objects, [])]
        found = postprocess(chances, case.objects, overrides=overrides).arrays["instances"].astype(np.int32)
        names = ["adapted-rand", "average-precision"]
        truth = ids.astype(np.int32)
        crop, away = (
            evaluate(found[box], truth[box], instances=True, metrics=names) for box in (case.train, case.test)
        )
        choices[crop["adapted-rand"]] = {
            "adapted Rand": round(away["adapted-rand"], 4),
            "AP": round(away["average-precision"], 4),
            "with": given,
        }
    return choices[min(choices)]


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the Dice coefficient of two masks."""
    return float(2 * (found & truth).sum() / max(1, found.sum() + truth.sum()))


def prepare(data: Path, name: str, folder: Path) -> dict[Path, tuple[np.ndarray, Any]]:
    """Write train-*.h5 and test-*.h5, and return truth and scored box by where the prediction will be."""
    case = CASES[name]
    if case.objects:
        target = TARGETS[case.objects]
        volume, labels = load(data / case.file, case.labels)
        write(folder / "train-0.h5", case, volume[case.train], target(labels[case.train]))
        write(folder / "test-0.h5", case, volume, target(labels))
        return {folder / "found-0.npy": (target(labels), case.test)}
    files = sorted((data / case.file).glob("*.h5"))
    for number in case.train:
        write(folder / f"train-{number:02}.h5", case, *load(files[number], case.labels))
    truths = {}
    for number in case.test:
        volume, labels = load(files[number], case.labels)
        write(folder / f"test-{number:02}.h5", case, volume, labels)
        truths[folder / f"found-{number:02}.npy"] = (labels, ...)
    return truths


def load(path: Path, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a volume and its labels."""
    with h5py.File(path) as file:
        return file["data"][()], file[labels][()]


def write(path: Path, case: Case, data: np.ndarray, labels: np.ndarray) -> None:
    """Write a volume, filled up by reflection at its ends to the size of a window: pytorch-3dunet takes no less."""
    grow = [(0, max(0, edge - size)) for edge, size in zip(case.window, data.shape, strict=True)]
    with h5py.File(path, "w") as file:
        file["data"], file["labels"] = np.pad(data, grow, "reflect"), np.pad(labels, grow, "reflect")


def own(
    folder: Path, case: Case, network: tuple[str, ...], seed: int, seconds: float, paces: list[tuple[float, float]]
) -> dict[str, Any]:
    """Train and predict with volseg's command line, at the pace of another seed if there is one."""
    few, more = paces[0] if paces else [train(folder, case, network, seed, steps) for steps in PACE]
    pace = (more - few) / (PACE[1] - PACE[0])
    steps = int(AIM * ((seconds - few) / pace + PACE[0]))
    while not LEAST * seconds <= (spent := train(folder, case, network, seed, steps)) <= seconds:
        steps = int(AIM * steps * seconds / spent)
    for path in sorted(folder.glob("test-*.h5")):
        out = path.with_name(path.name.replace("test-", "found-"))
        volseg("predict", str(folder / "run"), str(path), "-o", str(out), "--device", "cpu", "--probabilities")
        with h5py.File(out) as file:
            np.save(out.with_suffix(".npy"), file["probabilities"][()])
    return {"cpu": spent, "steps": steps, "pace": (few, more)}


def train(folder: Path, case: Case, network: tuple[str, ...], seed: int, steps: int) -> float:
    """Train for so many steps and return CPU seconds."""
    files = [str(path) for path in sorted(folder.glob("train-*.h5"))]
    pairs = [word for path in files for word in ("--data", path, "--labels", path)]
    settings = [*network, f"data.window={list(case.window)}", "data.val.fraction=0",
                "train.epochs=1", f"train.steps={steps}", f"train.seed={seed}", "train.device=cpu"]  # fmt: skip
    sets = [word for item in settings for word in ("-s", item)]
    start = cpu_seconds()
    volseg("train", "patches", *pairs, "-o", str(folder / "run"), "--overwrite", *sets)
    return cpu_seconds() - start


def volseg(*words: str) -> None:
    """Run the command line."""
    command = [sys.executable, "-c", "import sys; from volseg_core.cli import main; sys.exit(main())", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cpu_seconds() -> float:
    """Return CPU seconds of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()

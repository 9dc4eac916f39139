"""volseg beside Volume Segmantics 0.4.0: what a prediction costs, whether labels agree, accuracy at equal CPU time.

    python -m venv peer && peer/bin/pip install volume-segmantics==0.4.0 rich   # Python 3.11 or 3.12
    export PEER_PYTHON=peer/bin/python
    python benchmarks/peer.py prediction [--size 128] [--threads 2 1] [--classes 2] [--tool 128 256]
    LITE0_WEIGHTS=lite0.safetensors python benchmarks/peer.py accuracy DATA_FOLDER [--side peer] [--rows peer.jsonl]

(0.4.0 needs `rich` without naming it.) `peer_run.py` is executed by the peer's Python and says where it departs from
the peer's own code.

`prediction`: the peer writes a checkpoint of a U-Net on ResNet-34, which `volseg import volume-segmantics` takes over;
both segment the same file. The volume's mean and standard deviation are the constants that the peer subtracts and
divides by, so that z-score is the same rule. Every figure is of a fresh process, after imports and a small prediction.

`accuracy`: DATA_FOLDER holds isbi2012_em, fib25_medulla and vnc_sstem, each with train.h5. The peer trains a U-Net on
tf_efficientnet_lite0 for about ``--budget`` CPU seconds, then volseg for no more than it took. LITE0_WEIGHTS is a
timm safetensors file that both start from, or neither (rows ``random``). Finished rows are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from accuracy import CASES, VOLSEG, Case, cpu_seconds, prepare, read, read_rows
from peer_run import Meter

HERE = Path(__file__).parent


def main() -> None:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=os.environ.get("PEER_PYTHON"), help="its Python; default PEER_PYTHON")
    jobs = parser.add_subparsers(required=True)
    job = jobs.add_parser("accuracy")
    job.set_defaults(work=accuracy)
    job.add_argument("data", type=Path)
    job.add_argument("--case", action="append", choices=list(TRIALS))
    job.add_argument("--weights", action="append", choices=["imagenet", "random"])
    job.add_argument("--side", action="append", choices=["peer", "volseg"])
    job.add_argument("--trainer", choices=["legacy", "lightning"], default="legacy", help="the peer's")
    job.add_argument("--seed", type=int, action="append", help="of volseg; default 0, 1 and 2")
    job.add_argument("--budget", type=float, default=200, help="CPU seconds of the peer's training (default 200)")
    job.add_argument("--rows", type=Path, default=Path("peer.jsonl"))
    job.add_argument("--tiny", action="store_true", help="small crops, to try the script itself")
    job = jobs.add_parser("prediction")
    job.set_defaults(work=prediction)
    job.add_argument("--size", type=int, default=128, help="edge of the volume (default 128)")
    job.add_argument("--classes", type=int, default=2)
    job.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    job.add_argument("--tool", type=int, nargs=2, default=[128, 256], help="edges of two volumes without a network")
    job.add_argument("--only", choices=["network", "tool"], help="one of the two parts")
    job.add_argument("--every", type=int, default=1, help="network on every n-th batch, for memory alone")
    job = jobs.add_parser("ours", help=argparse.SUPPRESS)
    job.set_defaults(work=ours)
    for name in ("model", "volume", "output"):
        job.add_argument(name)
    job.add_argument("--set", action="append", default=[])
    job.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    arguments.work(arguments)


PEER = "peer, high"
RUNS = {
    "volseg, legacy12 + max": ("predict.quality=legacy12", "predict.merge=max"),
    "volseg, high + mean": ("predict.quality=high", "predict.merge=mean"),
}
SAME = next(iter(RUNS))
MEAN, DEVIATION = 0.449 * 255, 0.226 * 255
"""What the peer subtracts from 8-bit values and divides them by."""


def prediction(arguments: argparse.Namespace) -> None:
    """Print what both tools cost and where their labels differ."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_volume(folder / "volume.h5", arguments.size, arguments.classes)
        take_over(arguments, folder)
        if arguments.only != "tool":
            whole(arguments, folder)
        if arguments.only != "network":
            grow(arguments, folder)


def whole(arguments: argparse.Namespace, folder: Path) -> None:
    """Print what both tools cost with the network, and compare their labels."""
    print(f"{arguments.size}^3 of 8 bit, U-Net on ResNet-34, {arguments.classes} classes, 12 directions, load ", end="")
    print(f"{os.getloadavg()[0]:.1f}\n{'':30} CPU s  wall s  network CPU s  peak MB")
    for threads in arguments.threads:
        print(f"{threads} threads", flush=True)
        found = {run: measured(arguments, folder, run, threads, arguments.every) for run in (PEER, *RUNS)}
        for run in RUNS:
            ratios = (found[PEER][key] / found[run][key] for key in ("cpu", "wall", "peak"))
            print("  peer / {}: CPU {:.2f}, wall {:.2f}, peak {:.2f}".format(run, *ratios), flush=True)
    if arguments.every == 1:
        compare(folder)


def write_volume(path: Path, size: int, classes: int) -> None:
    """Write noisy blobs of as many classes; mean and deviation are those that the peer takes off."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(0)
    field = gaussian_filter(random.standard_normal((size,) * 3, np.float32), 4)
    labels = np.digitize(field, np.quantile(field, np.arange(1, classes) / classes)).astype(np.uint8)
    values = gaussian_filter(labels.astype(np.float32), 1) + 0.4 * random.standard_normal(field.shape, np.float32)
    scale, offset = DEVIATION / values.std(), 0.0
    for _ in range(30):
        data = np.clip(np.rint(values * scale + offset), 0, 255)
        offset += MEAN - data.mean(dtype=np.float64)
        scale *= DEVIATION / data.std(dtype=np.float64)
    with h5py.File(path, "w") as file:
        file["data"], file["labels"] = data.astype(np.uint8), labels


def take_over(arguments: argparse.Namespace, folder: Path) -> None:
    """Have the peer write a checkpoint and import it with `volseg import volume-segmantics`."""
    peer(arguments, "checkpoint", folder / "volume.h5", folder / "model.pytorch", "--classes", arguments.classes)
    (folder / "settings.yaml").write_text("clip_data: false\nmodel: {type: U_Net, encoder_name: resnet34}\n")
    words = ["import", "volume-segmantics", folder / "settings.yaml", folder / "model.pytorch"]
    completed([VOLSEG, *words, "-o", folder / "recipe.yaml"], threads=1)


def measured(arguments: argparse.Namespace, folder: Path, run: str, threads: int, every: int) -> dict[str, Any]:
    """Segment the volume in a fresh process, print what it cost and return it."""
    volume, output, words = folder / "volume.h5", folder / f"{run}.h5", ("--every", every)
    if run == PEER:
        figures = peer(arguments, "predict", folder / "model.pytorch", volume, output, *words, threads=threads)
    else:
        sets = [word for item in RUNS[run] for word in ("--set", item)]
        command = [sys.executable, __file__, "ours", folder / "recipe.safetensors", volume, output, *sets, *words]
        figures = report(command, threads)
    share = figures["network"][0] / figures["cpu"]
    print(f"  {run:28} {figures['cpu']:5.1f} {figures['wall']:7.1f} {figures['network'][0]:8.1f} ({share:4.0%})"
          f" {figures['peak'] / 1e6:9.0f}", flush=True)  # fmt: skip
    return figures


def ours(arguments: argparse.Namespace) -> None:
    """Segment a file with volseg and print the figures; with ``--every 0`` those after the model was loaded."""
    from volseg_core.model import read_model
    from volseg_core.operations import predict
    from volseg_core.prediction.predictor import opened_job
    from volseg_core.progress import Silent
    from volseg_core.recipe import resolve_recipe
    from volseg_core.registry import load_registry

    registry, meter, output = load_registry(), Meter(), Path(arguments.output)
    meter.watch(arguments.every)
    small = np.arange(2 * 32 * 32, dtype=np.uint16).astype(np.uint8).reshape(2, 32, 32)
    predict(arguments.model, small, quality="low", device="cpu", registry=registry)
    if arguments.every == 0:
        model = read_model(Path(arguments.model))
        recipe = resolve_recipe(registry, model.recipe, arguments.set)
        with opened_job(registry.catalog, model, recipe, arguments.volume, device="cpu") as job, meter:
            job.run(Silent(), output, overwrite=True)
    else:
        options = {"output": output, "overwrite": True, "overrides": arguments.set, "device": "cpu"}
        with meter:
            predict(arguments.model, arguments.volume, registry=registry, **options)
    print(json.dumps(meter.figures))


class EachView:
    """A merge that keeps the label of every view and its probability."""

    def __init__(self, views: int) -> None:
        self.views = views

    def start(self, shape: tuple[int, ...], classes: int, views: int) -> None:  # noqa: ARG002
        """Begin a volume."""
        self.best = np.zeros((self.views, *shape), np.float32)
        self.labels = np.zeros((self.views, *shape), np.uint8)

    def add(self, probabilities: Any, where: tuple[slice, ...], view: int, weight: int = 1) -> None:  # noqa: ARG002
        """Keep a part of a view."""
        values = np.asarray(probabilities)
        self.best[view][where], self.labels[view][where] = values.max(0), values.argmax(0)


def compare(folder: Path) -> None:
    """Print how many voxels are labelled differently, and how many of them the peer's half precision explains."""
    theirs, same = read(folder / f"{PEER}.h5", "data"), read(folder / f"{SAME}.h5", "labels")
    each, normaliser = views_of(folder)
    grey = np.arange(256, dtype=np.uint8).reshape(1, 1, 1, -1)
    off = np.abs(normaliser(grey) - (grey / np.float32(255) - 0.449) / 0.226).max()
    print(f"network inputs of the two differ by at most {off:.1e}")
    differ = theirs != same
    half = each.best.astype(np.float16)
    rule = np.take_along_axis(each.labels, half.argmax(0)[None], 0)[0]
    print(f"labels ({SAME}): {differ.sum()} of {differ.size} voxels differ ({differ.mean():.1e})")
    labels, best, half = each.labels[:, differ], each.best[:, differ], half[:, differ]
    mine, other = labels == same[differ], labels == theirs[differ]
    tied = np.where(mine, half, 0).max(0) == np.where(other, half, 0).max(0)
    print(f"  {tied.sum()}: the best views of both labels have the same probability in half precision")
    print(f"  {(rule == theirs)[differ].sum()}: half precision, of equals the first, turns one label into the other")
    gap = np.abs(np.where(mine, best, 0).max(0) - np.where(other, best, 0).max(0))
    print(f"  probabilities of the two labels differ there by {np.median(gap):.1e} (median), {gap.max():.1e} (most)")
    print(f"  by that rule {(rule != theirs).sum()} voxels of the volume differ", flush=True)


def views_of(folder: Path) -> tuple[EachView, Any]:
    """Return what volseg's network says in each of the directions, and the normaliser."""
    from volseg_core.model import read_model
    from volseg_core.prediction.predictor import opened_job
    from volseg_core.prediction.segment import Segmenter
    from volseg_core.recipe import resolve_recipe
    from volseg_core.registry import load_registry

    registry, model = load_registry(), read_model(folder / "recipe.safetensors")
    recipe = resolve_recipe(registry, model.recipe, RUNS[SAME])
    with opened_job(registry.catalog, model, recipe, folder / "volume.h5", device="cpu") as job:
        data, normaliser = job.read()
        each = EachView(len(job.plan.views))
        Segmenter(job.plan, job.runtime, normaliser, lambda _: None).block(data, each)
    return each, normaliser


def grow(arguments: argparse.Namespace, folder: Path) -> None:
    """Print the memory of the tools themselves: above the loaded model, the network replaced by nothing."""
    print(f"the tool alone (a network that costs nothing, model loaded before), {arguments.classes} classes, 2 threads")
    for size in arguments.tool:
        print(f"{size}^3", flush=True)
        write_volume(folder / "volume.h5", size, arguments.classes)
        for run in (PEER, *RUNS):
            peak = measured(arguments, folder, run, 2, 0)["peak"]
            read_before = 0 if run == PEER else 1
            print(f"  {'':28} {peak / size**3 - read_before:.1f} bytes per voxel beyond the input", flush=True)


@dataclass(frozen=True)
class Trial:
    """A case (its axes are the peer's), the edge of the peer's training images, volseg's settings, what to predict.

    ``imagenet`` and ``random`` are further settings of volseg, by the weights that both start from.
    """

    case: Case
    size: int
    settings: tuple[str, ...]
    qualities: dict[str, tuple[str, ...]]
    imagenet: tuple[str, ...] = ()
    random: tuple[str, ...] = ()


FLAT = {"peer": ("low",), "volseg": ("low", "high")}
DEEP = {"peer": ("low", "medium", "high"), "volseg": ("low", "medium", "high")}
RECIPES = {"imagenet": "slices", "random": "slices-scratch"}
SMALL = ("data.window=192", "train.batch=2")
ALL = ("data.val.fraction=0",)
"""Every slice: the peer holds random tiles out, which is no slab."""
BALANCED = ("data.sampler=balanced", "loss=[{use: cross-entropy, weights: auto}, {use: dice, classes: foreground}]")
TRIALS = {
    "isbi-crop": Trial(CASES["isbi-crop"], 256, (), FLAT, imagenet=SMALL, random=ALL),
    "vnc": Trial(Case("vnc_sstem", "labels", np.s_[:8], np.s_[8:10], "z", ()), 288, BALANCED, FLAT),
    # the peer's search for a rate and one epoch over all axes would be twice the budget
    "fib25": Trial(replace(CASES["fib25"], axes="z"), 224, (), DEEP),
}


def accuracy(arguments: argparse.Namespace) -> None:
    """Run what is missing and print a row for each training."""
    print(f"{'case':10} {'weights':9} {'side':14} {'seed':>4}  CPU s  Dice of each class but the first", flush=True)
    for case in arguments.case or TRIALS:
        for weights in arguments.weights or ("imagenet", "random"):
            for side in arguments.side or ("peer", "volseg"):
                for seed in (arguments.seed or (0, 1, 2)) if side == "volseg" else (0,):
                    name = f"peer {arguments.trainer}" if side == "peer" else side
                    row = kept(arguments, case, weights, name, seed) or finish(arguments, case, weights, name, seed)
                    show(row)


def kept(arguments: argparse.Namespace, *key: Any) -> dict[str, Any] | None:
    """Return the row that an earlier run finished."""
    return next((row for row in read_rows(arguments.rows) if row["key"] == list(key)), None)


def finish(arguments: argparse.Namespace, case: str, weights: str, side: str, seed: int) -> dict[str, Any]:
    """Train, predict and score one row, and keep it."""
    trial = TRIALS[case]
    if weights == "imagenet" and not os.environ.get("LITE0_WEIGHTS"):
        sys.exit("LITE0_WEIGHTS names no safetensors file; give one, or --weights random")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(arguments.data, trial.case, folder)
        if arguments.tiny:
            shrink(folder)
        row = {"key": [case, weights, side, seed], "dice": {}}
        if side == "volseg":
            row |= train_volseg(arguments, case, weights, seed, folder)
        else:
            row |= train_peer(arguments, trial, weights, seed, folder)
        truth, model = read(folder / "test.h5", "labels"), row.pop("model")
        for quality in trial.qualities[side.split(maxsplit=1)[0]]:
            found = segment(arguments, side, model, folder, quality, weights)
            row["dice"][quality] = dices(found, truth)
    with arguments.rows.open("a") as file:
        file.write(json.dumps(row) + "\n")
    return row


def show(row: dict[str, Any]) -> None:
    """Print a finished row, a line for each quality."""
    case, weights, side, seed = row["key"]
    for quality, values in row["dice"].items():
        scores = " ".join(f"{value:.3f}" for value in values)
        mean = f"  mean {np.mean(values):.3f}" if len(values) > 1 else ""
        print(f"{case:10} {weights:9} {side:14} {seed:4} {row['cpu']:6.0f}  {quality:6} {scores}{mean}", flush=True)


def dices(found: np.ndarray, truth: np.ndarray) -> list[float]:
    """Return Dice of every class of the truth but the first."""
    pairs = ((found == index, truth == index) for index in range(1, int(truth.max()) + 1))
    return [float(2 * (ours & true).sum() / max(1, ours.sum() + true.sum())) for ours, true in pairs]


def shrink(folder: Path) -> None:
    """Cut both parts down to a few small slices."""
    for part in ("train", "test"):
        with h5py.File(folder / f"{part}.h5", "r+") as file:
            for name in ("data", "labels"):
                values = file[name][:16, :96, :96]
                del file[name]
                file[name] = values


def tile(path: Path, size: int) -> None:
    """Lay the tiles of every slice one after the other."""
    with h5py.File(path, "r+") as file:
        for name in ("data", "labels"):
            z, y, x = file[name].shape
            tiles = file[name][()].reshape(z, y // size, size, x // size, size).swapaxes(2, 3)
            del file[name]
            file[name] = tiles.reshape(-1, size, size)


def peer(arguments: argparse.Namespace, *words: object, weights: str = "random", threads: int = 1) -> dict[str, Any]:
    """Return what `peer_run.py` reports."""
    if not arguments.peer:
        sys.exit("give the peer's Python: --peer PATH or PEER_PYTHON (see --help)")
    extra = {"VOLSEG_NUM_WORKERS": "0", "NO_ALBUMENTATIONS_UPDATE": "1"}
    if weights == "random":
        extra["LITE0_WEIGHTS"] = ""
    return report([arguments.peer, HERE / "peer_run.py", *words], threads, extra)


def completed(command: list[Any], threads: int, extra: dict[str, str] | None = None) -> str:
    """Return what a process prints; when it fails, show its output and stop."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", **(extra or {})}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr[-4000:]}")
    return done.stdout


def report(command: list[Any], threads: int, extra: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the last line that a process prints, which is JSON."""
    return json.loads(completed(command, threads, extra).splitlines()[-1])


def train_peer(arguments: argparse.Namespace, trial: Trial, weights: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train the peer for about the budget; its CPU seconds count after its imports.

    Slices larger than its training images are cut into tiles, which it would scale down.
    """
    size = 96 if arguments.tiny else trial.size
    if trial.case.axes == "z":
        tile(folder / "train.h5", size)
    words = ["train", folder, "--axes", trial.case.axes, "--size", size, "--seed", seed, "--budget", arguments.budget]
    return peer(arguments, *words, "--trainer", arguments.trainer, weights=weights)


def segment(
    arguments: argparse.Namespace, side: str, model: str, folder: Path, quality: str, weights: str
) -> np.ndarray:
    """Return the labels of the test part."""
    output = folder / f"{quality}.h5"
    if side == "volseg":
        volseg("predict", model, folder / "test.h5", "-o", output, "--quality", quality)
        return read(output, "labels")
    peer(arguments, "predict", model, folder / "test.h5", output, "--quality", quality, weights=weights)
    return read(output, "data")


def volseg(*words: object) -> float:
    """Run the command line quietly with one thread and return its CPU seconds, start-up included."""
    start = cpu_seconds()
    completed([VOLSEG, *words, "-q"], threads=1)
    return cpu_seconds() - start


EPOCHS = 4


def train_volseg(arguments: argparse.Namespace, case: str, weights: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train a recipe for slices for as many steps as cost no more than the peer's training did.

    A training that took longer, because the machine was busier than when a step was timed, is done again with fewer.
    """
    theirs = kept(arguments, case, weights, f"peer {arguments.trainer}", 0)
    if theirs is None:
        sys.exit(f"{case}, {weights}: the peer's row comes first (--side peer)")
    costs = kept(arguments, case, weights, "timing", 0) or time_volseg(arguments, case, weights, folder)
    share = (0.95 * theirs["cpu"] - costs["start"] - EPOCHS * costs["validation"]) / costs["step"]
    steps = max(1, int(share / EPOCHS))
    cpu = float("inf")
    while cpu > theirs["cpu"]:
        name = f"run-{steps}"
        effort = f"train.epochs={EPOCHS}", f"train.steps={steps}", f"train.seed={seed}"
        cpu = run_volseg(case, weights, folder, name, *effort)
        row = {"cpu": cpu, "steps": EPOCHS * steps, "model": str(folder / name), "allowed": theirs["cpu"]}
        steps = int(0.97 * steps * theirs["cpu"] / cpu)
    return row


def run_volseg(case: str, weights: str, folder: Path, name: str, *settings: str) -> float:
    """Train and return CPU seconds, start-up included."""
    encoder = os.environ["LITE0_WEIGHTS"] if weights == "imagenet" else "none"
    trial = TRIALS[case]
    own = trial.settings + (trial.imagenet if weights == "imagenet" else trial.random)
    chosen = (*own, f"model.encoder.weights={encoder}", *settings)
    sets = [word for item in chosen for word in ("-s", item)]
    volume = folder / "train.h5"
    return volseg("train", RECIPES[weights], "--data", volume, "--labels", volume, "-o", folder / name, *sets)


def time_volseg(arguments: argparse.Namespace, case: str, weights: str, folder: Path) -> dict[str, Any]:
    """Measure and keep what start-up, a step and a validation cost, from three short trainings."""
    short, long, double = (
        run_volseg(case, weights, folder, f"{epochs}x{steps}", f"train.epochs={epochs}", f"train.steps={steps}")
        for epochs, steps in ((1, 4), (1, 16), (2, 4))
    )
    step = max(1e-3, (long - short) / 12)
    validation = max(0.0, double - short - 4 * step)
    row = {"key": [case, weights, "timing", 0], "step": step, "validation": validation}
    row["start"] = max(0.0, short - 4 * step - validation)
    with arguments.rows.open("a") as file:
        file.write(json.dumps(row) + "\n")
    return row


if __name__ == "__main__":
    main()

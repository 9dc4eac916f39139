"""What a prediction costs on a CPU in torch and in ONNX Runtime, in every precision, and what Dice that leaves.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/onnx_speed.py RUN [--rounds 3]

RUN is a run whose files are still there: integers are calibrated on its training volume, and the part that it held out
is predicted as `volseg predict` does, along its whole slices. Rounds alternate between the rows; seconds are the least
CPU time of a prediction, without loading the network. Dice is the mean over the foreground classes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core import evaluate, export
from volseg_core.exporting.measure import held_out
from volseg_core.model import read_model
from volseg_core.prediction.choose import model_and_recipe
from volseg_core.prediction.predictor import opened_job
from volseg_core.progress import Silent
from volseg_core.registry import load_registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.exporting.measure import Sample
    from volseg_core.registry import Registry


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    registry = load_registry()
    model = read_model(arguments.run)
    samples = held_out(registry, model)
    if not samples:
        sys.exit(f"{arguments.run}: its held-out part cannot be read")
    with tempfile.TemporaryDirectory() as folder:
        rows = {"torch": arguments.run, **files(model.path, model.recipe["data"]["train"][0], Path(folder))}
        seconds = {name: float("inf") for name in rows}
        labels: dict[str, list[Any]] = {}
        for _ in range(arguments.rounds):
            for name, path in rows.items():
                spent, labels[name] = predicted(registry, path, "torch" if name == "torch" else "onnxruntime", samples)
                seconds[name] = min(seconds[name], spent)
        sizes = {name: path.stat().st_size for name, path in rows.items() if path.is_file()}
    print("| | MB | CPU s | times torch's speed | Dice | against torch's labels |\n|---|---|---|---|---|---|")
    indices = [np.asarray(sample.truth) for sample in samples]
    truth, masks = (
        [model.spec.heads[0].classes.decode(np.maximum(each, 0)) for each in indices],
        [each >= 0 for each in indices],
    )
    for name in rows:
        size = f"{sizes.get(name, model.path.stat().st_size) / 1e6:.1f}"
        scores = [dice(labels[name], wanted, masks) for wanted in (truth, labels["torch"])]
        ratio = seconds["torch"] / seconds[name]
        print(f"| {name} | {size} | {seconds[name]:.2f} | {ratio:.2f} | {scores[0]:.4f} | {scores[1]:.4f} |")
    return 0


def files(run: Path, volume: str, folder: Path) -> dict[str, Path]:
    """Return the run exported in every precision."""
    options: dict[str, dict[str, Any]] = {"float32": {}, "float16": {"fp16": True}, "int8": {"int8": volume}}
    return {
        f"onnxruntime {name}": export(run.parent, output=folder / f"{name}.onnx", force=True, **chosen).path
        for name, chosen in options.items()
    }


def predicted(registry: Registry, path: Path, runtime: str, samples: Sequence[Sample]) -> tuple[float, list[Any]]:
    """Return the CPU time of predicting the samples, and their labels."""
    spent, labels = 0.0, []
    for sample in samples:
        views = [f"predict.views=[{', '.join(sample.views)}]"] if sample.views else []
        file, recipe = model_and_recipe(registry, path, "", views, "cpu", runtime)
        with opened_job(registry.catalog, file, recipe, sample.volume, device="cpu") as job:
            start = time.process_time()
            sink, _ = job.run(Silent(), None, overwrite=False)
            spent += time.process_time() - start
        labels.append(sink.arrays["labels"])
    return spent, labels


def dice(found: Sequence[Any], wanted: Sequence[Any], masks: Sequence[Any]) -> float:
    """Return Dice over the labelled voxels of all samples."""
    one, other = (
        np.concatenate([labels[mask] for labels, mask in zip(several, masks, strict=True)])[None, None]
        for several in (found, wanted)
    )
    return evaluate(one, other, metrics=["dice"], overrides=["dice.background=false"])["dice"]


if __name__ == "__main__":
    sys.exit(main())

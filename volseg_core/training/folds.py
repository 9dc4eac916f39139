"""Cross-validation: a run for each fold, and the ensemble of their networks as one model."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import math
import os
import statistics
import time
from typing import TYPE_CHECKING

from volseg_core.errors import DataError, Interrupted, VolsegError
from volseg_core.model import WEIGHTS, write_model
from volseg_core.training.folder import check_same_recipe, discard, fold_folder, last_checkpoint, write_end, write_start
from volseg_core.training.run import RunOptions, RunResult, prepare, run_training

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from volseg_core.data.files import VolumeLike
    from volseg_core.model import ModelSpec
    from volseg_core.progress import Progress
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

log = logging.getLogger("volseg")

TABLE = "folds.csv"
"""The scores of each fold, their mean and standard deviation."""


def run_folds(
    registry: Registry,
    recipe: Recipe,
    options: RunOptions,
    progress: Progress,
    data: Sequence[VolumeLike],
    labels: Sequence[VolumeLike],
) -> RunResult:
    """Train every fold in a folder of its own and write the ensemble; scores are the means over folds.

    With ``resume`` finished folds are kept, begun ones go on and missing ones are trained.

    Raises:
        VolsegError: whatever is wrong in one of the folds; finished ones stay.
    """
    folder, folds = options.folder, recipe.data.folds
    completed, spec = _begin(registry, recipe, options, data, labels)
    start, status = time.time(), "failed"
    result: RunResult | None = None
    try:
        results = []
        for number in range(1, folds + 1):
            log.info("fold %d of %d", number, folds)
            one, then = of_fold(recipe, number), of_fold(completed, number)
            results.append(_train_fold(registry, one, then, options, progress, data, labels))
        result = _finish(completed, spec, folder, results)
        status = "done"
    except Interrupted:
        status = "interrupted"
        raise Interrupted("training", "interrupted", f"Go on with: volseg train --resume -o {folder}") from None
    except VolsegError as error:
        status = f"failed: {error.line()}"
        if not any(fold_folder(folder, number).exists() for number in range(1, folds + 1)):
            discard(folder)
        raise
    finally:
        if folder.exists():
            write_end(folder, status, start, result)
    return result


def of_fold(recipe: Recipe, number: int | None) -> Recipe:
    """Return the recipe of one fold, or of all with None."""
    return recipe.replace(data=recipe.data.model_copy(update={"fold": number}))


def _begin(
    registry: Registry,
    recipe: Recipe,
    options: RunOptions,
    data: Sequence[VolumeLike],
    labels: Sequence[VolumeLike],
) -> tuple[Recipe, ModelSpec]:
    """Check the data, write down what is about to run, and return the completed recipe and the spec of a member."""
    first = prepare(registry, of_fold(recipe, 1), data, labels)
    completed = of_fold(first.recipe, None)
    if options.resume and (options.folder / "resolved.yaml").is_file():
        check_same_recipe(completed, options.folder)
    write_start(registry, recipe, completed, options)
    return completed, first.spec


def _train_fold(
    registry: Registry,
    recipe: Recipe,
    completed: Recipe,
    options: RunOptions,
    progress: Progress,
    data: Sequence[VolumeLike],
    labels: Sequence[VolumeLike],
) -> RunResult:
    folder = fold_folder(options.folder, recipe.data.fold)
    if options.resume and (folder / WEIGHTS).is_file():
        done = finished(folder)
        if done is not None:
            check_same_recipe(completed, folder)
            return done
    own = dataclasses.replace(
        options, folder=folder, resume=options.resume and last_checkpoint(folder).is_file(), overwrite=True
    )
    return run_training(registry, recipe, own, progress, data, labels)


def finished(folder: Path) -> RunResult | None:
    """Return what a finished run ended with, or None.

    Raises:
        DataError: its run.json is damaged.
    """
    try:
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if content["status"] != "done":
            return None
        return RunResult(folder, content["model_id"], content["best_epoch"], content["scores"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(str(folder / "run.json"), f"is damaged ({error})", "Train this fold anew: remove it.") from None


def _finish(recipe: Recipe, spec: ModelSpec, folder: Path, results: Sequence[RunResult]) -> RunResult:
    """Write ensemble, table and report."""
    from safetensors.torch import load_file

    from volseg_core.ensemble import member_tensors
    from volseg_core.report.folds import write_report

    tensors = member_tensors([load_file(result.folder / WEIGHTS) for result in results])
    spec = dataclasses.replace(spec, members=len(results))
    model_id = write_model(folder / WEIGHTS, tensors, spec, recipe.to_dict())
    result = RunResult(folder, model_id, None, {key: mean for key, (mean, _) in summary(results).items()})
    _write_table(folder / TABLE, results)
    write_report(recipe, spec, result, results)
    return result


def summary(results: Sequence[RunResult]) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation (n - 1) over folds of every score; folds without a class do not count."""
    table = {}
    for key in dict.fromkeys(key for result in results for key in result.scores):
        values = [result.scores[key] for result in results if not math.isnan(result.scores.get(key, math.nan))]
        spread = statistics.stdev(values) if len(values) > 1 else math.nan
        table[key] = (statistics.fmean(values) if values else math.nan, spread)
    return table


def _write_table(path: Path, results: Sequence[RunResult]) -> None:
    scores = summary(results)
    rows: list[list[object]] = [["fold", "best_epoch", *scores]]
    for number, result in enumerate(results, 1):
        rows.append([number, result.best_epoch, *(f"{result.scores.get(key, math.nan):.6g}" for key in scores)])
    for index, name in enumerate(("mean", "sd")):
        rows.append([name, "", *(f"{pair[index]:.6g}" for pair in scores.values())])
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    with part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    part.replace(path)

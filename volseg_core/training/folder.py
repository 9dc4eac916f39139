"""The run folder: when it may be written, what stands in it before and after training."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from volseg_core.data.files import readers_of
from volseg_core.errors import DataError, UsageError
from volseg_core.exporting.vectors import vectors_path
from volseg_core.model import EXPORTED, WEIGHTS
from volseg_core.provenance import environment, keep_local_plugins, write_json, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_core.catalog import Provided
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry
    from volseg_core.training.run import RunOptions, RunResult

GENERATED = "generated.h5"
"""The volume that a recipe's generator made."""


def last_checkpoint(folder: Path) -> Path:
    """Return where the checkpoint of the last finished epoch stands."""
    return folder / "checkpoints" / "last.ckpt"


def fold_folder(folder: Path, number: int | None) -> Path:
    """Return where the run of a fold stands, counted from 1."""
    return folder / f"fold-{number}"


def check_folder(options: RunOptions, *, folds: bool = False) -> None:
    """Refuse a folder that must not be written.

    Raises:
        DataError: it holds something else or a run that is not to be replaced, or it cannot be written; with
            ``resume``, it holds no checkpoint, or of a cross-validation with ``folds`` not even a begun fold.
    """
    folder = options.folder
    if folder.exists() and not folder.is_dir():
        raise DataError(str(folder), "exists and is not a folder")
    if options.resume:
        if folds and (_fold_runs(folder) or (folder / "resolved.yaml").is_file()):
            return
        if not last_checkpoint(folder).is_file():
            raise DataError(
                str(folder), "holds no checkpoints/last.ckpt to resume from", "Leave --resume out to start."
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        if not options.overwrite:
            raise DataError(
                str(folder),
                "exists and is not empty",
                "Use --resume to go on, --overwrite to start again, or another -o.",
            )
        if not (folder / "run.json").is_file() and not (folder / "resolved.yaml").is_file():
            raise DataError(str(folder), "is not a run folder; it is not overwritten", "Choose another -o.")
    parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    check_writable(parent)


def check_writable(folder: Path) -> None:
    """Raise a DataError when nothing can be made in a folder."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(str(folder), "cannot be written to (no permission)", "Choose another -o.")


def check_same_recipe(recipe: Recipe, folder: Path) -> None:
    """Raise a UsageError when a run is resumed with another recipe than it was started with."""
    from volseg_core.recipe.layers import dotted, leaves
    from volseg_core.registry import read_yaml

    before = dict(leaves(read_yaml(folder / "resolved.yaml")))
    now = dict(leaves(json.loads(json.dumps(recipe.to_dict()))))
    changed = [
        path
        for path in {**before, **now}
        if before.get(path) != now.get(path) and path[0] not in ("made_with", "summary")
    ]
    if changed:
        notes = [f"{dotted(path)}: {before.get(path)!r} then, {now.get(path)!r} now" for path in changed[:8]]
        raise UsageError(
            "--resume",
            f"the recipe differs from {folder}'s in {len(changed)} places",
            "Resume with the same options, or start anew with --from.",
            notes,
        )


def _fold_runs(folder: Path) -> list[Path]:
    return [path for path in folder.glob("fold-*") if (path / "run.json").is_file()]


def write_start(registry: Registry, recipe: Recipe, completed: Recipe, options: RunOptions) -> None:
    """Write down what is about to run: the recipe as written and as completed.

    Raises:
        DataError: the folder cannot be written.
    """
    import yaml

    folder = options.folder
    try:
        if options.overwrite and not options.resume and folder.exists():
            clear(folder)
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "figures").mkdir(exist_ok=True)
        if not options.resume or not (folder / "resolved.yaml").is_file():
            write_text(folder / "recipe.yaml", yaml.safe_dump(dict(recipe.written), sort_keys=False))
            resolved = json.loads(json.dumps(completed.to_dict()))
            write_text(folder / "resolved.yaml", yaml.safe_dump(resolved, sort_keys=False))
        keep_local_plugins(registry, folder)
        write_json(folder / "environment.json", environment(registry, _used(registry, completed), options.argv))
        write_json(folder / "run.json", {"status": "running", "started": _stamp(time.time())})
    except OSError as error:
        raise DataError(str(folder), f"cannot be written to ({error.strerror})", "Choose another -o.") from None


def _used(registry: Registry, recipe: Recipe) -> list[Provided]:
    """Return the components of a run: the recipe's, and the readers of its files where the recipe names none."""
    data = recipe.data
    files = (*data.train, *data.labels, *data.unlabelled, *data.val.files, *data.val.labels)
    readers = readers_of(registry.catalog, files) if recipe.reader is None else []
    return [*(use.provided for use in recipe.components()), *readers]


def discard(folder: Path) -> None:
    """Remove a run that failed before its first epoch was finished: there is nothing to keep or to resume."""
    clear(folder)
    (folder / GENERATED).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def clear(folder: Path) -> None:
    """Remove what an earlier run left, and nothing else."""
    for path in (
        *(folder / name for name in ("checkpoints", "figures", "tensorboard", "report", "plugins")),
        *_fold_runs(folder),
    ):
        shutil.rmtree(path, ignore_errors=True)
    for name in (
        "recipe.yaml",
        "resolved.yaml",
        "environment.json",
        "run.json",
        "metrics.csv",
        "folds.csv",
        "lr_range.csv",
        "lr_range.json",
        WEIGHTS,
        EXPORTED,
        vectors_path(folder / EXPORTED).name,
    ):
        (folder / name).unlink(missing_ok=True)


def write_end(folder: Path, status: str, start: float, result: RunResult | None) -> None:
    """Write down how it ended."""
    content: dict[str, Any] = {
        "status": status,
        "started": _stamp(start),
        "ended": _stamp(time.time()),
        "seconds": round(time.time() - start, 2),
    }
    if result is not None:
        content |= {"best_epoch": result.best_epoch, "model_id": result.model_id, "scores": dict(result.scores)}
    write_json(folder / "run.json", content)


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

"""Training a network, and searching for the recipe that trains it best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.operations.common import require, several
from volseg_core.progress import Progress, Silent
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import Registry, load_registry
from volseg_core.training.run import RunOptions, RunResult, run_training

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from volseg_core.operations.common import PathLike, Volumes
    from volseg_core.tuning.study import TuneResult


def train(
    recipe: str | Mapping[str, Any] = "slices",
    *,
    data: Volumes = (),
    labels: Volumes = (),
    output: PathLike,
    overrides: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    start_from: PathLike | None = None,
    frozen: bool = False,
    argv: Sequence[str] = (),
    watch: Callable[[int, float], bool] | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Train a network on labelled volumes and return the run.

    ``recipe`` is a name, a file or a mapping; ``data`` and ``labels`` are volumes ``FILE[:/internal/path]`` or
    arrays (Z, Y, X) or (C, Z, Y, X) with integer labels (Z, Y, X), or values (K, Z, Y, X) where a recipe learns them,
    which are never changed; ``overrides`` are ``key.path=value``; ``start_from`` is a run or model file to fine-tune;
    ``watch`` is given the number (from 0) and the score of each epoch and returns whether to stop. ``frozen`` refuses
    plugins in other versions than those that a resolved recipe or a resumed run was made with.

    Raises:
        VolsegError: what is wrong, before anything is written; DivergedError when the loss is not finite.
    """
    require("train", ("torch", "lightning", "safetensors"), "train")
    registry = registry or load_registry()
    begun = Path(output) / "resolved.yaml"
    if resume and begun.is_file() and recipe != str(begun):
        resolve_recipe(registry, str(begun), frozen=frozen)
    resolved = resolve_recipe(registry, recipe, overrides, frozen=frozen)
    start = None if start_from is None else Path(start_from)
    options = RunOptions(Path(output), resume, overwrite, start, tuple(argv), watch)
    return run_training(registry, resolved, options, progress or Silent(), several(data), several(labels))


def tune(
    recipe: str | Mapping[str, Any] = "slices",
    *,
    data: Volumes = (),
    labels: Volumes = (),
    output: PathLike,
    trials: int = 20,
    search: Sequence[str] = (),
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> TuneResult:
    """Search keys of a recipe for the best score on the held-out part; needs the extra ``tune``.

    ``search`` holds ``KEY=LOW..HIGH``, ``KEY=LOW..HIGH:log`` and ``KEY=A|B|C``; by default learning rate, weight decay
    and augmentation are searched. ``output`` receives a run for each trial, ``trials.csv`` and ``best.yaml``.

    Raises:
        VolsegError: what is wrong with recipe, space, data or folder; the last failure when every trial failed.
    """
    from volseg_core.tuning.space import DEFAULT
    from volseg_core.tuning.study import Search, run_study

    job = Search(Path(output), tuple(search) or DEFAULT, trials, seed, resume, overwrite)
    registry, progress = registry or load_registry(), progress or Silent()
    return run_study(registry, recipe, overrides, job, several(data), several(labels), progress)

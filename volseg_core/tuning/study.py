"""A study: trainings with varied keys, each in a run folder of its own, and the recipe of the best one."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import shutil
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from volseg_core import operations
from volseg_core.errors import (
    DataError,
    DivergedError,
    PluginError,
    RecipeErrors,
    ResourceError,
    UsageError,
    VolsegError,
)
from volseg_core.provenance import write_text
from volseg_core.recipe import resolve_recipe
from volseg_core.training.folder import check_writable
from volseg_core.training.run import monitored
from volseg_core.tuning.space import assignments, parse_space, start_point, typed_like

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import optuna

    from volseg_core.data.files import VolumeLike
    from volseg_core.progress import Progress
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry
    from volseg_core.tuning.space import Dimension

log = logging.getLogger("volseg")

JOURNAL = "study.log"
"""Optuna's journal: every trial, also of processes that work on the same study."""
STARTUP = 4
"""Trials that are drawn at random and never stopped early, before the others learn from them."""
_OWN = (JOURNAL, "trials.csv", "best.yaml")


@dataclass(frozen=True)
class Search:
    """What is varied, how often, and where the trials stand."""

    folder: Path
    space: Sequence[str]
    trials: int
    seed: int = 0
    resume: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class TuneResult:
    """The best trial: its number, its score, the values that it took, and its recipe as a file."""

    folder: Path
    best: int
    score: float
    values: Mapping[str, Any]
    recipe: Path


@dataclass
class Study:
    """The trainings of a study; ``score`` names what they are compared by."""

    registry: Registry
    recipe: str | Mapping[str, Any]
    overrides: Sequence[str]
    data: Sequence[VolumeLike]
    labels: Sequence[VolumeLike]
    progress: Progress
    folder: Path
    space: Sequence[Dimension]
    score: str
    study: optuna.Study
    failure: VolsegError | None = field(default=None)

    def run(self, trial: optuna.Trial) -> None:
        """Train once and tell the study how it went; what only these values spoil is a failed trial."""
        from optuna.trial import TrialState

        chosen = assignments(self.space, trial)
        run = self.folder / f"trial-{trial.number:03d}"
        stopped: list[int] = []

        def watch(epoch: int, score: float) -> bool:
            if not math.isnan(score):
                trial.report(score, epoch)
                if trial.should_prune():
                    stopped.append(epoch)
            return bool(stopped)

        name = f"trial {trial.number}: {', '.join(chosen)}"
        log.info("%s", name)
        try:
            result = operations.train(
                self.recipe,
                data=self.data,
                labels=self.labels,
                output=run,
                overrides=[*self.overrides, *chosen],
                overwrite=True,
                watch=watch,
                registry=self.registry,
                progress=self.progress,
            )
        except (DivergedError, ResourceError, PluginError, RecipeErrors) as error:
            self.failure = error
            self.study.tell(trial, state=TrialState.FAIL)
            log.info("trial %d failed: %s", trial.number, error.line())
            return
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
        score = result.scores.get(self.score, math.nan)
        if stopped:
            self.study.tell(trial, state=TrialState.PRUNED)
            log.info("trial %d stopped after epoch %d: others were better by then", trial.number, stopped[0] + 1)
        elif math.isnan(score):
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            self.study.tell(trial, score)
            log.info("trial %d: %s %.4f", trial.number, self.score, score)

    @property
    def finished(self) -> int:
        """How many trials came to an end, in other processes too."""
        return sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))


def run_study(
    registry: Registry,
    recipe: str | Mapping[str, Any],
    overrides: Sequence[str],
    search: Search,
    data: Sequence[VolumeLike],
    labels: Sequence[VolumeLike],
    progress: Progress,
) -> TuneResult:
    """Train until ``search.trials`` trials are finished and write table, figure and the best recipe.

    The first trial is the recipe as it is, where it lies inside the space. Each further one is drawn by a
    tree-structured Parzen estimator (Bergstra et al. 2011), and stopped when its score falls below the median of
    earlier ones at the same epoch.

    Raises:
        VolsegError: what is wrong with recipe, space, data or folder; the last failure when every trial failed.
    """
    space = parse_space(search.space)
    resolved = _check(registry, recipe, overrides, space)
    content = json.loads(json.dumps(resolved.to_dict()))
    space = typed_like(space, content)
    score, higher = monitored(resolved)
    _check_folder(search)
    study = _open(search, resolved.train.epochs, higher=higher)
    point = start_point(space, content)
    if point is not None and not study.get_trials(deepcopy=False):
        study.enqueue_trial(point)
    job = Study(registry, recipe, overrides, data, labels, progress, search.folder, space, score, study)
    try:
        while job.finished < search.trials:
            job.run(study.ask())
    finally:
        _write(search.folder, study, score)
    if not _completed(study):
        raise job.failure or UsageError("tune", "no trial was finished", "Give more --trials.")
    best = study.best_trial
    return TuneResult(search.folder, best.number, float(study.best_value), best.params, search.folder / "best.yaml")


def _check(
    registry: Registry, recipe: str | Mapping[str, Any], overrides: Sequence[str], space: Sequence[Dimension]
) -> Recipe:
    """Return the recipe as it is, after a look at every end of the space: a misspelt key must not cost a training."""
    resolved = resolve_recipe(registry, recipe, overrides)
    for item in space:
        for value in item.ends():
            resolve_recipe(registry, recipe, [*overrides, f"{item.key}={value}"])
    rule = resolved.data.val
    if not (rule.fraction or rule.files or resolved.data.folds):
        raise UsageError("data.val", "nothing is held out: trials cannot be compared", "Set data.val.fraction=0.2.")
    return resolved


def _check_folder(search: Search) -> None:
    folder = search.folder
    if folder.exists() and not folder.is_dir():
        raise DataError(str(folder), "exists and is not a folder")
    begun = (folder / JOURNAL).is_file()
    if search.resume and not begun:
        raise DataError(str(folder), f"holds no {JOURNAL} to go on with", "Leave --resume out to start.")
    if not search.resume and folder.is_dir() and any(folder.iterdir()):
        if not search.overwrite:
            hint = "Use --resume to go on, --overwrite to start again, or another -o."
            raise DataError(str(folder), "exists and is not empty", hint)
        if not begun:
            raise DataError(str(folder), "is not the folder of a study; it is not overwritten", "Choose another -o.")
        _clear(folder)
    check_writable(next(path for path in (folder, *folder.absolute().parents) if path.exists()))
    folder.mkdir(parents=True, exist_ok=True)


def _clear(folder: Path) -> None:
    """Remove what an earlier study left, and nothing else."""
    for run in folder.glob("trial-*"):
        if (run / "run.json").is_file():
            shutil.rmtree(run)
    shutil.rmtree(folder / "figures", ignore_errors=True)
    for name in _OWN:
        (folder / name).unlink(missing_ok=True)


def _open(search: Search, epochs: int, *, higher: bool) -> optuna.Study:
    """Return the study in the folder, begun or gone on with.

    Raises:
        UsageError: optuna is missing, or the study was begun with another space.
    """
    try:
        import optuna
    except ImportError:
        raise UsageError("tune", "needs the package optuna", 'Install it: pip install "volseg[tune]".') from None
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(search.folder / JOURNAL)))
    study = optuna.create_study(
        study_name="volseg",
        storage=storage,
        load_if_exists=True,
        direction="maximize" if higher else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=max(1, epochs // 4)),
    )
    before = study.user_attrs.get("space")
    if before is None:
        study.set_user_attr("space", list(search.space))
    elif before != list(search.space):
        raise UsageError("--search", f"this study searches {', '.join(before)}", "Go on with the same, or another -o.")
    # a study that goes on must not draw its first values again
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=STARTUP, seed=search.seed + len(study.get_trials(deepcopy=False))
    )
    return study


def _completed(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    from optuna.trial import TrialState

    return list(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def _write(folder: Path, study: optuna.Study, score: str) -> None:
    """Write the table of trials and, if one is complete, picture and recipe of the best."""
    from volseg_core.report.figures import draw_trials

    trials = study.get_trials(deepcopy=False)
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    part = folder / f".trials.csv.part-{os.getpid()}"
    with part.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["trial", "state", score, *keys])
        for trial in trials:
            value = "" if trial.value is None else f"{trial.value:.6g}"
            table.writerow(
                [trial.number, trial.state.name.lower(), value, *(trial.params.get(key, "") for key in keys)]
            )
    part.replace(folder / "trials.csv")
    if not _completed(study):
        return
    best = study.best_trial
    values = "\n".join(f"#   {key}: {value}" for key, value in best.params.items())
    recipe = (folder / f"trial-{best.number:03d}" / "resolved.yaml").read_text(encoding="utf-8")
    header = (
        f"# The best of {len(_completed(study))} finished trials, number {best.number}: {score} {best.value:.4f}.\n"
    )
    write_text(folder / "best.yaml", f"{header}# Found:\n{values}\n{recipe}")
    (folder / "figures").mkdir(exist_ok=True)
    draw_trials(
        [(trial.params, float(trial.value or 0)) for trial in _completed(study)], score, folder / "figures/trials.png"
    )

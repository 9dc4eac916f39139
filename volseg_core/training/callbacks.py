"""What happens around epochs: checkpoints, the table of metrics, progress."""

# ruff: noqa: ARG002  (hooks have the arguments that Lightning gives them)

from __future__ import annotations

import csv
import json
import logging
import math
import os
import shutil
from typing import TYPE_CHECKING, Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint

from volseg_core.training.module import SegmentationModule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from volseg_core.progress import Task

log = logging.getLogger("volseg")

TOLERANCE = 0.005
"""Share of the best score within which two epochs count as equally good."""


class Checkpoints(Checkpoint):
    """Keeps ``last.ckpt`` and ``best.ckpt`` after every epoch, each written under a temporary name and renamed.

    ``monitor`` names the score; ``higher`` whether more is better. ``save_weights`` is called at every new best.
    With a ``patience`` above 0 training stops after that many epochs whose score was no better than an earlier one.
    A later epoch wins as long as it is within `TOLERANCE` of the best score so far: it has seen more data at a lower
    learning rate, and the score of a small held-out slab is noisy.
    """

    def __init__(
        self,
        folder: Path,
        monitor: str,
        *,
        higher: bool,
        spec: str,
        recipe: str,
        save_weights: Callable[[], None],
        patience: int = 0,
    ) -> None:
        super().__init__()
        self.patience = patience
        self.waited = 0
        self.folder, self.monitor, self.higher = folder, monitor, higher
        self.documents = {"volseg.spec": spec, "volseg.recipe": recipe}
        self.save_weights = save_weights
        self.best = math.nan
        self.best_epoch = -1

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save the epoch, as the best one too when it is."""
        assert isinstance(pl_module, SegmentationModule)  # noqa: S101
        score = pl_module.scores.get(self.monitor, math.nan)
        if self.best_epoch < 0 or self.monitor not in pl_module.scores or self._competes(score):
            self.best_epoch = trainer.current_epoch
        self.waited += 1
        if math.isnan(self.best) or (score > self.best if self.higher else score < self.best):
            self.best, self.waited = score, 0
        if self.patience and self.monitor and self.waited >= self.patience:
            log.info("no better %s for %d epochs: training stops", self.monitor, self.waited)
            trainer.should_stop = True
        last = self.folder / "last.ckpt"
        part = self.folder / f".last.ckpt.part-{os.getpid()}"
        trainer.save_checkpoint(part)
        part.replace(last)
        if self.best_epoch == trainer.current_epoch:
            copy = self.folder / f".best.ckpt.part-{os.getpid()}"
            shutil.copyfile(last, copy)
            copy.replace(self.folder / "best.ckpt")
            self.save_weights()

    def _competes(self, score: float) -> bool:
        """Return whether an epoch is as good as the best one so far; NaN never is."""
        if math.isnan(score) or math.isnan(self.best):
            return not math.isnan(score)
        margin = TOLERANCE * abs(self.best)
        return score >= self.best - margin if self.higher else score <= self.best + margin

    def on_save_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Put spec and recipe into the checkpoint."""
        checkpoint.update(self.documents)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a run was left."""
        self.best, self.best_epoch, self.waited = (state_dict[key] for key in ("best", "best_epoch", "waited"))


class MetricsTable(lightning.Callback):
    """Appends a line per epoch to ``metrics.csv``; a resumed run drops the lines that it repeats."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the table anew with this epoch at its end."""
        assert isinstance(pl_module, SegmentationModule)  # noqa: S101
        rows = [row for row in read_metrics(self.path) if int(row["epoch"]) < trainer.current_epoch]
        rows.append({"epoch": str(trainer.current_epoch), **{k: f"{v:.6g}" for k, v in pl_module.scores.items()}})
        columns = list(dict.fromkeys(key for row in rows for key in row))
        part = self.path.with_name(f".{self.path.name}.part-{os.getpid()}")
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        part.replace(self.path)


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Return the rows of ``metrics.csv``, none when it does not exist."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class EpochPlan(lightning.Callback):
    """Tells the batch plan which epoch it is, before the loader is iterated."""

    def __init__(self, plan: Any) -> None:
        super().__init__()
        self.plan = plan

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Set the epoch."""
        self.plan.set_epoch(trainer.current_epoch)


class Watch(lightning.Callback):
    """Lets ``watch(epoch, score)`` decide after every epoch whether training is to stop."""

    def __init__(self, watch: Callable[[int, float], bool], monitor: str) -> None:
        super().__init__()
        self.watch, self.monitor = watch, monitor

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Show the score."""
        assert isinstance(pl_module, SegmentationModule)  # noqa: S101
        if self.watch(trainer.current_epoch, pl_module.scores.get(self.monitor, math.nan)):
            trainer.should_stop = True


class ProgressDisplay(lightning.Callback):
    """Advances a task with every step; its note holds the last scores."""

    def __init__(self, task: Task, say: Callable[[str], None], monitor: str) -> None:
        super().__init__()
        self.task, self.say, self.monitor = task, say, monitor
        self.note = ""

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count a step."""
        self.task.advance(1, self.note)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say the epoch's scores."""
        assert isinstance(pl_module, SegmentationModule)  # noqa: S101
        shown = {key: pl_module.scores[key] for key in ("train/loss", self.monitor) if key in pl_module.scores}
        self.note = ", ".join(f"{key} {value:.4f}" for key, value in shown.items())
        self.say(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {self.note}")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint as data: no code in it is executed.

    Raises:
        DataError: it is damaged or holds more than data.
    """
    import pickle

    from volseg_core.errors import DataError

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise DataError(str(path), f"is not a usable checkpoint ({type(error).__name__})") from None
    if not isinstance(content, dict) or "volseg.recipe" not in content:
        raise DataError(str(path), "is not a checkpoint of volseg")
    json.loads(content["volseg.recipe"])
    return content

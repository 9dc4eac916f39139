"""Fitting: the network of a prepared recipe, trained by Lightning. Imports torch and Lightning."""

from __future__ import annotations

import functools
import json
import logging
import re
import warnings
from typing import TYPE_CHECKING, Any, Literal

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn

from volseg_core.data.truth import ids, teachers
from volseg_core.errors import Interrupted, ResourceError
from volseg_core.machine import thread_count, torch_device
from volseg_core.model import WEIGHTS, read_header, tensors_sha256, write_model
from volseg_core.training.assembly import build_loss, build_scorers, layout_of, start_network, window_spacing
from volseg_core.training.callbacks import (
    Checkpoints,
    EpochPlan,
    MetricsTable,
    ProgressDisplay,
    Watch,
    read_checkpoint,
    read_metrics,
)
from volseg_core.training.folder import last_checkpoint
from volseg_core.training.loaders import SHARED_MEMORY_HINT, Batches, make_batches, make_loaders
from volseg_core.training.module import SegmentationModule
from volseg_core.training.rate import STEPS as RANGE_STEPS
from volseg_core.training.rate import find_rate, on_device, read_rate
from volseg_core.training.run import Prepared, RunOptions, RunResult, monitored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from volseg_core.catalog import Catalog
    from volseg_core.progress import Progress
    from volseg_core.recipe import TrainBlock
    from volseg_core.training.losses import SumOfHeads

log = logging.getLogger("volseg")


def fit(catalog: Catalog, prepared: Prepared, options: RunOptions, progress: Progress) -> RunResult:
    """Train, and leave checkpoints, weights, metrics and figures in the run folder.

    Raises:
        DivergedError: the loss is not finite. Interrupted: Ctrl-C. ResourceError: memory ran out.
    """
    recipe, rule, folder = prepared.recipe, prepared.recipe.train, options.folder
    _quieten()
    device = torch_device(rule.device)
    torch.set_num_threads(thread_count())
    lightning.seed_everything(rule.seed, verbose=False)
    network = start_network(catalog, prepared, options)
    taught = teachers(catalog, recipe, prepared.spec.heads, window_spacing(prepared.spec))
    batches = make_batches(prepared, catalog.build(recipe.augment.provided, recipe.augment.params), taught)
    steps = batches.plan.steps
    monitor = monitored(recipe) if prepared.held else ("", True)
    module = _module(catalog, prepared, network, batches, options, monitor)
    checkpoints = Checkpoints(
        folder / "checkpoints",
        monitor[0],
        higher=monitor[1],
        spec=json.dumps(prepared.spec.to_dict()),
        recipe=json.dumps(recipe.to_dict()),
        save_weights=functools.partial(_save_weights, folder, module.trained, prepared),
        patience=rule.early_stop,
    )
    log.info("training %d epochs of %d steps on %s", rule.epochs, steps, device)
    last = last_checkpoint(folder)
    done = 0
    if options.resume:
        done = int(read_checkpoint(last)["epoch"]) + 1
        batches.set_epoch(done)
        log.info("resuming after epoch %d", done)
    with progress.task("training", steps * rule.epochs, "steps", done=steps * done) as task:
        display = ProgressDisplay(task, log.debug, monitor[0])
        callbacks = [EpochPlan(batches), MetricsTable(folder / "metrics.csv"), display, checkpoints]
        if options.watch is not None:
            callbacks.append(Watch(options.watch, monitor[0]))
        trainer = _trainer(rule, folder, device, callbacks)
        judges = [*taught, ids] if any(scorer.looks_at_objects for scorer in module.scorers) else taught
        loaders = make_loaders(prepared, batches, device, judges)
        _run(trainer, module, loaders, last if options.resume else None, folder)
    return _finish(catalog, prepared, folder, checkpoints)


def _module(
    catalog: Catalog,
    prepared: Prepared,
    network: nn.Module,
    batches: Batches,
    options: RunOptions,
    monitor: tuple[str, bool],
) -> SegmentationModule:
    recipe = prepared.recipe
    loss = build_loss(catalog, prepared)
    lr = _rate(recipe.train, network, loss, batches, options)
    module = SegmentationModule(
        network, loss, build_scorers(catalog, prepared), recipe.train, batches.plan.steps, lr, monitor
    )
    layout = layout_of(recipe.train, network, prepared.spec.dims)
    return module if layout is None else module.to(memory_format=layout)


def _rate(rule: TrainBlock, network: nn.Module, loss: SumOfHeads, batches: Batches, options: RunOptions) -> float:
    """Return the learning rate; ``auto`` is found once and read again when a run is resumed."""
    if rule.lr != "auto":
        return rule.lr
    if options.resume:
        return read_rate(options.folder)
    device = torch_device(rule.device)

    def draws() -> Iterator[Any]:
        plan = batches.plan.for_steps(RANGE_STEPS, epoch=rule.epochs)  # no epoch of the training has these draws
        return on_device(
            (torch.utils.data.default_collate([batches.windows[item] for item in each]) for each in plan), device
        )

    return find_rate(rule, network.to(device), loss, draws, options.folder)


def _trainer(rule: TrainBlock, folder: Path, device: str, callbacks: list[lightning.Callback]) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        max_epochs=rule.epochs,
        precision=_precision(rule, device),
        deterministic=True if rule.deterministic else None,
        accumulate_grad_batches=rule.accumulate,
        gradient_clip_val=rule.clip or None,
        logger=TensorBoardLogger(str(folder), name="tensorboard", version=""),
        callbacks=callbacks,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=10_000_000,
        use_distributed_sampler=False,
    )


def _precision(rule: TrainBlock, device: str) -> Literal["32-true", "16-mixed", "bf16-mixed"]:
    if rule.precision == "32" or (rule.precision == "auto" and device != "cuda"):
        return "32-true"
    if rule.precision != "auto":
        return rule.precision
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def _run(
    trainer: lightning.Trainer,
    module: SegmentationModule,
    loaders: tuple[Any, Any],
    resume_from: Path | None,
    folder: Path,
) -> None:
    try:
        trainer.fit(module, *loaders, ckpt_path=resume_from, weights_only=True)
    except (KeyboardInterrupt, SystemExit):
        raise _stopped(folder) from None
    except torch.OutOfMemoryError:
        raise ResourceError(
            "training", "the GPU's memory is exhausted", "Lower train.batch or data.window, or set train.precision."
        ) from None
    except RuntimeError as error:
        text = f"{error} {error.__cause__}"
        if "DataLoader worker" not in text and "shared memory" not in text:
            raise
        raise _worker_died(text) from None
    if trainer.interrupted:
        raise _stopped(folder)


def _worker_died(text: str) -> ResourceError:
    """Return the error of a data worker that the system ended; ``text`` is torch's, which may lack the signal."""
    signal = re.search(r"killed by signal: ([^.]+)\.", text)
    what = f"a data worker died ({signal[1]})" if signal else "a data worker died"
    if "shared memory" in text or not signal:
        return ResourceError("training", f"{what}; shared memory (/dev/shm) is probably full", SHARED_MEMORY_HINT)
    return ResourceError("training", what, "Memory may have run out; try -s train.workers=0.")


def _stopped(folder: Path) -> Interrupted:
    if last_checkpoint(folder).exists():
        return Interrupted("training", "interrupted", f"Go on with: volseg train --resume -o {folder}")
    return Interrupted("training", "interrupted before the first epoch was finished", "Start again with --overwrite.")


def _save_weights(folder: Path, network: nn.Module, prepared: Prepared) -> None:
    write_model(folder / WEIGHTS, network.state_dict(), prepared.spec, prepared.recipe.to_dict())


def _finish(catalog: Catalog, prepared: Prepared, folder: Path, checkpoints: Checkpoints) -> RunResult:
    from volseg_core.report.run import write_report

    weights = folder / WEIGHTS
    _, length = read_header(weights)
    rows = read_metrics(folder / "metrics.csv")
    best = next((row for row in rows if int(row["epoch"]) == checkpoints.best_epoch), {})
    scores = {key: float(value) for key, value in best.items() if key != "epoch" and value}
    result = RunResult(folder, tensors_sha256(weights, length), checkpoints.best_epoch, scores)
    write_report(catalog, prepared, result)
    return result


def _quieten() -> None:
    """Silence what says nothing to a user of volseg."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=r".*does not have many workers.*")

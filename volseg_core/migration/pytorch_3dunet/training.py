"""The sections ``optimizer``, ``lr_scheduler`` and ``trainer``, the seed and the device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from volseg_core.migration.pytorch_3dunet.vocabulary import SCHEDULES

if TYPE_CHECKING:
    from volseg_core.migration.settings import Settings, Transfer

_BETAS = ("betas",)
_OPTIONS = {
    "Adam": _BETAS,
    "AdamW": _BETAS,
    "Adamax": _BETAS,
    "RAdam": _BETAS,
    "NAdam": (*_BETAS, "momentum_decay"),
    "Adadelta": ("rho",),
    "Adagrad": ("lr_decay",),
    "RMSprop": ("alpha",),
    "Rprop": ("etas", "step_sizes"),
    "SGD": ("momentum", "dampening", "nesterov"),
}
"""Options of each optimiser that pytorch-3dunet passes on."""
_UNUSABLE = {
    "LBFGS": "LBFGS evaluates the loss several times a step, which training here does not",
    "SparseAdam": "SparseAdam takes sparse gradients alone, which no network here has",
}
_RATE, _VALIDATE = 1e-3, 200
"""Their defaults: learning rate, iterations from one validation to the next."""
_FIRST = (
    "the iterations decide here; there the training ends too once all patches were seen that often, whichever comes "
    "first: lower train.epochs where that is sooner"
)
_TRAINER = {
    "max_num_epochs": _FIRST,
    "epochs": _FIRST,
    "checkpoint_dir": "volseg train -o names the folder of a run",
    "resume": "volseg train --resume goes on with a run",
    "pre_trained": "volseg train --from starts from weights, those of the import too",
    "log_after_iters": "curves are drawn by epoch",
    "validate_iters": "up to 24 windows of each volume are scored, evenly spread",
    "eval_score_higher_is_better": "each metric says itself which is better",
    "skip_train_validation": "metrics are computed on what is held out alone",
    "max_val_images": "the report shows slices that were held out",
    "tensorboard_formatter": "the report shows slices that were held out",
    "num_iterations": "volseg train --resume goes on with a run",
    "num_epoch": "volseg train --resume goes on with a run",
}


def carry_general(settings: Settings, transfer: Transfer) -> None:
    """Carry the seed and the device."""
    seed = settings.whole("manual_seed")
    if seed is not None:
        transfer.carry("train.seed", seed, "manual_seed")
    device = settings.word("device").partition(":")[0]
    if device in ("cpu", "cuda"):
        transfer.carry("train.device", device, "device")
    elif device:
        settings.leave("device", f"{device!r} is neither cpu nor cuda")
    settings.leave("model_path", "the checkpoint is the second argument of the import")


def carry_optimizer(settings: Settings, transfer: Transfer) -> None:
    """Carry the optimiser with its options; where none is named it is Adam, as there."""
    name = settings.word("name") or "Adam"
    rate = settings.number("learning_rate", lambda value: value > 0)
    decay = settings.number("weight_decay", lambda value: value >= 0)
    transfer.carry(
        "train.lr", _RATE if rate is None else rate, _said("optimizer.learning_rate", given=rate is not None)
    )
    if name in _UNUSABLE:
        settings.leave("name", f"{_UNUSABLE[name]}; the recipe keeps its own")
        settings.leave_the_rest({}, f"it belongs to {name}")
        return
    if name not in _OPTIONS:
        settings.leave("name", f"{name}: pytorch-3dunet takes Adam where it does not know a name")
        name = "Adam"
    transfer.carry("train.optimizer", name, "optimizer.name, Adam unless it says otherwise")
    transfer.carry("train.weight_decay", decay or 0.0, _said("optimizer.weight_decay", given=decay is not None))
    options = {key: settings.take(key) for key in _OPTIONS[name] if key in settings}
    if options:
        transfer.carry("train.optimizer_options", options, f"options of {name}")
    settings.leave_the_rest(
        dict.fromkeys({key for keys in _OPTIONS.values() for key in keys}, f"without effect on {name}"),
        f"no option that pytorch-3dunet gives to {name}",
    )


def _said(key: str, *, given: bool) -> str:
    return key if given else f"the default of {key}"


def carry_schedule(settings: Settings, transfer: Transfer) -> None:
    """Carry the schedule, constant where there is none."""
    name = settings.word("name")
    schedule = SCHEDULES.get(name, "constant")
    if name in SCHEDULES:
        rule = (
            ": a tenth after 3 epochs without a better score, whatever factor and patience"
            if schedule == "plateau"
            else ""
        )
        transfer.carry("train.schedule", schedule, f"lr_scheduler {name}{rule}")
    else:
        transfer.carry("train.schedule", "constant", "there is no lr_scheduler that has an equivalent here")
    if name and name not in SCHEDULES:
        settings.leave("name", f"{name} has no equivalent here; see also one-cycle, cosine and plateau")
    if schedule == "one-cycle" and (rise := settings.number("pct_start", lambda value: 0 < value < 1)) is not None:
        transfer.carry("train.warmup", rise, "lr_scheduler.pct_start")
    settings.leave_the_rest({}, f"the schedule {schedule} has no such parameter")


def carry_trainer(settings: Settings, transfer: Transfer) -> None:
    """Carry the length of the training: an epoch here ends where there is a validation."""
    every = settings.whole("validate_after_iters", 1)
    steps = _VALIDATE if every is None else every
    iterations = _either(settings, "max_num_iterations", "iters")
    if iterations is not None:
        why = f"validated after every {steps} iterations, as validate_after_iters says or by default"
        transfer.carry("train.steps", min(steps, iterations), why)
        epochs = math.ceil(iterations / steps)
        transfer.carry("train.epochs", epochs, f"{iterations} iterations, {steps} in each epoch")
    else:
        epochs_there = _either(settings, "max_num_epochs", "epochs")
        if epochs_there is not None:
            transfer.carry("train.epochs", epochs_there, "max_num_epochs, each as long as train.steps says")
        settings.leave("validate_after_iters", "validated after each epoch")
    settings.leave_the_rest(_TRAINER, "no key of pytorch-3dunet's trainer")


def _either(settings: Settings, key: str, older: str) -> int | None:
    """Return a number under its name, or under that of earlier versions."""
    value = settings.whole(key, 1) if key in settings else None
    return settings.whole(older, 1) if value is None and older in settings else value

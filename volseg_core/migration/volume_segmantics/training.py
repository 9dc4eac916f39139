"""The training settings of Volume Segmantics as keys of a recipe."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from volseg_core.errors import did_you_mean
from volseg_core.migration.volume_segmantics.losses import carry_loss
from volseg_core.migration.volume_segmantics.network import ARCHITECTURES, untrained
from volseg_core.migration.volume_segmantics.reasons import (
    INPUT_KEYS,
    INPUT_REASON,
    TEACHER_KEYS,
    TEACHER_OFF,
)
from volseg_core.recipe.choices import offers

if TYPE_CHECKING:
    from volseg_core.catalog import Catalog
    from volseg_core.migration.settings import Settings, Transfer

_ONLY_040 = ("encoder_lr_multiplier", "use_imagenet_norm", "augmentation_library", "use_2_5d_slicing", "ce_weight")
"""Keys that tell the settings of 0.4.0 from those of 0.3.2."""
_SEARCH = ("end_lr", "lr_find_epochs", "lr_reduce_factor", "pct_lr_inc")
_DEVIATIONS = 2.575
_METRICS = {"meaniou": ["iou", "dice"], "dicecoefficient": ["dice", "iou"]}


def carry_training(settings: Settings, transfer: Transfer, catalog: Catalog) -> None:
    """Carry what a recipe has keys for; `Settings.remaining` holds the rest."""
    _axes(settings, transfer)
    _intensities(settings, transfer)
    _slices(settings, transfer)
    _epochs(settings, transfer)
    _rate(settings, transfer)
    carry_loss(settings, transfer, catalog)
    _metrics(settings, transfer)
    _network(settings, transfer, catalog)
    _augmentation(settings, transfer)
    _teacher(settings, transfer)


def _axes(settings: Settings, transfer: Transfer) -> None:
    axes = settings.word("training_axes").lower()
    if axes == "all":
        transfer.carry(
            "data.axes", "zyx", "training_axes All; 'auto' would leave out axes that the voxels do not allow"
        )
    elif axes in ("z", "y", "x"):
        transfer.carry("data.axes", axes, f"training_axes {axes.upper()}")
    elif axes:
        transfer.leave("training_axes", f"{axes!r} is none of All, Z, Y and X")


def _intensities(settings: Settings, transfer: Transfer) -> None:
    factor = settings.number("st_dev_factor", lambda value: value > 0) or _DEVIATIONS
    if "clip_data" in settings and not settings.flag("clip_data"):
        why = "clip_data off: nothing is clipped. There each slice became 8-bit by itself, here a volume has one scale"
        transfer.carry("data.normalise", {"kind": "zscore", "clip": [0, 100]}, why)
        if "st_dev_factor" in settings:
            transfer.leave("st_dev_factor", "without effect: clip_data is off")
    elif "clip_data" in settings or "st_dev_factor" in settings:
        settings.take("clip_data")
        low = 50 * (1 + math.erf(-factor / math.sqrt(2)))
        clip = [round(low, 3), round(100 - low, 3)]
        why = (
            f"clip_data at {factor:g} standard deviations, which on normal data are these percentiles. There the "
            "network sees (u - 0.449) / 0.226 of the clipped range u in [0, 1], here mean 0 and standard deviation 1"
        )
        transfer.carry("data.normalise", {"kind": "zscore", "clip": clip}, why)
    if other := tuple(key for key in INPUT_KEYS if key in settings):
        for key in other:
            settings.take(key)
        transfer.leave(other, INPUT_REASON)


def _slices(settings: Settings, transfer: Transfer) -> None:
    if "image_size" in settings:
        size = settings.take("image_size")
        why = (
            f"slices are never rescaled (there to {size}): windows are cut at the scale of the volume, in training and "
            "in prediction; data.window sets their size"
        )
        transfer.leave("image_size", why)
    share = settings.number("training_set_proportion", lambda value: 0 < value <= 1)
    if share is not None:
        why = (
            f"training_set_proportion {share:g}; held out is a slab, not random slices, whose neighbours are trained on"
        )
        transfer.carry("data.val.fraction", round(1 - share, 6), why)
    wanted, count = settings.flag("use_2_5d_slicing"), settings.whole("num_slices", 1)
    if wanted and count is not None and count % 2:
        transfer.carry(
            "data.neighbours", count // 2, f"use_2_5d_slicing with num_slices {count}: {count // 2} each side"
        )
    elif wanted:
        transfer.leave("use_2_5d_slicing", f"num_slices {count} has no middle slice; set data.neighbours")
    elif count is not None:
        transfer.leave("num_slices", "without effect: use_2_5d_slicing is off")


def _epochs(settings: Settings, transfer: Transfer) -> None:
    frozen, free = settings.whole("num_cyc_frozen"), settings.whole("num_cyc_unfrozen")
    if frozen is not None or free is not None:
        frozen, free = frozen or 0, free or 0
        if frozen + free:
            why = f"num_cyc_frozen {frozen} + num_cyc_unfrozen {free}; an epoch sees every voxel once per axis"
            transfer.carry("train.epochs", frozen + free, why)
        if frozen:
            why = "num_cyc_frozen" if free else "num_cyc_frozen, less the one epoch that has to train the encoder"
            transfer.carry("train.frozen_epochs", frozen if free else frozen - 1, why)
    patience = settings.whole("patience")
    if patience is not None:
        transfer.carry("train.early_stop", patience, "patience: epochs without a better score; 0 never stops")
    seed = settings.whole("random_seed")
    if seed is not None:
        transfer.carry("train.seed", seed, "random_seed")
    elif "random_seed" in settings:
        transfer.leave("random_seed", "blank; volseg always has a seed, train.seed, which is 0")


def _rate(settings: Settings, transfer: Transfer) -> None:
    """Carry the learning rate: 0.3.2 searches for it, the default trainer of 0.4.0 takes the lower bound as it is."""
    start = settings.number("starting_lr", lambda value: value > 0)
    listed = tuple(key for key in _SEARCH if key in settings)
    rise = settings.number("pct_lr_inc", lambda value: 0 < value < 1)
    for key in listed:
        settings.take(key)
    if any(key in settings for key in _ONLY_040):
        if start is not None:
            transfer.carry("train.lr", start, "starting_lr, which the trainer of 0.4.0 takes as it is")
            transfer.carry(
                "train.schedule", "constant", "0.4.0 has no schedule; one-cycle with lr: auto is worth a try"
            )
        if listed:
            transfer.leave(listed, "the trainer of 0.4.0 does not use them; train.lr: auto searches for a rate")
    elif start is not None or listed:
        transfer.carry("train.lr", "auto", "a rate is searched for, as there")
        bounds = tuple(key for key in ("starting_lr", *listed) if key != "pct_lr_inc" and key in settings)
        if bounds:
            transfer.leave(bounds, "the search has bounds of its own and stops before the loss explodes")
        if rise is not None:
            transfer.carry("train.warmup", rise, "pct_lr_inc, of the one-cycle schedule")
    factor = settings.number("encoder_lr_multiplier", lambda value: value > 0)
    if factor is not None and factor <= 1:
        transfer.carry("train.encoder_lr", factor, "encoder_lr_multiplier")
    elif factor is not None:
        transfer.leave("encoder_lr_multiplier", f"{factor:g} is above 1; train.encoder_lr goes up to 1")


def _metrics(settings: Settings, transfer: Transfer) -> None:
    name = settings.word("eval_metric")
    metrics = _METRICS.get(name.lower())
    if metrics:
        transfer.carry(
            "metrics", metrics, f"eval_metric {name}: the first chooses the best epoch, where there the loss did"
        )
    elif name:
        transfer.leave("eval_metric", f"{name!r} is neither MeanIoU nor DiceCoefficient")


def _network(settings: Settings, transfer: Transfer, catalog: Catalog) -> None:
    content = settings.take("model")
    if not isinstance(content, dict):
        if content is not None:
            transfer.leave("model", f"{content!r} is not a mapping")
        return
    rest = dict(content)
    kind = str(rest.pop("type", "")).strip()
    if kind.upper() in ARCHITECTURES:
        transfer.carry("model.use", ARCHITECTURES[kind.upper()], f"model.type {kind}")
    elif kind:
        hint = did_you_mean(kind.upper(), ARCHITECTURES)
        transfer.leave(
            "model.type", f"{kind} has no equivalent here; the recipe keeps its own network. {hint}".rstrip()
        )
    name, weights, depth = (rest.pop(key, None) for key in ("encoder_name", "encoder_weights", "encoder_depth"))
    if name and not offers(catalog, "encoder", str(name)):
        keys = tuple(f"model.{key}" for key in ("encoder_name", "encoder_weights", "encoder_depth") if key in content)
        transfer.leave(keys, f"no encoder {name!r} here; the recipe keeps its own (volseg components encoder)")
    else:
        _encoder(transfer, name, weights, depth, given="encoder_weights" in content)
    for key in rest:
        transfer.leave(f"model.{key}", "no option of the networks of volseg")


def _encoder(transfer: Transfer, name: Any, weights: Any, depth: Any, *, given: bool) -> None:
    if name:
        transfer.carry("model.encoder.use", str(name), "model.encoder_name")
    if given:
        value = "none" if untrained(weights) else str(weights)
        transfer.carry("model.encoder.weights", value, "model.encoder_weights")
    if isinstance(depth, int) and not isinstance(depth, bool):
        transfer.carry("model.encoder.depth", depth, "model.encoder_depth")
    elif depth is not None:
        transfer.leave("model.encoder_depth", f"{depth!r} is no number of stages")


def _augmentation(settings: Settings, transfer: Transfer) -> None:
    library = settings.word("augmentation_library")
    if library:
        why = f"augmentation_library {library}: flips, turns, warps and contrast as there; see also strong, em, ct"
        transfer.carry("data.augment", "standard", why)


def _teacher(settings: Settings, transfer: Transfer) -> None:
    present = tuple(key for key in TEACHER_KEYS if key in settings)
    on = settings.flag("use_semi_supervised")
    values = {key: settings.take(key) for key in present}
    if on:
        batch, weight, decay = (values.get(key) for key in ("unlabeled_batch_size", "consistency_weight", "ema_decay"))
        why = (
            "it needs the unlabelled volumes, which the settings do not name. Add data.unlabelled: [FILE], "
            f"train.ema: {decay or 0.99} and train.teacher: {{weight: {weight or 0.1}, batch: {batch or 8}}}"
        )
        transfer.leave(("use_semi_supervised", *present), why)
    elif "use_semi_supervised" in settings:
        transfer.leave("use_semi_supervised", "off, as in volseg")
        if present:
            transfer.leave(present, TEACHER_OFF)
    elif present:
        transfer.leave(present, TEACHER_OFF)

"""A recipe for a labelled volume and a machine, with the reason for each choice."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from volseg_core.advice.case import GIB, IGNORE, Case, Machine
from volseg_core.advice.check import check_shape
from volseg_core.advice.labels import CLASSES, HINTS, check_ids, kind_of
from volseg_core.advice.survey import survey_image, survey_labels
from volseg_core.data.files import VolumeLike, open_volume
from volseg_core.errors import DataError
from volseg_core.recipe.choices import Choice, offers, write_recipe
from volseg_core.volume.labels import class_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from volseg_core.registry import Registry

_WINDOW, _FEWEST_STEPS, _MOST_STEPS = 256, 50, 1000
_STEPS_CPU, _STEPS_GPU = 3000, 6000
_LEAST_EPOCHS, _MOST_EPOCHS = 8, 100
_THIN = 48
_MANY_CLASSES = 16
_ALIKE = 0.3
_RARE, _VERY_RARE = 0.05, 0.005
_FEW_VOXELS, _MANY_VOXELS = 500_000, 50_000_000
_EM_SPACING, _AIR = 50e-9, -500
_SLOW_VOXELS = 30_000_000
_MEMORY_SHARE = 0.5


def suggest(registry: Registry, data: VolumeLike, labels: VolumeLike, machine: Machine | None = None) -> str:
    """Return the YAML text of a recipe for a labelled volume.

    Raises:
        DataError: the labels do not fit the image or cannot be classes.
    """
    with open_volume(registry.catalog, data, "data") as image, open_volume(registry.catalog, labels, "labels") as ids:
        found = survey_labels(ids, class_names(ids.attributes))
        kind, what = kind_of(found, IGNORE)
        if kind != CLASSES:
            what = f"{what}, which look like {kind}; suggestions are for classes"
            raise DataError(ids.grid.source or "labels", what, HINTS[kind])
        for finding in (*check_shape(image, ids), *check_ids(found, IGNORE)):
            if finding.level == "fatal":
                raise DataError(ids.grid.source or "labels", finding.what, finding.hint)
        case = Case(survey_image(image), found, machine or Machine.here(), registry.catalog)
        where = image.grid.source or "a volume"
    shape = " x ".join(map(str, case.image.shape))
    title = f"Suggested by volseg for {where}: {shape} voxels of {case.image.dtype}, on {case.machine}."
    return write_recipe(title, _choices(case, data, labels))


def _choices(case: Case, data: VolumeLike, labels: VolumeLike) -> Iterator[Choice]:
    yield Choice("summary", "Suggested by volseg for one labelled volume.", "for listings")
    yield Choice("extends", "volseg/slices", "what is not said here")
    yield from _files(case, data, labels)
    axes = _axes(case)
    yield axes
    yield _neighbours(case, axes.value)
    yield from _windows(case)
    yield _augmentation(case)
    yield from _classes(case)
    yield _encoder(case)
    yield from _training(case, axes.value)
    yield _quality(case, axes.value)


def _files(case: Case, data: VolumeLike, labels: VolumeLike) -> Iterator[Choice]:
    """Name the files, where there are any, and whether the memory holds them."""
    needed = case.voxels * (case.image.channels * case.image.dtype.itemsize + case.labels.dtype.itemsize + 1)
    memory = case.machine.memory
    why = f"training holds image, labels and classes in memory: {needed / GIB:.2g} GiB"
    if memory is not None:
        tight = "; cut the volume" if needed > _MEMORY_SHARE * memory else ""
        why += f" of {memory / GIB:.2g} GiB that are free{tight}"
    if isinstance(data, (str, os.PathLike)) and isinstance(labels, (str, os.PathLike)):
        yield Choice("data.train", [os.fspath(data)], why)
        yield Choice("data.labels", [os.fspath(labels)], "; ".join(_shares(case)))


def _shares(case: Case) -> Iterator[str]:
    classes = case.labels.classes(IGNORE)
    total = sum(classes.values())
    for item, count in list(classes.items())[:_MANY_CLASSES]:
        yield f"{case.labels.names.get(item, item)} {100 * count / total:.3g} %"
    if len(classes) > _MANY_CLASSES:
        yield f"{len(classes)} ids in all: if they are objects, give a target such as boundaries"
    if IGNORE[0] in case.labels.ids:
        yield f"{100 * (1 - total / sum(case.labels.ids.values())):.3g} % have no label"


def _axes(case: Case) -> Choice:
    depth, *plane = case.image.shape
    if case.image.grid.independent or depth == 1:
        return Choice("data.axes", "z", "independent or single images: there is nothing between them")
    if not case.image.grid.isotropic:
        return Choice("data.axes", "z", f"planes lie {case.flatness:.1f} times as far apart as voxels within them")
    if depth < _THIN and 2 * depth < min(plane):
        return Choice("data.axes", "z", f"{depth} planes are too few for slices across them")
    known = (
        "the spacing is near to equal" if case.image.grid.spacing else "no spacing is known, so voxels count as cubes"
    )
    return Choice(
        "data.axes", "zyx", f"{known}: three directions give three times the views to learn from and to merge"
    )


def _neighbours(case: Case, axes: str) -> Choice:
    key, likeness = "data.neighbours", case.likeness
    if axes != "z" or case.image.grid.independent or not math.isfinite(likeness):
        return Choice(key, 0, "one slice at a time: context comes from the other directions, or there is none")
    if likeness < _ALIKE:
        return Choice(key, 0, f"neighbouring planes are too different (correlation {likeness:.2f}) to help one another")
    return Choice(
        key, 1, f"2.5D: the planes above and below, which are alike (correlation {likeness:.2f}), as channels"
    )


def _windows(case: Case) -> Iterator[Choice]:
    smallest = min(case.image.shape[1:])
    why = f"{_WINDOW} x {_WINDOW} voxels" if smallest >= _WINDOW else f"as large as slices of {smallest} voxels allow"
    yield Choice("data.window", "auto", f"{why}, at the scale of the volume")


def _augmentation(case: Case) -> Choice:
    finest = case.finest
    wanted, why = "standard", "nothing is known of the instrument"
    if min(case.image.low) < _AIR:
        wanted, why = (
            "ct",
            f"values down to {min(case.image.low):g} look like Hounsfield units: rings, streaks and cupping",
        )
    elif finest < _EM_SPACING:
        wanted, why = (
            "em",
            f"voxels of {finest * 1e9:.3g} nm are electron microscopy: its sections, charging and contrast",
        )
    elif case.labelled < _FEW_VOXELS:
        wanted, why = "strong", f"{case.labelled:.2g} labelled voxels are few"
    if not offers(case.catalog, "augmentation", wanted):
        return Choice("data.augment", "standard", f"{why}; no plugin here offers {wanted!r}")
    return Choice("data.augment", wanted, why)


def _classes(case: Case) -> Iterator[Choice]:
    name, share = case.rarest
    rare = f"the rarest class ({name}) has {100 * share:.2g} % of the labelled voxels"
    if share < _VERY_RARE:
        yield Choice("data.sampler.kind", "balanced", f"{rare}: half of the windows are laid around each class in turn")
    entropy: Any = {"use": "cross-entropy", "weights": "auto"} if share < _RARE else "cross-entropy"
    overlap: dict[str, Any] = {"use": "dice", "classes": "foreground"}
    why = f"{rare}: plain cross-entropy learns fast, Dice keeps the smaller classes alive"
    if share < _RARE:
        why = f"{rare}: each class weighs by its voxels"
    if share < _VERY_RARE and offers(case.catalog, "loss", "tversky"):
        overlap = {"use": "tversky", "classes": "foreground"}
        why += ", and missed voxels cost more than wrong ones"
    yield Choice("loss", [entropy, overlap], why)


def _encoder(case: Case) -> Choice:
    key = "model.encoder"
    if case.machine.gpu and case.labelled >= _MANY_VOXELS and offers(case.catalog, "encoder", "resnet34"):
        why = f"{case.labelled:.2g} labelled voxels and a GPU carry a larger encoder, from a random start"
        return Choice(key, {"use": "resnet34", "weights": "none"}, why)
    why = f"small and pretrained, for {case.labelled:.2g} labelled voxels; its weights come as a package"
    return Choice(key, {"use": "tu-tf_efficientnet_lite0", "weights": "imagenet"}, why)


def _training(case: Case, axes: str) -> Iterator[Choice]:
    machine = case.machine
    batch = 2 if not machine.gpu else 8 if machine.gpu < 20 * GIB else 16
    why = f"{batch} windows keep {machine} busy"
    if not machine.gpu:
        why = "on a CPU two windows cost half of four, and twice the steps learn more in the same time"
    yield Choice("train.batch", batch, why)
    windows = len(axes) * case.labelled / _WINDOW**2
    steps = round(min(_MOST_STEPS, max(_FEWEST_STEPS, windows / batch)))
    budget = _STEPS_GPU if machine.gpu else _STEPS_CPU
    epochs = min(_MOST_EPOCHS, max(_LEAST_EPOCHS, round(budget / steps)))
    why = f"about {epochs * steps} steps, {steps} an epoch, which {machine} can carry"
    yield Choice("train.epochs", epochs, why)
    mixed = "mixed precision on the GPU" if machine.gpu else "32 bits: CPUs gain nothing from fewer"
    yield Choice("train.precision", "auto", mixed)


def _quality(case: Case, axes: str) -> Choice:
    key, slow = "predict.quality", not case.machine.gpu and case.voxels > _SLOW_VOXELS
    if slow:
        return Choice(key, "medium", f"{len(axes)} directions: 12 take four times as long on {case.machine}")
    count = 4 * len(axes)
    return Choice(
        key, "high", f"{count} directions cost little for this size; --quality medium takes a quarter of the time"
    )

"""Choices for a 2D network on slices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from volseg_core.advice.case import GIB
from volseg_core.advice.choices import augmentation_choice, class_choices, length_choices, odd_axis
from volseg_core.recipe.choices import Choice, offers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from volseg_core.advice.case import Case

_WINDOW = 256
_ALIKE = 0.3
_MANY_VOXELS = 50_000_000
_SLOW_VOXELS = 30_000_000


def slice_choices(case: Case) -> Iterator[Choice]:
    """Yield the choices of a recipe for slices."""
    yield Choice("extends", "volseg/slices", "what is not said here")
    axes = _axes(case)
    yield axes
    yield _neighbours(case, axes.value)
    yield from _windows(case, axes.value)
    yield augmentation_choice(case)
    yield from class_choices(case)
    yield _encoder(case)
    yield from _training(case, axes.value)
    yield _quality(case, axes.value)


def _axes(case: Case) -> Choice:
    if case.image.grid.independent or case.image.shape[0] == 1:
        return Choice("data.axes", "z", "independent or single images: there is nothing between them")
    odd, why = odd_axis(case)
    if odd:
        return Choice("data.axes", odd, why)
    return Choice("data.axes", "zyx", f"{why}: three directions give three times the views to learn from and to merge")


def _neighbours(case: Case, axes: str) -> Choice:
    key, likeness = "data.neighbours", case.likeness
    if axes in ("y", "x"):
        return Choice(key, 0, f"one slice at a time: how alike neighbours along {axes} are was not looked at")
    if axes != "z" or case.image.grid.independent or not math.isfinite(likeness):
        return Choice(key, 0, "one slice at a time: context comes from the other directions, or there is none")
    if likeness < _ALIKE:
        return Choice(key, 0, f"neighbouring planes are too different (correlation {likeness:.2f}) to help one another")
    return Choice(
        key, 1, f"2.5D: the planes above and below, which are alike (correlation {likeness:.2f}), as channels"
    )


def _windows(case: Case, axes: str) -> Iterator[Choice]:
    smallest = min(size for axis, size in zip("zyx", case.image.shape, strict=True) if axis != axes)
    why = f"{_WINDOW} x {_WINDOW} voxels" if smallest >= _WINDOW else f"as large as slices of {smallest} voxels allow"
    yield Choice("data.window", "auto", f"{why}, at the scale of the volume")


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
    yield from length_choices(case, len(axes) * case.labelled / _WINDOW**2 / batch)


def _quality(case: Case, axes: str) -> Choice:
    key, slow = "predict.quality", not case.machine.gpu and case.voxels > _SLOW_VOXELS
    if slow:
        return Choice(key, "medium", f"{len(axes)} directions: 12 take four times as long on {case.machine}")
    count = 4 * len(axes)
    return Choice(
        key, "high", f"{count} directions cost little for this size; --quality medium takes a quarter of the time"
    )

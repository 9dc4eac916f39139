"""Choices for a 3D network on patches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from volseg_core.advice.case import GIB, IGNORE
from volseg_core.advice.choices import augmentation_choice, class_choices, length_choices, odd_axis
from volseg_core.data.windows import AUTO_BOX, AUTO_THIN_BOX
from volseg_core.recipe.choices import Choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from volseg_core.advice.case import Case

_BATCH = 2
"""Patches of a batch in the recipes."""
_SMALLER = 2**3
"""By how much `small` patches have fewer voxels than `auto`."""
_SMALL_GPU = 16 * GIB
_SLOW_VOXELS = 10_000_000
_RATE_CPU = 6e-3


def patch_choices(case: Case) -> Iterator[Choice]:
    """Yield the choices of a recipe for patches: of classes, or of the borders of objects."""
    if case.objects:
        why = "the labels number objects: their borders are learnt, and a watershed parts them"
        yield Choice("extends", "volseg/patches-boundary", why)
    else:
        count = len(case.labels.classes(IGNORE))
        why = f"the {count} ids are classes; if they number objects, ask again with --objects"
        yield Choice("extends", "volseg/patches", why)
    odd, why = odd_axis(case)
    yield Choice("data.axes", odd or "zyx", f"{why}: patches are {'flat' if odd else 'cubes'}")
    yield _window(case)
    yield _augmentation(case)
    if not case.objects:
        yield from (choice for choice in class_choices(case) if choice.key == "loss")  # patches are balanced anyway
    yield from _model(case, odd)
    voxels = math.prod(AUTO_THIN_BOX if odd else AUTO_BOX) // (1 if case.machine.gpu else _SMALLER)
    yield from length_choices(case, case.labelled / voxels / _BATCH)
    yield _quality(case)


def _window(case: Case) -> Choice:
    if case.machine.gpu:
        return Choice("data.window", "auto", "as much context as a GPU carries")
    return Choice("data.window", "small", "on a CPU an eighth of the voxels, and more steps in the same time")


def _augmentation(case: Case) -> Choice:
    """Turn by 90 degrees what electron microscopy shows, where directions are mostly alike."""
    choice = augmentation_choice(case)
    if choice.value == "em":
        return choice
    why = f"{choice.why}; without turns by 90 degrees, since most things have an up or a front"
    return Choice(choice.key, {"use": choice.value, "rotate90": False}, why)


def _model(case: Case, odd: str) -> Iterator[Choice]:
    """Choose a network; where one axis differs, its first two halvings leave that one as it is."""
    planar = [1 if axis == odd else 2 for axis in "zyx"]
    machine = case.machine
    if not machine.gpu:
        why = (
            "a stem of stride 2 keeps full resolution out of all stages: "
            f"{'several' if odd else 'seven'} times the steps of unet3d on a CPU; "
            "batch norm does not depend on the window, and lets boxes be laid out as CPUs like them"
        )
        sizes: dict[str, Any] = {"stem": 2}
        if odd:
            why += f"; {odd} has few or coarse steps: it is halved only where the other axes are coarse too"
            sizes = {"stem": planar, "strides": [planar, [2, 2, 2], [2, 2, 2]]}
        yield Choice("model", {"use": "nnunet", **sizes, "norm": "batch", "width": 16, "stages": 4}, why)
        yield Choice("train.lr", _RATE_CPU, "with batch norm few steps learn more at this rate")
        return
    channels, why = 64, f"as its authors train it; batches take up to 9 GiB of {machine}"
    if machine.gpu < _SMALL_GPU:
        channels, why = 32, f"64 channels take up to 9 GiB of memory, these half of it, on {machine}"
    yield Choice("model.use", "unet3d", "what it sees comes at full resolution; no weights are needed")
    yield Choice("model.f_maps", channels, why)
    if odd:
        why = f"{odd} has few or coarse steps: it is pooled only where the other axes are coarse too"
        yield Choice("model.pool_kernel_size", [planar, planar, [2, 2, 2]], why)


def _quality(case: Case) -> Choice:
    if not case.machine.gpu and case.voxels > _SLOW_VOXELS:
        return Choice("predict.quality", "low", f"one pass: mirror images take four times as long on {case.machine}")
    return Choice("predict.quality", "medium", "four mirror images, merged; --quality low takes a quarter of the time")

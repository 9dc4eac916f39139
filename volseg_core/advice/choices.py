"""Choices that slices and patches have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.recipe.choices import Choice, offers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from volseg_core.advice.case import Case

_RARE, _VERY_RARE = 0.05, 0.005
_FEW_VOXELS = 500_000
_EM_SPACING, _AIR = 50e-9, -500
_FEWEST_STEPS, _MOST_STEPS = 50, 1000
_STEPS_CPU, _STEPS_GPU = 3000, 6000
_LEAST_EPOCHS, _MOST_EPOCHS = 8, 100


def odd_axis(case: Case) -> tuple[str, str]:
    """Return the axis that looks unlike the others (an empty string: none does), and why."""
    grid, shape = case.image.grid, case.image.shape
    odd = grid.odd_axis(shape)
    if grid.spacing is not None and not grid.isotropic:
        axis = "zyx".index(odd)
        factor = grid.spacing[axis] / min(grid.spacing[axis - 1], grid.spacing[axis - 2])
        apart = f"{factor:.1f} times as far apart" if factor > 1 else f"{1 / factor:.1f} times as near to each other"
        return odd, f"planes lie {apart} along {odd} as voxels within them"
    if odd:
        return odd, f"{shape[0]} planes are too few for another direction"
    return odd, "the spacing is near to equal" if grid.spacing else "no spacing is known, so voxels count as cubes"


def augmentation_choice(case: Case) -> Choice:
    """Choose by the instrument, as far as values and spacing tell it."""
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


def class_choices(case: Case) -> Iterator[Choice]:
    """Choose sampler and loss by the share of the rarest class."""
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


def length_choices(case: Case, batches: float) -> Iterator[Choice]:
    """Choose epochs by how many batches see every labelled voxel once, and the precision."""
    machine = case.machine
    steps = round(min(_MOST_STEPS, max(_FEWEST_STEPS, batches)))
    budget = _STEPS_GPU if machine.gpu else _STEPS_CPU
    epochs = min(_MOST_EPOCHS, max(_LEAST_EPOCHS, round(budget / steps)))
    why = f"about {epochs * steps} steps, {steps} an epoch, which {machine} can carry"
    yield Choice("train.epochs", epochs, why)
    mixed = "mixed precision on the GPU" if machine.gpu else "32 bits: CPUs gain nothing from fewer"
    yield Choice("train.precision", "auto", mixed)

"""The losses of Volume Segmantics as a recipe's list of losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.errors import did_you_mean
from volseg_core.recipe.choices import offers

if TYPE_CHECKING:
    from volseg_core.catalog import Catalog
    from volseg_core.migration.settings import Settings, Transfer

_PLAIN: dict[str, tuple[list[Any], str]] = {
    "BCELoss": (["cross-entropy"], "one sigmoid per class there, a softmax over the classes here"),
    "CrossEntropyLoss": (["cross-entropy"], "the same"),
    "DiceLoss": (["dice"], "of probabilities; 0.3.2 takes it of raw logits, whose best value is not a certain network"),
    "GeneralizedDiceLoss": (["generalised-dice"], "the same"),
    "TverskyLoss": (["tversky"], "with the weights 0.3 and 0.7 of wrong and missed voxels"),
    "BoundaryLoss": (["cross-entropy", {"use": "boundary", "weight": 0.1}], "beside cross-entropy: alone it is unsure"),
    "BoundaryDoUDiceLoss": (["dice"], "the nearest: there is no boundary DoU loss here"),
    "BoundaryDoULoss": (["jaccard"], "the nearest: there is no boundary DoU loss here"),
    "BoundaryDoULossV2": (["jaccard"], "the nearest: there is no boundary DoU loss here"),
}
_POWERS = {"inverse_freq": 1.0, "inverse_sqrt_freq": 0.5, "inverse_square_freq": 2.0}
_SUMS = {"BCEDiceLoss": ("alpha", "beta"), "CombinedCEDiceLoss": ("ce_weight", "dice_weight")}
_OWN_KEYS = ("alpha", "beta", "ce_weight", "dice_weight", "dice_weight_mode", "exclude_background_from_dice")


def carry_loss(settings: Settings, transfer: Transfer, catalog: Catalog) -> None:
    """Carry ``loss_criterion`` with its weights."""
    name = settings.word("loss_criterion")
    values = {key: settings.number(key) for key in ("alpha", "beta", "ce_weight", "dice_weight")}
    mode, foreground = settings.word("dice_weight_mode"), settings.flag("exclude_background_from_dice")
    if "dice_averaging" in settings:
        settings.take("dice_averaging")
        transfer.leave("dice_averaging", "Dice is the mean over the classes, macro; generalised-dice pools them")
    used: tuple[str, ...] = ()
    dice: Any = {"use": "dice", "classes": "foreground"} if foreground else {"use": "dice"}
    if name in _SUMS:
        used = _SUMS[name]
        first, second = (values[key] if values[key] is not None else 0.5 for key in used)
        losses: list[Any] = [{"use": "cross-entropy", "weight": first}, {**dice, "weight": second}]
        why = f"loss_criterion {name} with {used[0]} and {used[1]}"
        why += "; exclude_background_from_dice" if foreground else ""
        used = (*used, "exclude_background_from_dice") if foreground else used
    elif name == "ClassWeightedDiceLoss":
        used = ("dice_weight_mode",)
        losses = [{"use": "generalised-dice", "power": _POWERS.get(mode, 0.5)}]
        why = f"loss_criterion {name} ({mode or 'inverse_sqrt_freq'}): the nearest, one Dice with these class weights"
    elif name in _PLAIN:
        losses, note = _PLAIN[name]
        why = f"loss_criterion {name}: {note}"
    else:
        if name:
            hint = did_you_mean(name, [*_PLAIN, *_SUMS, "ClassWeightedDiceLoss"])
            transfer.leave("loss_criterion", f"{name!r} is not known; the recipe keeps its own losses. {hint}".rstrip())
        losses, why = [], ""
    missing = [use for use in map(_use, losses) if not offers(catalog, "loss", use)]
    if missing:
        transfer.leave("loss_criterion", f"{name}: no plugin here provides the loss {missing[0]!r}")
    elif losses:
        transfer.carry("loss", losses, why)
    idle = tuple(key for key in _OWN_KEYS if key in settings and key not in used)
    if idle:
        transfer.leave(idle, f"without effect on {name or 'the loss'}, or off")


def _use(item: Any) -> str:
    return str(item["use"] if isinstance(item, dict) else item)

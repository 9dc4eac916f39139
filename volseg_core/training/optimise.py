"""Optimiser and schedule of a recipe: any optimiser of torch, groups of parameters, the frozen stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from volseg_core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from volseg_core.recipe import TrainBlock

_PLATEAU = 3
"""Epochs without improvement after which `plateau` lowers the rate tenfold."""
FLOOR = 1e-3
"""Share of the rate at which `plateau` stops lowering it."""


def encoder_of(network: nn.Module, key: str) -> nn.Module:
    """Return the encoder of a network, its attribute ``encoder``.

    Raises:
        UsageError: it has none; ``key`` is what asked for it.
    """
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise UsageError(key, "the network has no encoder to treat differently", "Leave the key out.")
    return encoder


def freeze_encoder(network: nn.Module, *, frozen: bool) -> None:
    """Keep the encoder's weights and batch statistics as they are, or set them free again."""
    encoder = encoder_of(network, "train.frozen_epochs")
    encoder.requires_grad_(requires_grad=not frozen)
    if frozen:
        encoder.eval()


def make_optimizer(rule: TrainBlock, network: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Return any optimiser of torch by its name, upper or lower case, with the recipe's options.

    With ``encoder_lr`` the encoder's parameters form a group of their own, at that share of the rate.

    Raises:
        UsageError: torch has no such optimiser, or it does not take the options.
    """
    known = {name.lower(): value for name, value in vars(torch.optim).items() if _is_optimizer(value)}
    chosen = known.get(rule.optimizer.lower())
    if chosen is None:
        names = sorted(value.__name__ for value in known.values())
        raise UsageError(
            "train.optimizer",
            f"torch has no optimiser {rule.optimizer!r}",
            did_you_mean(rule.optimizer, names),
            [f"known: {', '.join(names)}"],
        )
    options = {"lr": lr, "weight_decay": rule.weight_decay, **rule.optimizer_options}
    try:
        return chosen(list(_groups(rule, network, lr)), **options)  # type: ignore[no-any-return]
    except (TypeError, ValueError) as error:
        raise UsageError("train.optimizer", f"{rule.optimizer!r} cannot be used here ({error})") from None


def _groups(rule: TrainBlock, network: nn.Module, lr: float) -> Iterator[dict[str, Any]]:
    if rule.encoder_lr == 1:
        yield {"params": list(network.parameters())}
        return
    encoder = list(encoder_of(network, "train.encoder_lr").parameters())
    theirs = {id(parameter) for parameter in encoder}
    # the first group's rate is the one that the table of metrics shows
    yield {"params": [parameter for parameter in network.parameters() if id(parameter) not in theirs]}
    yield {"params": encoder, "lr": lr * rule.encoder_lr}


def _is_optimizer(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer


def make_schedule(
    rule: TrainBlock, optimizer: torch.optim.Optimizer, steps: int, monitor: tuple[str, bool]
) -> dict[str, Any] | None:
    """Return Lightning's description of the schedule, None for a constant rate.

    ``steps`` counts all steps of the optimiser; ``monitor`` names the score that `plateau` watches and says whether
    more is better.

    Raises:
        UsageError: `plateau` without a held-out part to watch.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    scheduler = torch.optim.lr_scheduler
    if rule.schedule == "constant":
        return None
    if rule.schedule == "one-cycle":
        return {"scheduler": _one_cycle(optimizer, rates, steps, rule.warmup), "interval": "step"}
    if rule.schedule == "cosine":
        return {"scheduler": scheduler.CosineAnnealingLR(optimizer, steps), "interval": "step"}
    name, higher = monitor
    if not name:
        raise UsageError("train.schedule", "plateau needs a held-out part to watch", "Set data.val, or one-cycle.")
    plateau = scheduler.ReduceLROnPlateau(
        optimizer, "max" if higher else "min", patience=_PLATEAU, min_lr=[rate * FLOOR for rate in rates]
    )
    return {"scheduler": plateau, "interval": "epoch", "monitor": name}


def _one_cycle(optimizer: torch.optim.Optimizer, rates: Sequence[float], steps: int, warmup: float) -> Any:
    # torch cycles momentum too, which only optimisers with a momentum or betas have
    cycled = any(key in optimizer.defaults for key in ("betas", "momentum"))
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, list(rates), total_steps=max(2, steps), pct_start=warmup, cycle_momentum=cycled
    )

"""``train.lr: auto``: a range test, its table and its picture."""

from __future__ import annotations

import copy
import csv
import json
import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from volseg_core.provenance import write_json
from volseg_core.training.losses import supervised
from volseg_core.training.optimise import make_optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import nn

    from volseg_core.recipe import TrainBlock
    from volseg_core.training.losses import SumOfHeads
    from volseg_core.training.module import Batch

log = logging.getLogger("volseg")

TABLE, CHOICE = "lr_range.csv", "lr_range.json"
LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 80
_BOUNDS = (1e-5, 1e-2)
_SAFE = 1e-3
_LEAST_POINTS = 20
_MEMORY = 0.9
_EXPLODED = 4.0


def find_rate(
    rule: TrainBlock,
    network: nn.Module,
    loss: SumOfHeads,
    batches: Callable[[], Iterator[Batch]],
    folder: Path,
) -> float:
    """Return the learning rate for a network, and keep the table, the picture and the choice in ``folder``.

    A copy of the network is trained for up to 80 steps while the rate rises from 1e-6 to 1, until the smoothed loss
    is four times its lowest (Smith 2017, arXiv:1506.01186). The smoothing is corrected for its start. The choice is the
    rate of the steepest descent, at most a tenth of that of the lowest loss, within 1e-5 and 1e-2; with fewer than 20
    points or no descent it is 1e-3, and this is said.
    """
    rates, losses = _sweep(rule, copy.deepcopy(network), loss, batches())
    smoothed = smooth(losses)
    chosen = choose(rates, smoothed)
    if chosen is None:
        log.warning("train.lr: the range test found no clear descent; using %g", _SAFE)
        chosen = _SAFE
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("lr", "loss", "smoothed"))
        writer.writerows(zip(rates, losses, smoothed, strict=True))
    from volseg_core.report.figures import draw_rates

    draw_rates(rates, losses, smoothed, chosen, folder / "figures" / "lr_range.png")
    write_json(folder / CHOICE, {"lr": chosen})
    log.info("train.lr: %.2g, found by the range test (figures/lr_range.png)", chosen)
    return chosen


def read_rate(folder: Path) -> float:
    """Return the rate that the range test of a run chose."""
    return float(json.loads((folder / CHOICE).read_text(encoding="utf-8"))["lr"])


def _sweep(
    rule: TrainBlock, network: nn.Module, loss: SumOfHeads, batches: Iterator[Batch]
) -> tuple[list[float], list[float]]:
    optimizer = make_optimizer(rule, network.train(), LOWEST)
    shares = [group["lr"] / LOWEST for group in optimizer.param_groups]
    rates: list[float] = []
    losses: list[float] = []
    for rate, (images, targets) in zip(np.geomspace(LOWEST, HIGHEST, STEPS), batches, strict=False):
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            group["lr"] = float(rate) * share
        value, *_ = loss(supervised(network, images), targets)
        found = float(value.detach())
        if not math.isfinite(found):
            break
        rates.append(float(rate))
        losses.append(found)
        smoothed = smooth(losses)
        if smoothed[-1] > _EXPLODED * min(smoothed):
            break
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return rates, losses


def smooth(losses: Sequence[float]) -> list[float]:
    """Return the exponential running mean, each divided by the sum of its weights so that the start counts fully."""
    running, result = 0.0, []
    for count, loss in enumerate(losses, start=1):
        running = _MEMORY * running + (1 - _MEMORY) * loss
        result.append(running / (1 - _MEMORY**count))
    return result


def choose(rates: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """Return the rate that a range test speaks for, None when it says nothing."""
    if len(rates) < _LEAST_POINTS:
        return None
    lowest = int(np.argmin(smoothed))
    if lowest < 2:  # noqa: PLR2004  (a slope needs two points before the lowest)
        return None
    slopes: Any = np.gradient(np.asarray(smoothed), np.log(np.asarray(rates)))
    steepest = int(np.argmin(slopes[: lowest + 1]))
    if slopes[steepest] >= 0:
        return None
    return float(np.clip(min(rates[steepest], rates[lowest] / 10), *_BOUNDS))


def on_device(batches: Iterator[Batch], device: str) -> Iterator[Batch]:
    """Yield batches on the device of the network."""
    for images, targets in batches:
        yield images.to(torch.device(device)), [target.to(torch.device(device)) for target in targets]

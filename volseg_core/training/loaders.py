"""From a prepared run to the batches that its epochs iterate."""

from __future__ import annotations

import logging
import math
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from volseg_core.data.cover import GridPlaces, GridPlan
from volseg_core.data.validation import ValidationDataset, validation_windows
from volseg_core.data.windows import BatchPlan, Group, WindowDataset, window_groups, with_turns
from volseg_core.machine import cpu_count, shared_memory, socket_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.data.truth import Teacher
    from volseg_core.recipe import TrainBlock
    from volseg_core.training.run import Prepared

log = logging.getLogger("volseg")

SHARED_MEMORY_HINT = "Give the container more: docker run --shm-size 1g; or use -s train.workers=0."
_AHEAD = 3
"""Batches of a worker in shared memory at a time: two that torch has it prepare ahead, and the one in use."""
_MIN_STEPS, _MAX_STEPS = 50, 1000
_VALIDATION_WINDOWS = 24
_UNLABELLED_SEED = 7919
"""Added to the seed of the draws without labels, so that they do not repeat those with labels."""

Plan = BatchPlan | GridPlan
"""Which windows each batch of an epoch has."""


@dataclass(frozen=True)
class Batches:
    """The training windows of a run, those without labels if any, and the plans that batch them."""

    windows: WindowDataset
    plan: Plan
    unlabelled: WindowDataset | None = None
    unlabelled_plan: BatchPlan | None = None

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches are iterated next."""
        self.plan.set_epoch(epoch)
        if self.unlabelled_plan is not None:
            self.unlabelled_plan.set_epoch(epoch)


def make_batches(prepared: Prepared, augment: Any, teachers: Sequence[Teacher]) -> Batches:
    """Return the windows that a recipe trains on; ``teachers`` make the targets of its heads."""
    recipe, spec = prepared.recipe, prepared.spec
    rule, data = recipe.train, recipe.data
    turned, mirrored = bool(getattr(augment, "turns", False)), bool(getattr(augment, "mirrors", True))
    groups = with_turns(prepared.groups, spec.axes, mirrored=mirrored) if turned else prepared.groups
    windows = WindowDataset(
        groups, augment, rule.seed, data.sampler, prepared.kinds, spec.neighbours, teachers=teachers
    )
    plan = _plan(rule, windows)
    if rule.teacher is None:
        return Batches(windows, plan)
    free = window_groups(prepared.unlabelled, spec.axes, data.window, spec.sizes)
    free = with_turns(free, spec.axes, mirrored=mirrored) if turned else free
    seed = rule.seed + _UNLABELLED_SEED
    return Batches(
        windows,
        plan,
        WindowDataset(free, augment, seed, neighbours=spec.neighbours, teachers=()),
        BatchPlan(free, plan.steps, rule.teacher.batch, seed),
    )


def _plan(rule: TrainBlock, windows: WindowDataset) -> Plan:
    """Return the plan of a sampler: all places of a grid, or as many draws as cover everything about once."""
    grids = [places for places in windows.places if isinstance(places, GridPlaces)]
    if grids:
        steps = None if rule.steps == "auto" else rule.steps
        return GridPlan([len(places) for places in grids], steps, rule.batch, rule.seed)
    return BatchPlan(windows.groups, steps_per_epoch(rule, windows.groups), rule.batch, rule.seed)


def steps_per_epoch(rule: TrainBlock, groups: list[Group]) -> int:
    """Return how many batches an epoch has: enough to see every voxel once (slices: per axis), within 50 and 1000."""
    if rule.steps != "auto":
        return rule.steps
    windows = sum(sum(group.counts) for group in groups)
    return int(min(_MAX_STEPS, max(_MIN_STEPS, -(-windows // rule.batch))))


def make_loaders(
    prepared: Prepared, batches: Batches, device: str, judges: Sequence[Teacher]
) -> tuple[Any, DataLoader[Any] | None]:
    """Return the loaders of training (with a teacher a dict of two) and of the held-out part, None without any.

    ``judges`` make what validation compares with.
    """
    recipe, spec = prepared.recipe, prepared.spec
    workers = _workers(recipe.train, device, _batch_bytes(prepared))
    common: dict[str, Any] = {"num_workers": workers, "pin_memory": device == "cuda"}
    if workers:
        common |= {"persistent_workers": True, "worker_init_fn": _one_thread}
    draws: Any = batches.windows  # torch asks for __getitem__ only
    train: Any = DataLoader(draws, batch_sampler=batches.plan, **common)
    if batches.unlabelled is not None:
        free: Any = batches.unlabelled
        train = {"labelled": train, "unlabelled": DataLoader(free, batch_sampler=batches.unlabelled_plan, **common)}
    if not prepared.held:
        return train, None
    seen = validation_windows(prepared.held, spec, recipe.data.window, _VALIDATION_WINDOWS)
    held: Any = ValidationDataset(seen, spec, judges)
    return train, DataLoader(held, batch_sampler=held.batches(recipe.train.batch), **common)


def _batch_bytes(prepared: Prepared) -> int:
    """Return the bytes of the largest batch of training windows: float32 channels and values, int64 classes."""
    pixels = max(math.prod(group.window) for group in prepared.groups)
    targets = sum(8 if head.of_classes else 4 * head.channels for head in prepared.spec.heads)
    return prepared.recipe.train.batch * pixels * (4 * prepared.spec.in_channels + targets)


def _workers(rule: TrainBlock, device: str, batch: int) -> int:
    """Return the number of data workers: none on a CPU, where they would take the network's cores.

    Finished batches of ``batch`` bytes wait in shared memory, of which a container has little unless told otherwise;
    where it is full a worker dies.
    """
    automatic = min(8, cpu_count() - 1) if device == "cuda" else 0
    wanted = automatic if rule.workers == "auto" else rule.workers
    fault = socket_fault() if wanted else ""
    if fault:
        log.warning(
            "data workers need sockets in %s, which cannot be made (%s); using none. %s",
            tempfile.gettempdir(), fault, "Set TMPDIR to a local folder with a short path.",
        )  # fmt: skip
        return 0
    free = shared_memory()
    fitting = wanted if free is None else int(free // (_AHEAD * batch))
    if fitting >= wanted:
        return wanted
    workers = fitting if rule.workers == "auto" else wanted
    log.warning(
        "shared memory (/dev/shm) has room for the batches of %d data workers, not %d; using %d. %s",
        fitting, wanted, workers, SHARED_MEMORY_HINT,
    )  # fmt: skip
    return workers


def _one_thread(worker: int) -> None:  # noqa: ARG001  (torch's signature)
    torch.set_num_threads(1)

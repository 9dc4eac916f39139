"""A training run: data, facts, network, Lightning, and the folder that it leaves."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from volseg_core.api import Metric, RunInfo
from volseg_core.data.folds import split_fold
from volseg_core.data.generated import generated_volume
from volseg_core.data.labelled import Labelled, read_labelled, read_unlabelled, weighted
from volseg_core.data.split import Region, split, whole
from volseg_core.data.windows import AUTO_BOX, Group, by, window_groups
from volseg_core.errors import DivergedError, Interrupted, UsageError, VolsegError
from volseg_core.machine import torch_device
from volseg_core.model import ModelSpec
from volseg_core.network import size_rules
from volseg_core.provenance import made_with
from volseg_core.recipe.resolve import absolute
from volseg_core.training.folder import (
    GENERATED,
    check_folder,
    check_same_recipe,
    discard,
    last_checkpoint,
    write_end,
    write_start,
)
from volseg_core.volume import SLICES, Normalisation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from volseg_core.data.files import VolumeLike
    from volseg_core.model import HeadSpec
    from volseg_core.progress import Progress
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

log = logging.getLogger("volseg")

_QUICK = math.prod(AUTO_BOX) // 8
"""Voxels of a box that a CPU learns in hours: that of ``data.window: small``."""


@dataclass(frozen=True)
class RunOptions:
    """What the command or the caller decides beside the recipe."""

    folder: Path
    resume: bool = False
    overwrite: bool = False
    start_from: Path | None = None
    argv: Sequence[str] = ()
    watch: Callable[[int, float], bool] | None = None
    """Is given each epoch and its score, and returns whether training is to stop."""


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before the first step: the completed recipe and the regions."""

    recipe: Recipe
    spec: ModelSpec
    groups: list[Group]
    train: list[Region]
    held: list[Region]
    unlabelled: list[Region] = field(default_factory=list)

    @property
    def kinds(self) -> int:
        """How many kinds of voxels windows are laid by: classes, else background and objects."""
        return max((len(head.classes) for head in self.spec.heads if head.of_classes), default=2)

    @cached_property
    def class_counts(self) -> list[int]:
        """Labelled training voxels of each class, in class order."""
        numbers = range(self.kinds)
        return [sum(int(region.class_profile(number)[0].sum()) for region in self.train) for number in numbers]


@dataclass(frozen=True)
class RunResult:
    """A finished run; an ensemble of folds has no best epoch, and its scores are their means."""

    folder: Path
    model_id: str
    best_epoch: int | None
    scores: Mapping[str, float]


def run_training(
    registry: Registry,
    recipe: Recipe,
    options: RunOptions,
    progress: Progress,
    data: Sequence[VolumeLike] = (),
    labels: Sequence[VolumeLike] = (),
) -> RunResult:
    """Train a recipe, or all its folds, and return the run.

    ``data`` and ``labels`` replace the recipe's volumes (arrays, too).

    Raises:
        VolsegError: what is wrong, before anything is written; DivergedError during training; Interrupted.
    """
    folder = options.folder
    all_folds = recipe.data.folds > 0 and recipe.data.fold is None
    check_folder(options, folds=all_folds)
    device = torch_device(recipe.train.device)
    if recipe.generate is not None and not data:
        recipe = generated_volume(registry.catalog, recipe, folder / GENERATED)
    if not data and not recipe.data.train:
        raise UsageError(
            "data.train", "the recipe names no data", "Give --data FILE --labels FILE, or data.train and data.labels."
        )
    data, labels = data or recipe.data.train, labels or recipe.data.labels
    if all_folds:
        from volseg_core.training.folds import run_folds

        return run_folds(registry, recipe, options, progress, data, labels)
    prepared = prepare(registry, recipe, data, labels)
    warn_of_time(prepared, device)
    if options.resume:
        check_same_recipe(prepared.recipe, folder)
    write_start(registry, recipe, prepared.recipe, options)
    info = RunInfo(folder, prepared.recipe.name, prepared.recipe.to_dict())
    registry.plugins.call("volseg_run_started", run=info)
    status, start = "failed", time.time()
    result: RunResult | None = None
    try:
        from volseg_core.training.fit import fit

        result = fit(registry.catalog, prepared, options, progress)
        status = "done"
    except (Interrupted, DivergedError) as error:
        status = "interrupted" if isinstance(error, Interrupted) else f"failed: {error.line()}"
        raise
    except VolsegError:
        if not last_checkpoint(folder).exists():
            discard(folder)
        raise
    finally:
        if folder.exists():
            write_end(folder, status, start, result)
        registry.plugins.call("volseg_run_finished", run=info, status=status.partition(":")[0])
    return result


def warn_of_time(prepared: Prepared, device: str) -> None:
    """Warn where a CPU is to learn boxes as large as a GPU takes, and nobody asked for that size."""
    if device != "cpu" or prepared.spec.dims == SLICES or prepared.recipe.data.window != "auto":
        return
    largest = max((group.window for group in prepared.groups), key=math.prod)
    if math.prod(largest) > _QUICK:
        hint = "volseg suggest --dims 3 writes a recipe for this machine"
        log.warning("windows of %s (data.window: auto) may keep a CPU busy for days: %s", by(largest), hint)


def monitored(recipe: Recipe) -> tuple[str, bool]:
    """Return the score that chooses the best epoch, and whether more is better.

    It is the first metric's of the only head; with several heads, or without a metric, the loss.
    """
    if len(recipe.heads) > 1 or not recipe.heads[0].metrics:
        return "val/loss", False
    head = recipe.heads[0]
    component = head.metrics[0].provided.component
    assert isinstance(component, Metric)  # noqa: S101  (the catalog keeps kinds apart)
    prefix = f"{head.name}/" if head.name else ""
    return f"val/{prefix}{component.outputs[0]}", component.better == "higher"


def prepare(registry: Registry, recipe: Recipe, data: Sequence[VolumeLike], labels: Sequence[VolumeLike]) -> Prepared:
    """Read the data and complete the recipe with what it says: classes, axes, channels.

    Raises:
        DataError: whatever is wrong with the data.
    """
    if len(data) != len(labels):
        raise UsageError(
            "data", f"{len(data)} volumes but {len(labels)} label volumes", "Give --labels for each --data."
        )
    volumes, heads = read_labelled(registry.catalog, recipe, data, labels)
    volumes = weighted(volumes, recipe.data.weights)
    axes = choose_axes(recipe, volumes)
    dims = recipe.header.dims
    train, held = _regions(registry, recipe, volumes, heads, axes if dims == SLICES else "")
    for head in heads:
        log.info("%s: %s", head.title, head.describe())
    if recipe.data.ignore:
        log.info("ignored ids: %s", ", ".join(map(str, recipe.data.ignore)))
    sizes = size_rules(registry.catalog, recipe)
    groups = window_groups(train, axes, recipe.data.window, sizes)
    log.info("%s", _describe(groups, axes))
    for region in held:
        log.info("held out for validation: %s", region.describe())
    completed = _complete(recipe, volumes[0], heads, axes, data, labels)
    if dims != SLICES:
        completed = _with_window(completed, groups)
    neighbours = recipe.data.neighbours
    if neighbours and _independent(recipe, volumes):
        what = "single or independent images have no neighbours"
        raise UsageError("data.neighbours", what, "Set data.neighbours=0.")
    spec = ModelSpec(
        heads=heads,
        in_channels=volumes[0].data.shape[0] * (2 * neighbours + 1),
        neighbours=neighbours,
        normalisation=Normalisation(recipe.data.normalise.kind, recipe.data.normalise.clip),
        axes=axes,
        sizes=sizes,
        spacing=volumes[0].grid.spacing,
        unit=volumes[0].grid.unit,
        made_with=completed.header.made_with,
    )
    return Prepared(completed, spec, groups, train, held, _unlabelled(registry, recipe, volumes))


def _unlabelled(registry: Registry, recipe: Recipe, volumes: Sequence[Labelled]) -> list[Region]:
    """Return the volumes without labels that a teacher uses.

    Raises:
        UsageError: a teacher without such volumes, or the other way round.
    """
    files = recipe.data.unlabelled
    if (recipe.train.teacher is None) == bool(files):
        what = "without train.teacher nothing uses them" if files else "train.teacher needs volumes without labels"
        raise UsageError("data.unlabelled", what, "Give both: data.unlabelled=[FILE] and train.teacher={}.")
    like = len(volumes[0].data), volumes[0].grid.unit
    return [whole(volume) for volume in read_unlabelled(registry.catalog, recipe, files, *like)]


def _regions(
    registry: Registry, recipe: Recipe, volumes: Sequence[Labelled], heads: Sequence[HeadSpec], axes: str
) -> tuple[list[Region], list[Region]]:
    rule = recipe.data.val
    if recipe.data.fold is not None:
        return split_fold(volumes, rule, axes, recipe.data.folds, recipe.data.fold)
    if not rule.files:
        return split(volumes, rule, axes)
    extra, _ = read_labelled(registry.catalog, recipe, rule.files, rule.labels, heads, volumes[0].grid.unit)
    return [whole(volume) for volume in volumes], [whole(volume) for volume in extra]


def choose_axes(recipe: Recipe, volumes: Sequence[Labelled]) -> str:
    """Return the slicing axes: what the recipe says, else all three where every volume is near to isotropic.

    To a 3D network they say which directions look alike: all (``zyx``), or all but the one axis that is named.

    A volume is sliced along its odd axis (`Grid.odd_axis`) where it has one, and along z where its planes are
    independent images.

    Raises:
        UsageError: the recipe asks for slices across independent images, or for boxes of them, or another axis differs
            in one volume than in another.
    """
    wanted = recipe.data.axes
    independent = _independent(recipe, volumes)
    if independent and recipe.header.dims != SLICES:
        what = "single or independent images have no depth for a 3D network to see"
        raise UsageError("dims", what, "Use dims: 2 and a 2D network.")
    if wanted != "auto":
        if independent and wanted != "z":
            raise UsageError("data.axes", f"{wanted!r} slices across single or independent images", "Set data.axes=z.")
        return wanted
    if independent:
        return "z"
    odd = {axis: volume for volume in volumes if (axis := volume.grid.odd_axis(volume.shape))}
    if len(odd) > 1:
        told = " and ".join(f"along {axis} in {volume.grid.source}" for axis, volume in sorted(odd.items()))
        raise UsageError("data.axes", f"voxels or extent differ {told}", "Set data.axes, or turn the volumes alike.")
    return next(iter(odd), "zyx")


def _describe(groups: Sequence[Group], axes: str) -> str:
    """Return which windows are drawn, for people."""
    if groups[0].dims == SLICES:
        return f"slices along: {', '.join(axes)}"
    shapes = ", ".join(by(group.window) for group in groups)
    return f"windows: {shapes}" + ("" if len(axes) > 1 else f"; {axes} keeps its place in them")


def _with_window(recipe: Recipe, groups: Sequence[Group]) -> Recipe:
    """Return the recipe of a 3D network that predicts in windows as large as those it was trained on."""
    if recipe.predict.window != "auto":
        return recipe
    largest = max((group.window for group in groups), key=math.prod)
    return recipe.replace(predict=recipe.predict.model_copy(update={"window": largest}))


def _independent(recipe: Recipe, volumes: Sequence[Labelled]) -> bool:
    return recipe.data.independent or any(volume.grid.independent or volume.shape[0] == 1 for volume in volumes)


def _complete(
    recipe: Recipe,
    first: Labelled,
    heads: Sequence[HeadSpec],
    axes: str,
    data: Sequence[VolumeLike],
    labels: Sequence[VolumeLike],
) -> Recipe:
    """Return the recipe with everything that was ``auto`` about the data written out."""
    header = recipe.header.model_copy(update={"made_with": made_with(recipe.components())})
    block = recipe.data.model_copy(
        update={
            "axes": axes,
            "channels": int(first.data.shape[0]),
            "train": _references(data),
            "labels": _references(labels),
            "unlabelled": _references(recipe.data.unlabelled),
        }
    )
    return recipe.named([head.classes for head in heads]).replace(header=header, data=block)


def _references(items: Sequence[VolumeLike]) -> tuple[str, ...]:
    """Return absolute references of files; arrays leave none."""
    return tuple(absolute(str(item)) for item in items if isinstance(item, (str, Path)))

"""From a configuration and a checkpoint of pytorch-3dunet to a recipe and a model file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.migration.imported import Imported, Output
from volseg_core.migration.pytorch_3dunet.loading import carry_loaders
from volseg_core.migration.pytorch_3dunet.losses import carry_loss, carry_metric, has_softmax
from volseg_core.migration.pytorch_3dunet.network import Outputs, carry_network
from volseg_core.migration.pytorch_3dunet.sampling import carry_sampler
from volseg_core.migration.pytorch_3dunet.task import Task, carry_task, decide
from volseg_core.migration.pytorch_3dunet.training import (
    carry_general,
    carry_optimizer,
    carry_schedule,
    carry_trainer,
)
from volseg_core.migration.settings import Settings, Transfer, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

_TITLE = (
    "Imported from {} of pytorch-3dunet. Each key says which of its keys it carries; what has none is volseg's own."
)
_UNKNOWN = "unknown to pytorch-3dunet"
_PREDICTOR = {
    "name": "there is one way to predict, which writes block by block",
    "save_segmentation": "labels are always written",
    "output_dataset": "datasets are called labels, confidence, probabilities or values",
    "prediction_channel": "volseg predict --probabilities writes all channels",
    "performance_metric": "volseg evaluate scores a prediction",
    "gt_internal_path": "volseg evaluate scores a prediction",
    "verbose": "volseg predict shows its progress",
}


def import_config(
    registry: Registry, config: Path, output: Path, *, checkpoint: Path | None = None, overwrite: bool = False
) -> Imported:
    """Write the recipe of a train or predict configuration, and with ``checkpoint`` the weights beside it.

    Raises:
        DataError: a file cannot be read, does not fit, or an output exists. RecipeErrors: no valid recipe.
    """
    place = Output(output, weights=checkpoint is not None, overwrite=overwrite)
    transfer = Transfer()
    transfer.carry("summary", f"Imported from {config.name} of pytorch-3dunet.", "for listings")
    outputs, task = carry_config(Settings(read_settings(config), transfer), transfer, trained=checkpoint is not None)

    def write_weights(recipe: Recipe, path: Path) -> None:
        from volseg_core.migration.pytorch_3dunet.model import write_checkpoint

        if checkpoint is not None:
            write_checkpoint(registry, checkpoint, recipe, outputs, task, path)

    return place.write(registry, _TITLE.format(config.name), transfer, write_weights)


def carry_config(settings: Settings, transfer: Transfer, *, trained: bool) -> tuple[Outputs, Task]:
    """Carry a configuration and return what it says of the network's outputs.

    ``trained``: there are weights, so that the outputs are what they were trained to be.
    """
    outputs = carry_network(settings.section("model"), transfer)
    carry_general(settings, transfer)
    labels = carry_loaders(settings.section("loaders"), transfer, outputs.dims)
    loss = settings.section("loss")
    task = decide(outputs, loss.word("name"), labels.made, trained=trained, softmax=has_softmax(loss))
    carry_task(task, labels.made, transfer)
    if labels.slices is not None:
        carry_sampler(labels.slices, transfer, outputs.dims, ids=task.of_ids)
    ignored, number = dict(labels.ignored), loss.whole("ignore_index", -100)
    if number is not None:
        ignored["loss.ignore_index"] = number
    _carry_ignored(ignored, task, transfer)
    if "trainer" in settings:
        carry_loss(loss, transfer)
        carry_metric(settings.section("eval_metric"), transfer, task)
        carry_optimizer(settings.section("optimizer"), transfer)
        carry_schedule(settings.section("lr_scheduler"), transfer)
        carry_trainer(settings.section("trainer"), transfer)
    else:
        for key in ("loss", "metrics"):
            transfer.carry(key, None, "those of the task: this configuration is of a prediction")
    settings.section("predictor").leave_the_rest(_PREDICTOR, _UNKNOWN)
    settings.leave_the_rest({}, _UNKNOWN)
    return outputs, task


def _carry_ignored(found: Mapping[str, int], task: Task, transfer: Transfer) -> None:
    """Carry the ids that are ignored, by the key that says so; values of a regression are all learnt."""
    ids = {-1, *found.values()}
    if found and task.name == "regression":
        why = "a regression learns every number of its labels, data.ignore or not; write NaN where there is no value"
        transfer.leave(tuple(found), why)
    elif ids != {-1}:
        transfer.carry("data.ignore", sorted(ids), "ignore_index; such voxels have no part in the value of a loss")

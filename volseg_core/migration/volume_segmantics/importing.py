"""From settings and checkpoint of Volume Segmantics to a recipe and a model file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.migration.imported import Imported, Output
from volseg_core.migration.settings import Settings, Transfer, read_settings
from volseg_core.migration.volume_segmantics.predicting import carry_prediction
from volseg_core.migration.volume_segmantics.reasons import REASONS, UNKNOWN
from volseg_core.migration.volume_segmantics.training import carry_training

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_core.migration.volume_segmantics.model import Checkpoint
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

_TITLE = "Imported from {} of Volume Segmantics. Each key says which setting it carries; what has none is volseg's own."


def import_settings(
    registry: Registry,
    settings: Path,
    output: Path,
    *,
    model: Path | None = None,
    prediction: Path | None = None,
    overwrite: bool = False,
) -> Imported:
    """Write the recipe of a train settings file, and with ``model`` the weights beside it as ``.safetensors``.

    Raises:
        DataError: a file cannot be read, does not fit, or an output exists. RecipeErrors: no valid recipe.
    """
    place = Output(output, weights=model is not None, overwrite=overwrite)
    checkpoint = _checkpoint(model)
    transfer = _transfer(registry, settings, prediction, checkpoint)

    def write_weights(recipe: Recipe, path: Path) -> None:
        from volseg_core.migration.volume_segmantics.model import write_imported

        if checkpoint is not None:
            write_imported(registry, checkpoint, recipe, path)

    return place.write(registry, _TITLE.format(settings.name), transfer, write_weights)


def _checkpoint(model: Path | None) -> Checkpoint | None:
    if model is None:
        return None
    from volseg_core.migration.volume_segmantics.model import read_model

    return read_model(model)


def _transfer(registry: Registry, settings: Path, prediction: Path | None, checkpoint: Checkpoint | None) -> Transfer:
    transfer = Transfer()
    transfer.carry("summary", f"Imported from {settings.name} of Volume Segmantics.", "for listings")
    transfer.carry("extends", "volseg/slices", "everything that these settings do not say")
    content = read_settings(settings)
    training = Settings(content, transfer)
    carry_training(training, transfer, registry.catalog)
    training.leave_the_rest(REASONS, UNKNOWN)
    if prediction is not None:
        predicting = Settings(read_settings(prediction), transfer)
        carry_prediction(predicting, transfer, content)
        predicting.leave_the_rest(REASONS, UNKNOWN)
    if checkpoint is not None:
        checkpoint.carry(transfer)
    return transfer

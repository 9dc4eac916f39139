"""From settings and checkpoint of Volume Segmantics to a recipe and a model file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from volseg_core.errors import DataError, did_you_mean
from volseg_core.migration.settings import Left, Settings, Transfer, read_settings
from volseg_core.migration.volume_segmantics.predicting import carry_prediction
from volseg_core.migration.volume_segmantics.reasons import REASONS, UNKNOWN
from volseg_core.migration.volume_segmantics.training import carry_training
from volseg_core.recipe.choices import write_recipe
from volseg_core.recipe.resolve import resolve
from volseg_core.recipe.sources import RecipeSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from volseg_core.migration.volume_segmantics.model import Checkpoint
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

_TITLE = "Imported from {} of Volume Segmantics. Each key says which setting it carries; what has none is volseg's own."


@dataclass(frozen=True)
class Imported:
    """What an import wrote, and the settings that it could not carry."""

    paths: tuple[Path, ...]
    left: Sequence[Left]


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
    weights = output.with_suffix(".safetensors")
    outputs = (output, weights) if model is not None else (output,)
    for path in outputs:
        if path.exists() and not overwrite:
            raise DataError(str(path), "exists", "Use --overwrite to replace it, or another -o.")
    checkpoint = _checkpoint(model)
    transfer = _transfer(registry, settings, prediction, checkpoint)
    text = write_recipe(_TITLE.format(settings.name), transfer.choices)
    recipe = _resolved(registry, text, output)
    if checkpoint is not None:
        from volseg_core.migration.volume_segmantics.model import write_imported

        write_imported(registry, checkpoint, recipe, weights)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(str(output), f"cannot be written ({error.strerror})") from None
    return Imported(outputs, transfer.left)


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
    _name_the_rest(training, transfer)
    if prediction is not None:
        predicting = Settings(read_settings(prediction), transfer)
        carry_prediction(predicting, transfer, content)
        _name_the_rest(predicting, transfer)
    if checkpoint is not None:
        checkpoint.carry(transfer)
    return transfer


def _name_the_rest(settings: Settings, transfer: Transfer) -> None:
    """Name every setting that was not asked for, those with one reason together."""
    by_reason: dict[str, list[str]] = {}
    known = {*REASONS, *settings.asked}
    for key in settings.remaining():
        reason = REASONS.get(key) or f"{UNKNOWN}. {did_you_mean(key, known)}".rstrip(" .")
        by_reason.setdefault(reason, []).append(key)
    for reason, keys in by_reason.items():
        transfer.leave(tuple(keys), reason)


def _resolved(registry: Registry, text: str, output: Path) -> Recipe:
    """Resolve the recipe before anything is written."""
    import yaml

    return resolve(registry, RecipeSource(output.stem, str(output.resolve()), yaml.safe_load(text)))

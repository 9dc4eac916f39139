"""What a call means: which model, its recipe with the caller's changes, and what executes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.errors import UsageError
from volseg_core.exporting.reading import exported_path
from volseg_core.machine import onnx_is_faster
from volseg_core.model import ModelFile, read_model
from volseg_core.recipe import resolve_recipe

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

_TORCH = "volseg/torch"


def model_and_recipe(
    registry: Registry,
    model: str | os.PathLike[str] | ModelFile,
    quality: str,
    overrides: Sequence[str],
    device: str,
    runtime: str = "auto",
) -> tuple[ModelFile, Recipe]:
    """Return a model and its recipe with what the caller changes about prediction.

    An exported model runs in ONNX Runtime; so does, on a CPU, a run that was exported to its own folder. A runtime that
    the caller or the recipe names is kept.

    Raises:
        VolsegError: what is wrong with the model, its recipe or the overrides.
    """
    file = model if isinstance(model, ModelFile) else read_model(model)
    if quality:
        overrides = [f"predict.quality={quality}", *overrides]
    foreign = [item for item in overrides if not item.strip().startswith(("predict.", "data.reader"))]
    if foreign:
        raise UsageError(f"--set {foreign[0]}", "prediction only takes keys of predict and data.reader")
    chosen = any(item.strip().startswith("predict.runtime") for item in overrides)
    if runtime != "auto":
        overrides = [*overrides, f"predict.runtime={runtime}"]
    recipe = resolve_recipe(registry, file.recipe, overrides)
    if chosen or runtime != "auto" or recipe.runtime.provided.id != _TORCH:
        return file, recipe
    if file.export or (exported_path(file) is not None and onnx_is_faster(device)):
        recipe = resolve_recipe(registry, file.recipe, [*overrides, "predict.runtime=onnxruntime"])
    return file, recipe

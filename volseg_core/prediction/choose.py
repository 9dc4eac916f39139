"""What a call means: which model, its recipe with the caller's changes, and what executes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.discovery import BUILTIN
from volseg_core.errors import UsageError
from volseg_core.exporting.foreign import adopt
from volseg_core.exporting.reading import exported_path
from volseg_core.machine import onnx_is_faster
from volseg_core.model import ModelFile, read_model
from volseg_core.recipe import resolve_model, resolve_recipe
from volseg_core.recipe.resolve import NETWORK

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping, Sequence

    from volseg_core.recipe import Recipe
    from volseg_core.recipe.layers import Path as Place
    from volseg_core.registry import Registry

_TORCH = "torch"
_KEYS = ("predict.", "postprocess", "data.reader")


def model_and_recipe(
    registry: Registry,
    model: str | os.PathLike[str] | ModelFile,
    quality: str,
    overrides: Sequence[str],
    device: str,
    runtime: str = "auto",
    *,
    recipe: str | Mapping[str, Any] = "",
    unused: Collection[Place] = (),
    frozen: bool = False,
) -> tuple[ModelFile, Recipe]:
    """Return a model and its recipe with what the caller changes about prediction.

    An exported model runs in ONNX Runtime; so does, on a CPU, a run that was exported to its own folder. A runtime that
    the caller or the recipe names is kept. ``recipe`` speaks for an ONNX file that carries none. Plugins of the network
    are needed only where torch runs it; those at ``unused`` places and of what only training uses, never.

    Raises:
        VolsegError: what is wrong with the model, its recipe or the overrides.
        PluginError: a plugin is missing, or with ``frozen`` in another version than it was trained with.
    """
    if recipe:
        if isinstance(model, ModelFile) or Path(model).suffix.lower() != ".onnx":
            raise UsageError("--recipe", f"is for ONNX files that carry none, not for {model}")
        file = adopt(registry.catalog, Path(model), resolve_recipe(registry, recipe, overrides))
        overrides = ()
    else:
        file = model if isinstance(model, ModelFile) else read_model(model)
    if quality:
        overrides = [f"predict.quality={quality}", *overrides]
    others = [item for item in overrides if not item.strip().startswith(_KEYS)]
    if others:
        raise UsageError(f"--set {others[0]}", "prediction only takes keys of predict, postprocess and data.reader")
    if runtime != "auto":
        overrides = [*overrides, f"predict.runtime={runtime}"]
    chosen = any(item.strip().startswith("predict.runtime") for item in overrides)
    if not chosen and _runtime_of(file) == _TORCH:
        if file.export or (exported_path(file) is not None and onnx_is_faster(device)):
            overrides = [*overrides, "predict.runtime=onnxruntime"]
            unused = (*unused, *NETWORK)
    elif file.export:
        unused = (*unused, *NETWORK)
    return file, resolve_model(registry, file, overrides, unused=unused, frozen=frozen)


def _runtime_of(file: ModelFile) -> str:
    """Return the runtime that a model's recipe names, a built-in one by its bare name."""
    predict = file.recipe.get("predict")
    runtime = predict.get("runtime") if isinstance(predict, dict) else None
    name = runtime.get("use") if isinstance(runtime, dict) else runtime
    return str(name or _TORCH).removeprefix(f"{BUILTIN}/")

"""Prediction with a trained model, and what is made of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.data.files import VolumeLike, open_volume, refuse_existing
from volseg_core.errors import UsageError
from volseg_core.prediction.choose import model_and_recipe
from volseg_core.prediction.predictor import Prediction, run_prediction
from volseg_core.progress import Progress, Silent
from volseg_core.registry import Registry, load_registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from volseg_core.model import ModelFile
    from volseg_core.operations.common import PathLike
    from volseg_core.prediction.fusion import FusionFit
    from volseg_core.prediction.suggest import Suggestion


def predict(
    model: PathLike | ModelFile,
    volume: VolumeLike,
    *,
    output: PathLike | None = None,
    quality: str = "",
    device: str = "auto",
    runtime: str = "auto",
    confidence: bool = False,
    probabilities: bool = False,
    entropy: bool = False,
    variance: bool = False,
    seams: bool = False,
    overwrite: bool = False,
    recipe: str | Mapping[str, Any] = "",
    frozen: bool = False,
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Segment a volume with a trained model: a run folder, its weights, or an exported ONNX file.

    Without ``output`` the arrays are returned: ``labels`` (Z, Y, X) with the original ids, ``confidence`` (Z, Y, X)
    uint8 (255 = certain), ``probabilities`` (C, Z, Y, X) float16, ``entropy`` (Z, Y, X) uint8 of the merged
    probabilities (255 = all classes equal) and ``variance`` (Z, Y, X) float16, the variance over directions summed over
    classes (0 = all directions agree). Heads without classes give ``probabilities`` or ``values`` (K, Z, Y, X) float32
    instead of all these; arrays of named heads are ``HEAD_labels`` and so on. With ``output`` they are written there.
    ``runtime`` ``auto`` is that of the recipe for a run, and ONNX Runtime for an exported model and, on a CPU, for a
    run that was exported. ``recipe`` says of an ONNX file that volseg did not make what its graph does not: task,
    classes, normalisation, axes, size rules; the file must take (N, C, H, W) and give logits. ``frozen`` refuses
    plugins in other versions than those that the model was trained with. With ``seams`` the middle of the volume is
    predicted again on a shifted grid of windows, and ``seams`` of the result says how far windows show
    (`volseg_core.prediction.seams`).

    Raises:
        VolsegError: what is wrong with model, volume, device or output.
    """
    registry = registry or load_registry()
    file, resolved = model_and_recipe(
        registry, model, quality, overrides, device, runtime, recipe=recipe, frozen=frozen
    )
    wishes = {"confidence": confidence, "probabilities": probabilities, "entropy": entropy, "variance": variance}
    return run_prediction(
        registry.catalog,
        file,
        resolved,
        volume,
        progress or Silent(),
        device=device,
        wanted=["labels", *(name for name, wish in wishes.items() if wish)],
        output=None if output is None else Path(output),
        overwrite=overwrite,
        seams=seams,
    )


def postprocess(
    volume: VolumeLike,
    steps: str | Sequence[str],
    *,
    output: PathLike | None = None,
    overrides: Sequence[str] = (),
    block: int | None = None,
    instances: bool = False,
    overwrite: bool = False,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Apply steps after the merge to a finished prediction, one after the other; no network is needed.

    ``volume`` holds label ids (Z, Y, X), with ``instances`` numbers of objects; or probabilities or values
    (K, Z, Y, X), of which bytes are divided by 255. ``steps`` are names of components, ``overrides`` their parameters
    as ``NAME=VALUE``, of several steps as ``STEP.NAME=VALUE`` (a name or a position). ``block`` is the largest edge of
    the blocks, which by default hold about 32 million values with what surrounds them.

    Without ``output`` the arrays are returned: ``labels`` (Z, Y, X) with the original ids, ``instances`` (Z, Y, X)
    uint32, of each what the last step that gives it gave. With ``output`` they are written there.

    Raises:
        VolsegError: what is wrong with volume, steps or output.
    """
    from volseg_core.prediction.finished import run_postprocess

    return run_postprocess(
        registry or load_registry(),
        volume,
        [steps] if isinstance(steps, str) else steps,
        overrides,
        progress or Silent(),
        output=None if output is None else Path(output),
        overwrite=overwrite,
        block=block,
        instances=instances,
    )


def fit_merge(
    model: PathLike | ModelFile,
    *,
    data: VolumeLike,
    labels: VolumeLike,
    quality: str = "high",
    output: PathLike | None = None,
    overwrite: bool = False,
    force: bool = False,
    device: str = "auto",
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> FusionFit:
    """Fit the merge ``fusion`` on a labelled volume that the network was not trained on, and store it in the model.

    The weights, the quality and the views become the model's own; ``output`` writes a copy of the model instead. They
    are fitted on a slab of the volume and scored on another one; where they score lower than equal weights nothing is
    stored (``path`` of the result is None) unless ``force`` says so.

    Raises:
        VolsegError: what is wrong with model, volumes, device or output.
    """
    from volseg_core.prediction.fusion import run_fit

    registry = registry or load_registry()
    file, recipe = model_and_recipe(registry, model, quality, overrides, device)
    if file.export:
        raise UsageError(str(file.path), "is an exported model", "Fit the merge of the run, and export again.")
    path = file.path if output is None else Path(output)
    if output is not None:
        refuse_existing(path, overwrite=overwrite)
    return run_fit(
        registry.catalog, file, recipe, data, labels, progress or Silent(), path=path, force=force, device=device
    )


def suggest_labels(
    model: PathLike | ModelFile,
    volume: VolumeLike,
    *,
    count: int = 5,
    size: Sequence[int] = (),
    slabs: bool = False,
    score: str = "entropy",
    quality: str = "",
    device: str = "auto",
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> list[Suggestion]:
    """Return up to ``count`` boxes of a volume that are worth labelling next, the least certain first.

    ``score`` is ``entropy`` (of the merged probabilities) or ``variance`` (over directions), both as `predict` gives
    them; boxes are ranked by its mean and do not overlap. ``size`` is an edge or (z, y, x), clipped to the volume; by
    default 64, or smaller where the volume is small. ``slabs`` takes whole planes along z instead.

    Raises:
        VolsegError: what is wrong with model, volume, device or sizes.
    """
    from volseg_core.prediction.suggest import box_size, rank

    registry = registry or load_registry()
    if score not in ("entropy", "variance"):
        raise UsageError("score", f"{score!r} is not entropy or variance")
    file, recipe = model_and_recipe(registry, model, quality, overrides, device)
    with open_volume(registry.catalog, volume, "data", recipe.reader) as source:
        chosen = box_size(source.shape, count, size, slabs=slabs)
    head = file.spec.only_classes("suggest-labels")
    done = predict(
        file,
        volume,
        quality=quality,
        device=device,
        entropy=score == "entropy",
        variance=score == "variance",
        overrides=overrides,
        registry=registry,
        progress=progress,
    )
    return rank(done.arrays[head.array(score)], done.arrays[head.array("labels")], head.classes, chosen, count)

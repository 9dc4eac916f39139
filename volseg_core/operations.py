"""The operations of volseg in Python: arrays or files in and out. The command line is a layer over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.data.files import VolumeLike, open_volume
from volseg_core.errors import DataError, PluginError, UsageError
from volseg_core.evaluation import run_evaluation
from volseg_core.exporting.loss import MAX_LOSS
from volseg_core.exporting.packages.choice import Packages
from volseg_core.exporting.reduction import reduction_of
from volseg_core.exporting.vectors import FLOAT32
from volseg_core.machine import importable
from volseg_core.model import EXPORTED, ModelFile, read_model
from volseg_core.prediction.choose import model_and_recipe
from volseg_core.prediction.predictor import Prediction, run_prediction
from volseg_core.progress import Progress, Silent
from volseg_core.recipe import resolve_model, resolve_recipe
from volseg_core.recipe.resolve import PREDICTION, resolve_component
from volseg_core.registry import Registry, load_registry
from volseg_core.training.run import RunOptions, RunResult, run_training

if TYPE_CHECKING:
    import numpy as np

    from volseg_core.advice.findings import Finding
    from volseg_core.exporting.exporter import Exported
    from volseg_core.exporting.vectors import Parity
    from volseg_core.prediction.fusion import FusionFit
    from volseg_core.prediction.suggest import Suggestion
    from volseg_core.tuning.study import TuneResult

PathLike = str | os.PathLike[str]
Volumes = VolumeLike | Sequence[VolumeLike]


def train(
    recipe: str | Mapping[str, Any] = "slices",
    *,
    data: Volumes = (),
    labels: Volumes = (),
    output: PathLike,
    overrides: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    start_from: PathLike | None = None,
    frozen: bool = False,
    argv: Sequence[str] = (),
    watch: Callable[[int, float], bool] | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Train a network on labelled volumes and return the run.

    ``recipe`` is a name, a file or a mapping; ``data`` and ``labels`` are volumes ``FILE[:/internal/path]`` or
    arrays (Z, Y, X) or (C, Z, Y, X) with integer labels (Z, Y, X), or values (K, Z, Y, X) where a recipe learns them,
    which are never changed; ``overrides`` are ``key.path=value``; ``start_from`` is a run or model file to fine-tune;
    ``watch`` is given the number (from 0) and the score of each epoch and returns whether to stop. ``frozen`` refuses
    plugins in other versions than those that a resolved recipe or a resumed run was made with.

    Raises:
        VolsegError: what is wrong, before anything is written; DivergedError when the loss is not finite.
    """
    _require("train", ("torch", "lightning", "safetensors"), "train")
    registry = registry or load_registry()
    begun = Path(output) / "resolved.yaml"
    if resume and begun.is_file() and recipe != str(begun):
        resolve_recipe(registry, str(begun), frozen=frozen)
    resolved = resolve_recipe(registry, recipe, overrides, frozen=frozen)
    start = None if start_from is None else Path(start_from)
    options = RunOptions(Path(output), resume, overwrite, start, tuple(argv), watch)
    return run_training(registry, resolved, options, progress or Silent(), _several(data), _several(labels))


def tune(
    recipe: str | Mapping[str, Any] = "slices",
    *,
    data: Volumes = (),
    labels: Volumes = (),
    output: PathLike,
    trials: int = 20,
    search: Sequence[str] = (),
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> TuneResult:
    """Search keys of a recipe for the best score on the held-out part; needs the extra ``tune``.

    ``search`` holds ``KEY=LOW..HIGH``, ``KEY=LOW..HIGH:log`` and ``KEY=A|B|C``; by default learning rate, weight decay
    and augmentation are searched. ``output`` receives a run for each trial, ``trials.csv`` and ``best.yaml``.

    Raises:
        VolsegError: what is wrong with recipe, space, data or folder; the last failure when every trial failed.
    """
    from volseg_core.tuning.space import DEFAULT
    from volseg_core.tuning.study import Search, run_study

    job = Search(Path(output), tuple(search) or DEFAULT, trials, seed, resume, overwrite)
    registry, progress = registry or load_registry(), progress or Silent()
    return run_study(registry, recipe, overrides, job, _several(data), _several(labels), progress)


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
    probabilities (255 = all classes equal) and ``variance`` (Z, Y, X) float16, the variance over directions summed
    over classes (0 = all directions agree). Heads without classes give ``probabilities`` or ``values`` (K, Z, Y, X)
    float32 instead of all these; arrays of named heads are ``HEAD_labels`` and so on. With ``output`` they are written
    there. ``runtime`` ``auto`` is that of
    the recipe for a run, and ONNX Runtime for an exported model and, on a CPU, for a run that was exported. ``recipe``
    says of an ONNX file that volseg did not make what its graph does not: task, classes, normalisation, axes, size
    rules; the file must take (N, C, H, W) and give logits. ``frozen`` refuses plugins in other versions than those that
    the model was trained with. With ``seams`` the middle of the volume is predicted again on a shifted grid of windows,
    and ``seams`` of the result says how far windows show (`volseg_core.prediction.seams`).

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
    from volseg_core.postprocessing import run_postprocess

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


def evaluate(
    prediction: VolumeLike,
    labels: VolumeLike,
    *,
    metrics: Sequence[str] = (),
    ignore: Sequence[int] = (-1,),
    overrides: Sequence[str] = (),
    probabilities: VolumeLike | None = None,
    instances: bool = False,
    values: bool = False,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Compare a prediction with labels and return scores by name; a class absent from both has NaN.

    Classes are the ids of both volumes; voxels whose label is in ``ignore`` do not count. A prediction of floats holds
    probabilities (K, Z, Y, X): metrics of boundary maps compare their objects with ids, others take labels of 0 or 1 in
    each channel. With ``instances`` the volumes hold ids of objects, 0 for none; with ``values``, or metrics of them,
    numbers (K, Z, Y, X), NaN for none. ``metrics`` are dice and iou unless named, for instances adapted-rand,
    variation-of-information, average-precision and panoptic-quality, for values psnr, ssim and mse; ``overrides`` are
    their parameters as ``METRIC.NAME=VALUE``. Those of probabilities of classes take ``probabilities`` (C, Z, Y, X),
    by default what `predict` wrote beside the prediction. Distances are in the unit of the voxel size of the labels,
    else of the prediction, else in voxels.

    Raises:
        DataError: shapes or channels differ, or ids are not classes. UsageError: no such metric or parameter, or none
            for what is compared; no probabilities.
    """
    return run_evaluation(
        registry or load_registry(),
        prediction,
        labels,
        progress or Silent(),
        metrics=metrics,
        ignore=ignore,
        overrides=overrides,
        probabilities=probabilities,
        instances=instances,
        values=values,
    )


def generate(
    generator: str,
    *,
    output: PathLike | None = None,
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    registry: Registry | None = None,
) -> dict[str, np.ndarray[Any, Any]]:
    """Make a synthetic volume and return its arrays by name; with ``output`` also write them.

    ``overrides`` are the generator's parameters as ``name=value``.

    Raises:
        UsageError: no such generator or parameter. DataError: the output exists or cannot be written.
    """
    from volseg_core.data.generated import generate_sample, write_sample

    registry = registry or load_registry()
    provided, params = resolve_component(registry, "generator", generator, overrides)
    path = None if output is None else Path(output)
    if path is not None and path.exists() and not overwrite:
        raise DataError(str(path), "exists", "Use --overwrite to replace it, or another -o.")
    sample = generate_sample(registry.catalog, provided, params)
    if path is not None:
        write_sample(registry.catalog, sample, path, {"generator": {"use": provided.id, **params}})
    return {"data": sample.data, "labels": sample.labels, **sample.extra}


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
    if output is not None and path.exists() and not overwrite:
        raise DataError(str(path), "exists", "Use --overwrite to replace it, or another -o.")
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


def export(
    model: PathLike | ModelFile,
    *,
    output: PathLike | None = None,
    exporter: str = "auto",
    fp16: bool = False,
    int8: VolumeLike | None = None,
    on: VolumeLike | None = None,
    labels: VolumeLike | None = None,
    max_loss: float = MAX_LOSS,
    force: bool = False,
    bioimageio: PathLike | None = None,
    triton: PathLike | None = None,
    overwrite: bool = False,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Export a trained model as one ONNX file, by default ``model.onnx`` in its run folder.

    ``exporter`` is ``legacy``, ``dynamo`` or ``auto``, which tries them in this order. The file is written only when
    it gives the network's logits at three input shapes; test vectors stand beside it for `verify`.

    ``fp16`` writes it in half precision, ``int8`` in integers calibrated on a volume, and neither when it loses more
    than ``max_loss`` of mean foreground Dice, unless ``force`` says so. That is measured on the volume ``on`` with its
    ``labels``, if there are any; else on the part that the run held out, or the calibration's volume.

    ``bioimageio`` is the ZIP file of a model package, ``triton`` a model repository; both hold the file written.

    Raises:
        VolsegError: what is wrong with model, volumes or outputs; no exporter gave the same logits; too much is lost.
    """
    registry = registry or load_registry()
    file = model if isinstance(model, ModelFile) else read_model(model)
    if file.export:
        raise UsageError(str(file.path), "is an exported model already", "Give the run that it was made of.")
    path = file.path.with_name(EXPORTED) if output is None else Path(output)
    if path.suffix.lower() != ".onnx":
        raise UsageError("-o", f"{path.name} does not end in .onnx")
    reduction = reduction_of(fp16=fp16, int8=int8, on=on, labels=labels, max_loss=max_loss, force=force)
    precision = FLOAT32 if reduction is None else reduction.precision
    packages = Packages.of(path, bioimageio, triton, precision)
    for target, option in ((path, "-o"), *packages.targets()):
        if target.exists() and not overwrite:
            raise DataError(str(target), "exists", f"Use --overwrite to replace it, or another {option}.")
    if not path.parent.is_dir():
        raise DataError(str(path.parent), "does not exist")
    _require("export", ("torch", "onnx", "onnxscript", "onnxruntime"), "train,export,cpu", "train,export,gpu")
    from volseg_core.exporting.exporter import export_model

    recipe = resolve_model(registry, file, unused=PREDICTION)
    return export_model(
        registry, file, recipe, path, exporter=exporter, reduction=reduction, packages=packages, progress=progress
    )


def verify(
    model: PathLike | ModelFile, *, device: str = "auto", registry: Registry | None = None
) -> tuple[Parity, str]:
    """Replay the test vectors of an exported model; return the parity and the device that ran them.

    Raises:
        VolsegError: the model is not an exported one, its vectors are missing or others, no such device.
    """
    from volseg_core.exporting.reading import replay

    registry = registry or load_registry()
    file, recipe = model_and_recipe(registry, model, "", (), device, "onnxruntime", unused=PREDICTION[:2])
    return replay(registry.catalog, file, recipe, device)


def check(data: VolumeLike, labels: VolumeLike | None = None, *, registry: Registry | None = None) -> list[Finding]:
    """Look for what ruins a training in an image and its labels, and return the findings (``ok, note, fatal``).

    Raises:
        VolsegError: a file cannot be opened.
    """
    from volseg_core.advice.check import check as look

    return look((registry or load_registry()).catalog, data, labels)


def suggest(data: VolumeLike, labels: VolumeLike, *, registry: Registry | None = None) -> str:
    """Look at a labelled volume and at the machine, and return a recipe (YAML) with the reason for each choice.

    Raises:
        DataError: the pair cannot be trained on.
    """
    from volseg_core.advice.suggest import suggest as choose

    return choose(registry or load_registry(), data, labels)


def _require(where: str, packages: Sequence[str], *extras: str) -> None:
    """Raise a PluginError when packages that an operation needs are not installed; ``extras`` would bring them."""
    missing = [name for name in packages if not importable(name)]
    if missing:
        ways = ", or with a GPU ".join(f'"volseg[{extra}]"' for extra in extras)
        raise PluginError(where, f"needs {', '.join(missing)}, which is not installed", notes=[f"pip install {ways}"])


def _several(items: Volumes) -> list[VolumeLike]:
    """Return volumes as a list; a tuple or list holds several, anything else is one."""
    return list(items) if isinstance(items, (list, tuple)) else [items]  # type: ignore[list-item]

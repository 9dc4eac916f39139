"""A trained model as an ONNX file, and whether that file still gives what it gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from volseg_core.data.files import refuse_existing
from volseg_core.errors import DataError, UsageError
from volseg_core.exporting.loss import MAX_LOSS
from volseg_core.exporting.packages.choice import Packages
from volseg_core.exporting.reduction import reduction_of
from volseg_core.exporting.vectors import FLOAT32
from volseg_core.model import EXPORTED, ModelFile, read_model
from volseg_core.operations.common import require
from volseg_core.prediction.choose import model_and_recipe
from volseg_core.recipe import resolve_model
from volseg_core.recipe.resolve import PREDICTION
from volseg_core.registry import Registry, load_registry

if TYPE_CHECKING:
    from volseg_core.data.files import VolumeLike
    from volseg_core.exporting.exporter import Exported
    from volseg_core.exporting.vectors import Parity
    from volseg_core.operations.common import PathLike
    from volseg_core.progress import Progress


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
        refuse_existing(target, option=option, overwrite=overwrite)
    if not path.parent.is_dir():
        raise DataError(str(path.parent), "does not exist")
    require("export", ("torch", "onnx", "onnxscript", "onnxruntime"), "train,export,cpu", "train,export,gpu")
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

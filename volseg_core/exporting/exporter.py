"""Export: a trained network as one ONNX file that gives the same logits and carries its spec and recipe."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from volseg_core.api import Architecture
from volseg_core.errors import PluginError
from volseg_core.exporting.convert import OPSET, Attempt, convert, free_sizes
from volseg_core.exporting.reading import read_exported
from volseg_core.exporting.reduce import Reduced, reduce
from volseg_core.exporting.reduction import OPTIONS
from volseg_core.exporting.writing import documents, made, write_exported
from volseg_core.network import trained_network
from volseg_core.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import nn

    from volseg_core.exporting.loss import Loss
    from volseg_core.exporting.packages.choice import Packages
    from volseg_core.exporting.reduction import Reduction
    from volseg_core.exporting.vectors import Parity
    from volseg_core.model import ModelFile
    from volseg_core.progress import Progress
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry


@dataclass(frozen=True)
class Exported:
    """An exported file: how it came about, how near it is to the trained network, and what less precision loses."""

    path: Path
    attempt: Attempt
    parity: Sequence[Parity]
    seconds: float
    failed: Sequence[str]
    loss: Loss | None = None


def export_model(
    registry: Registry,
    model: ModelFile,
    recipe: Recipe,
    output: Path,
    *,
    exporter: str = "auto",
    reduction: Reduction | None = None,
    packages: Packages | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Export a trained network; the file gets its name only once it gives the network's logits at several shapes.

    Packages are made of the finished file.

    Raises:
        PluginError: no attempt gave the network's logits, or the architecture says that none will.
        UsageError: less precision of a network that gives no classes.
        DataError: less precision loses too much, or the folder cannot be written. ResourceError: the disk is full.
    """
    start = time.time()
    if reduction is not None:
        model.spec.only_classes(OPTIONS[reduction.precision])
    architecture = recipe.architecture.provided
    assert isinstance(architecture.component, Architecture)  # noqa: S101  (the catalog keeps kinds apart)
    if not architecture.component.exports_onnx:
        raise PluginError("export", f"{architecture.describe()} says that ONNX cannot express it")
    rewrite: Callable[[nn.Module], nn.Module] | None = None
    if architecture.component.export_rewrites:
        rewrite = registry.catalog.load_target(architecture, architecture.component.export_rewrites)
    file = convert(trained_network(registry.catalog, recipe, model), model.spec, recipe, exporter, rewrite)
    vectors, attempt = file.vectors[0], file.attempt
    if attempt.free != free_sizes(model.spec.dims):
        model = replace(model, spec=replace(model.spec, window=vectors.image.shape[2:]))
    done = Reduced(file)
    if reduction is not None:
        done = reduce(registry, model, file, reduction, output.parent, progress or Silent())
    facts = {**made(attempt, OPSET, done.file.parity, vectors), **done.facts}
    write_exported(done.file.content, documents(registry, model, facts), vectors, output)
    if packages is not None:
        packages.write(read_exported(output))
    return Exported(output, attempt, done.file.parity, time.time() - start, file.failed, done.loss)

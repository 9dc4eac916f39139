"""ONNX files that others made: what the graph does not say about itself comes from a recipe."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from volseg_core.data.values import named_classes
from volseg_core.errors import DataError, UsageError
from volseg_core.exporting.header import check_safe, read_header
from volseg_core.model import EXPORT_KEY, HeadSpec, ModelFile, ModelSpec
from volseg_core.network import size_rules
from volseg_core.tasks import CLASS_TASKS
from volseg_core.volume import BOXES, SLICES, ClassMap, ClassName, Normalisation

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_core.catalog import Catalog
    from volseg_core.exporting.header import Header, Shape
    from volseg_core.recipe import Recipe
    from volseg_core.recipe.assembled import Head
    from volseg_core.recipe.blocks import HeadBlock

_BATCHES = {SLICES: "images has (N, C, H, W)", BOXES: "boxes has (N, C, D, H, W)"}
_ANY = "zyx"


def adopt(catalog: Catalog, path: Path, recipe: Recipe) -> ModelFile:
    """Return a model of an ONNX file that carries no spec: (N, C, *S) float32 in, logits (N, classes, *S) out.

    Channels, number of classes and a fixed size are the graph's. Dimensions, task, names of classes, normalisation,
    axes, neighbours and the size rules of the architecture are the recipe's.

    Raises:
        DataError: it is not ONNX, not safe, or no network of this kind. UsageError: it is volseg's own, or recipe and
            graph do not agree.
    """
    header = read_header(path)
    check_safe(header, path)
    if EXPORT_KEY in header.metadata:
        raise UsageError(str(path), "carries its own recipe", "Leave --recipe out; -s changes how it predicts.")
    image, logits = _ends(header, path, recipe.header.dims)
    channels, outputs, window = image[1], logits[1], image[2:]
    if channels is None or outputs is None:
        raise DataError(str(path), "leaves its number of channels or classes open; volseg needs both fixed")
    head = _only(recipe, path)
    seen = 2 * recipe.data.neighbours + 1
    if channels % seen:
        what = f"takes {channels} channels, not a multiple of the {seen} slices of data.neighbours"
        raise UsageError(str(path), what)
    fixed = tuple(size for size in window if size is not None)
    spec = ModelSpec(
        heads=(HeadSpec(head.rule.task, _classes(head.rule, outputs, path), head.name),),
        in_channels=channels,
        normalisation=Normalisation(recipe.data.normalise.kind, recipe.data.normalise.clip),
        axes=_ANY if recipe.data.axes == "auto" else recipe.data.axes,
        sizes=size_rules(catalog, recipe),
        neighbours=recipe.data.neighbours,
        window=fixed if len(fixed) == len(window) else (),
    )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ModelFile(path, spec, recipe.to_dict(), digest, {"model_id": digest, "precision": "float32"})


def check_channels(header: Header, spec: ModelSpec, path: Path) -> None:
    """Raise a DataError when the graph takes or gives other channels than its spec says."""
    heads = [head.channels for head in spec.heads]
    if len(header.outputs) != len(heads):
        what = f"has {len(header.outputs)} outputs, but its volseg.spec {len(heads)} heads"
        raise DataError(str(path), what, "Export the model again.")
    for ends, wanted, what in (
        (header.inputs, [spec.in_channels], "takes {} channels, but its volseg.spec says {}"),
        (header.outputs, heads, "gives {} channels of logits, but its volseg.spec means {}"),
    ):
        for shape, channels in zip(ends.values(), wanted, strict=False):
            if len(shape) > 1 and shape[1] not in (None, channels):
                raise DataError(str(path), what.format(shape[1], channels), "Export the model again.")


def _ends(header: Header, path: Path, dims: int) -> tuple[Shape, Shape]:
    """Return the shapes of input and output."""
    for ends, what in ((header.inputs, "inputs"), (header.outputs, "outputs")):
        if len(ends) != 1:
            raise DataError(str(path), f"has {len(ends)} {what}; volseg runs networks with one")
    (image,), (logits,) = header.inputs.values(), header.outputs.values()
    if len(image) != 2 + dims or len(logits) != 2 + dims:
        found = f"{len(image)} and {len(logits)} dimensions"
        raise DataError(str(path), f"has input and output of {found}; a network of {_BATCHES[dims]}")
    return image, logits


def _only(recipe: Recipe, path: Path) -> Head:
    """Return the only head of a recipe that is to describe a graph with one output."""
    if len(recipe.heads) > 1:
        raise UsageError(str(path), f"has one output, but the recipe has {len(recipe.heads)} heads", "Give one head.")
    return recipe.heads[0]


def _classes(rule: HeadBlock, outputs: int, path: Path) -> ClassMap:
    named = named_classes(rule)
    count = 2 if rule.task == "binary" else outputs
    if rule.task == "binary" and outputs != 1:
        raise UsageError(str(path), f"gives {outputs} channels; task binary has one", "Use task: multiclass.")
    if rule.task == "multiclass" and outputs == 1:
        raise UsageError(str(path), "gives one channel, the logit of a binary task", "Use task: binary.")
    if named is None:
        word = "class" if rule.task in CLASS_TASKS else "channel"
        return ClassMap(tuple(ClassName(number, f"{word} {number}") for number in range(count)))
    if len(named) != count:
        raise UsageError(str(path), f"gives {count} classes, but the recipe names {len(named)}", "Change classes.")
    return named

"""Converting: a network in torch as an ONNX file in memory that gives the same logits, at as many sizes as can be."""

from __future__ import annotations

import io
import logging
import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from volseg_core.errors import PluginError
from volseg_core.exporting.vectors import FLOAT32, SPATIAL, Parity, Vectors, compare
from volseg_core.volume import BOXES, SLICES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from volseg_core.model import ModelSpec
    from volseg_core.recipe import Recipe

log = logging.getLogger("volseg")

INPUT, OUTPUT = "image", "logits"
OPSET = 20
_LEAST = {SLICES: 64, BOXES: 32}
_LARGEST = 64**3
"""Voxels of a training window of a 3D network up to which it is compared on that; larger ones take minutes."""
_LONGEST = 300


@dataclass(frozen=True)
class Attempt:
    """One way to export: an exporter and the dimensions of the input that stay free, of those that it has."""

    exporter: str
    free: tuple[str, ...]

    def of(self, dims: int) -> Attempt:
        """Return the attempt with the dimensions of slices, which have no depth, or boxes."""
        return replace(self, free=tuple(name for name in self.free if name in free_sizes(dims)))

    def __str__(self) -> str:
        return f"{self.exporter}, {' and '.join(self.free) if self.free else 'no dimension'} free"


ALL, BATCH = ("batch", *SPATIAL), ("batch",)
ATTEMPTS = {
    # the older exporter first: the same logits in seconds instead of minutes
    "auto": [Attempt("legacy", ALL), Attempt("dynamo", ALL), Attempt("legacy", BATCH), Attempt("legacy", ())],
    "legacy": [Attempt("legacy", ALL), Attempt("legacy", BATCH), Attempt("legacy", ())],
    "dynamo": [Attempt("dynamo", ALL), Attempt("dynamo", BATCH), Attempt("dynamo", ())],
}


@dataclass(frozen=True)
class Converted:
    """An ONNX file in memory: how it came about, the vectors that it was compared on, and how near it is to them."""

    content: bytes
    attempt: Attempt
    vectors: Sequence[Vectors]
    parity: Sequence[Parity]
    failed: Sequence[str] = ()


def convert(
    network: nn.Module, spec: ModelSpec, recipe: Recipe, exporter: str, rewrite: Callable[[nn.Module], nn.Module] | None
) -> Converted:
    """Return the network in ONNX, the first that gives its logits of all attempts; ``rewrite`` makes it exportable.

    Where that fails with all dimensions free, fewer are: first the size of the input is fixed, then the batch too.

    Raises:
        PluginError: no attempt gave the network's logits.
    """
    torch.manual_seed(0)
    images = [torch.randn(shape).numpy() for shape in check_shapes(spec, recipe)]
    wanted = [Vectors(image, _logits(network, image)) for image in images]
    if rewrite is not None:
        network = rewrite(network)
    outputs = output_names(spec)
    if len(outputs) > 1:
        network = Split(network, [head.channels for head in spec.heads])
    failed: list[str] = []
    for attempt in (each.of(spec.dims) for each in ATTEMPTS[exporter]):
        usable = _usable(wanted, attempt)
        try:
            content = converted(network, usable[0].image, attempt, outputs)
            parity = parities(content, usable)
        except Exception as error:  # noqa: BLE001  (exporters raise what they like)
            failed.append(f"{attempt}: {first_line(error)}")
        else:
            if all(item.good for item in parity):
                return Converted(content, attempt, usable, parity, failed)
            failed.append(f"{attempt}: {next(item for item in parity if not item.good).describe()}")
        log.info("export: %s", failed[-1])
    raise PluginError(
        "export",
        f"no exporter gave the logits of {recipe.architecture.provided.describe()}",
        "Try another architecture or encoder.",
        failed,
    )


def check_shapes(spec: ModelSpec, recipe: Recipe) -> list[tuple[int, ...]]:
    """Return the input shapes that are compared: the first is traced, two others differ from it in every size."""
    window = recipe.data.window if isinstance(recipe.data.window, tuple) else ()
    if spec.dims != SLICES and math.prod(window) > _LARGEST:
        window = ()
    first = spec.sizes.padded((_LEAST[spec.dims],) * spec.dims)
    steps = ((0, 1), (2, 0), (0, 3)) if spec.dims == SLICES else ((0, 0, 1), (1, 2, 0), (2, 1, 2))
    shapes = [
        tuple(size + more * step for size, more, step in zip(first, each, spec.sizes.divisor, strict=True))
        for each in steps
    ]
    shapes[0] = window or shapes[0]
    return [(batch, spec.in_channels, *shape) for batch, shape in zip((2, 1, 3), shapes, strict=True)]


class Split(nn.Module):
    """A network whose output comes in parts, each with the channels of a head."""

    def __init__(self, network: nn.Module, channels: Sequence[int]) -> None:
        super().__init__()
        self.network, self.channels = network, list(channels)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the output (N, channels, *S) of every head."""
        return torch.split(self.network(image), self.channels, dim=1)


def output_names(spec: ModelSpec) -> list[str]:
    """Return what the outputs of an exported network are called: by their heads, that of an only one by its kind."""
    if len(spec.heads) > 1:
        return [head.name for head in spec.heads]
    return ["values" if spec.heads[0].task == "regression" else OUTPUT]


def converted(
    network: nn.Module, image: np.ndarray[Any, Any], attempt: Attempt, outputs: Sequence[str] = (OUTPUT,)
) -> bytes:
    """Return the ONNX file of one attempt, stripped of paths and traces."""
    tensor = torch.from_numpy(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export = _legacy if attempt.exporter == "legacy" else _dynamo
        return _stripped(export(network, tensor, attempt, list(outputs)))


def parities(content: bytes, wanted: Sequence[Vectors], precision: str = FLOAT32) -> list[Parity]:
    """Return how near the logits of a file are to those wanted, on the CPU, whose answer no driver changes."""
    from onnxruntime import InferenceSession

    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    return [
        compare(
            vectors.image.shape,
            np.concatenate(session.run(None, {INPUT: vectors.image}), axis=1),
            vectors.logits,
            precision,
        )
        for vectors in wanted
    ]


def first_line(error: Exception) -> str:
    """Return what an exception of a library says, in one line."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:_LONGEST]}"


def _logits(network: nn.Module, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(image)).numpy(), np.float32)


def _usable(wanted: Sequence[Vectors], attempt: Attempt) -> list[Vectors]:
    """Return the vectors that a file with these free dimensions takes."""
    first = wanted[0]
    if attempt.free == free_sizes(first.image.ndim - 2):
        return list(wanted)
    if attempt.free == BATCH:
        return [first, Vectors(first.image[:1], first.logits[:1])]
    return [Vectors(first.image[:1], first.logits[:1])]


def free_sizes(dims: int) -> tuple[str, ...]:
    """Return the names of all dimensions that can be free: of slices, or of boxes."""
    return "batch", *SPATIAL[-dims:]


def _free_axes(attempt: Attempt, image: torch.Tensor) -> dict[int, str]:
    names = {0: "batch", **dict(enumerate(SPATIAL[-(image.ndim - 2) :], start=2))}
    return {number: name for number, name in names.items() if name in attempt.free}


def _legacy(network: nn.Module, image: torch.Tensor, attempt: Attempt, outputs: list[str]) -> bytes:
    buffer = io.BytesIO()
    names = _free_axes(attempt, image)
    torch.onnx.export(
        network,
        (image,),
        buffer,  # type: ignore[arg-type]  # files are taken too
        dynamo=False,
        input_names=[INPUT],
        output_names=outputs,
        dynamic_axes=dict.fromkeys((INPUT, *outputs), names) if names else None,
        opset_version=OPSET,
    )
    return buffer.getvalue()


def _dynamo(network: nn.Module, image: torch.Tensor, attempt: Attempt, outputs: list[str]) -> bytes:
    names = _free_axes(attempt, image)
    program = torch.onnx.export(
        network,
        (image,),
        dynamo=True,
        input_names=[INPUT],
        output_names=outputs,
        dynamic_shapes=({number: torch.export.Dim(name) for number, name in names.items()},) if names else None,
        external_data=False,
        verbose=False,
        opset_version=OPSET,
    )
    assert program is not None  # noqa: S101  (None is what the other exporter returns)
    return bytes(program.model_proto.SerializeToString())


def _stripped(content: bytes) -> bytes:
    """Return the file without doc strings and node metadata, which hold paths of the machine; checked in full."""
    import onnx
    from onnx_ir import from_proto, to_proto
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    model = from_proto(onnx.load_from_string(content))
    ClearMetadataAndDocStringPass()(model)
    proto = to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString())

"""Export: a trained network as one ONNX file that gives the same logits and carries its spec and recipe."""

from __future__ import annotations

import io
import json
import logging
import os
import time
import warnings
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from volseg_core.api import Architecture, RunInfo
from volseg_core.errors import DataError, PluginError, ResourceError, VolsegError
from volseg_core.exporting.vectors import Parity, Vectors, compare, vectors_path, write_vectors
from volseg_core.model import EXPORT_KEY, RECIPE_KEY, SPEC_KEY
from volseg_core.network import trained_network
from volseg_core.provenance import installed_version, own_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from volseg_core.model import ModelFile, ModelSpec
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

log = logging.getLogger("volseg")

INPUT, OUTPUT = "image", "logits"
OPSET = 20
LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
_SPATIAL = {2: "height", 3: "width"}
_LEAST = 64
_ANSI = 300


@dataclass(frozen=True)
class Attempt:
    """One way to export: an exporter and the dimensions of the input that stay free."""

    exporter: str
    free: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.exporter}, {' and '.join(self.free) if self.free else 'no dimension'} free"


ALL, BATCH = ("batch", "height", "width"), ("batch",)
ATTEMPTS = {
    # the older exporter first: the same logits in seconds instead of minutes
    "auto": [Attempt("legacy", ALL), Attempt("dynamo", ALL), Attempt("legacy", BATCH), Attempt("legacy", ())],
    "legacy": [Attempt("legacy", ALL), Attempt("legacy", BATCH), Attempt("legacy", ())],
    "dynamo": [Attempt("dynamo", ALL), Attempt("dynamo", BATCH), Attempt("dynamo", ())],
}


@dataclass(frozen=True)
class Exported:
    """An exported file: how it came about and how near it is to the trained network."""

    path: Path
    attempt: Attempt
    parity: Sequence[Parity]
    seconds: float
    failed: Sequence[str]


def export_model(
    registry: Registry, model: ModelFile, recipe: Recipe, output: Path, *, exporter: str = "auto"
) -> Exported:
    """Export a trained network; the file gets its name only once it gives the network's logits at several shapes.

    Where that fails with all dimensions free, fewer are: first the size of the input is fixed, then the batch too.

    Raises:
        PluginError: no attempt gave the network's logits, or the architecture says that none will.
        ResourceError: the disk is full. DataError: the folder cannot be written.
    """
    start = time.time()
    architecture = recipe.architecture.provided.component
    assert isinstance(architecture, Architecture)  # noqa: S101  (the catalog keeps kinds apart)
    if not architecture.exports_onnx:
        raise PluginError("export", f"{recipe.architecture.provided.describe()} says that ONNX cannot express it")
    network = trained_network(registry.catalog, recipe, model)
    shapes = check_shapes(model.spec, recipe)
    torch.manual_seed(0)
    wanted = [Vectors(image, _logits(network, image)) for image in map(_noise, shapes)]
    if architecture.export_rewrites:
        network = registry.catalog.load_target(recipe.architecture.provided, architecture.export_rewrites)(network)
    failed: list[str] = []
    for attempt in ATTEMPTS[exporter]:
        usable = _usable(wanted, attempt)
        try:
            content = _converted(network, usable[0].image, attempt)
            parity = _parity(content, usable)
        except Exception as error:  # noqa: BLE001  (exporters raise what they like)
            failed.append(f"{attempt}: {_first_line(error)}")
            log.info("export: %s", failed[-1])
            continue
        if all(item.good for item in parity):
            spec = model.spec if attempt.free == ALL else replace(model.spec, window=usable[0].image.shape[2:])
            metadata = _metadata(registry, model, spec, attempt, parity, usable[0])
            _write(content, metadata, usable[0], output)
            return Exported(output, attempt, parity, time.time() - start, failed)
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
    step = spec.divisor
    window = recipe.data.window if isinstance(recipe.data.window, tuple) else ()
    least = max(spec.min_size, _LEAST)
    first = -(-least // step) * step
    height, width = window or (first, first + step)
    shapes = [(2, height, width), (1, first + 2 * step, first), (3, first, first + 3 * step)]
    return [(batch, spec.in_channels, height, width) for batch, height, width in shapes]


def _noise(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return torch.randn(shape).numpy()


def _logits(network: nn.Module, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(image)).numpy(), np.float32)


def _usable(wanted: Sequence[Vectors], attempt: Attempt) -> list[Vectors]:
    """Return the vectors that a file with these free dimensions takes."""
    first = wanted[0]
    if attempt.free == ALL:
        return list(wanted)
    if attempt.free == BATCH:
        return [first, Vectors(first.image[:1], first.logits[:1])]
    return [Vectors(first.image[:1], first.logits[:1])]


def _converted(network: nn.Module, image: np.ndarray[Any, Any], attempt: Attempt) -> bytes:
    """Return the ONNX file, stripped of paths and traces."""
    tensor = torch.from_numpy(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        convert = _legacy if attempt.exporter == "legacy" else _dynamo
        return _stripped(convert(network, tensor, attempt))


def _legacy(network: nn.Module, image: torch.Tensor, attempt: Attempt) -> bytes:
    buffer = io.BytesIO()
    names = {number: name for number, name in {0: "batch", **_SPATIAL}.items() if name in attempt.free}
    torch.onnx.export(
        network,
        (image,),
        buffer,  # type: ignore[arg-type]  # files are taken too
        dynamo=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes={INPUT: names, OUTPUT: names} if names else None,
        opset_version=OPSET,
    )
    return buffer.getvalue()


def _dynamo(network: nn.Module, image: torch.Tensor, attempt: Attempt) -> bytes:
    names = {number: name for number, name in {0: "batch", **_SPATIAL}.items() if name in attempt.free}
    program = torch.onnx.export(
        network,
        (image,),
        dynamo=True,
        input_names=[INPUT],
        output_names=[OUTPUT],
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


def _parity(content: bytes, wanted: Sequence[Vectors]) -> list[Parity]:
    from onnxruntime import InferenceSession

    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    return [
        compare(vectors.image.shape, session.run(None, {INPUT: vectors.image})[0], vectors.logits) for vectors in wanted
    ]


def _metadata(
    registry: Registry, model: ModelFile, spec: ModelSpec, attempt: Attempt, parity: Sequence[Parity], vectors: Vectors
) -> dict[str, str]:
    """Return the documents that the file carries: spec, recipe, how it was made, and what plugins add."""
    made = {
        "model_id": model.id,
        "exporter": attempt.exporter,
        "opset": OPSET,
        "free": list(attempt.free),
        "precision": "float32",
        "parity": [asdict(item) for item in parity],
        "vectors_sha256": vectors.sha256,
        "volseg": own_version(),
        "torch": torch.__version__,
        **{name: version for name in LIBRARIES if (version := installed_version(name))},
    }
    info = RunInfo(model.path.parent, str(model.recipe.get("name", "")), model.recipe)
    added = {
        f"{plugin}.{key}": str(value)
        for plugin, result in registry.plugins.call("volseg_export_metadata", run=info)
        for key, value in _mapping(result).items()
    }
    return {
        SPEC_KEY: json.dumps(spec.to_dict()),
        RECIPE_KEY: json.dumps(model.recipe),
        EXPORT_KEY: json.dumps(made),
        **added,
    }


def _mapping(result: Any) -> Mapping[str, Any]:
    return result if isinstance(result, dict) else {}


def _write(content: bytes, metadata: Mapping[str, str], vectors: Vectors, path: Path) -> None:
    import onnx

    proto = onnx.load_from_string(content)
    proto.producer_name, proto.producer_version = "volseg", own_version()
    onnx.helper.set_model_props(proto, dict(metadata))
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        part.write_bytes(proto.SerializeToString())
        write_vectors(vectors, vectors_path(path))
        part.replace(path)
    except OSError as error:
        kind: Callable[..., VolsegError] = ResourceError if error.errno in (28, 122) else DataError  # disk full, quota
        raise kind(str(path), f"cannot be written ({error.strerror})", "Choose another -o.") from None
    finally:
        part.unlink(missing_ok=True)


def _first_line(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:_ANSI]}"

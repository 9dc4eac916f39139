"""Writing an exported file: the network with the documents that say what it is, and its test vectors beside it."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from volseg_core.api import RunInfo
from volseg_core.errors import DataError, ResourceError
from volseg_core.exporting.vectors import vectors_path, write_vectors
from volseg_core.model import EXPORT_KEY, RECIPE_KEY, SPEC_KEY
from volseg_core.provenance import installed_version, own_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from volseg_core.exporting.convert import Attempt
    from volseg_core.exporting.vectors import Parity, Vectors
    from volseg_core.model import ModelFile
    from volseg_core.registry import Registry

LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu")
_FULL = (28, 122)  # disk, quota


def made(attempt: Attempt, opset: int, parity: Sequence[Parity], vectors: Vectors) -> dict[str, Any]:
    """Return how a file was exported."""
    return {
        "exporter": attempt.exporter,
        "opset": opset,
        "free": list(attempt.free),
        "precision": parity[0].precision,
        "parity": [asdict(item) for item in parity],
        "vectors_sha256": vectors.sha256,
        "volseg": own_version(),
        **{name: version for name in LIBRARIES if (version := installed_version(name))},
    }


def documents(registry: Registry, model: ModelFile, export: Mapping[str, Any]) -> dict[str, str]:
    """Return what the file carries: spec, recipe, how it was exported, and what plugins add."""
    info = RunInfo(model.path.parent, str(model.recipe.get("name", "")), model.recipe)
    added = {
        f"{plugin}.{key}": str(value)
        for plugin, result in registry.plugins.call("volseg_export_metadata", run=info)
        for key, value in (result if isinstance(result, dict) else {}).items()
    }
    return {
        SPEC_KEY: json.dumps(model.spec.to_dict()),
        RECIPE_KEY: json.dumps(model.recipe),
        EXPORT_KEY: json.dumps({"model_id": model.id, **export}),
        **added,
    }


def write_exported(content: bytes, metadata: Mapping[str, str], vectors: Vectors, path: Path) -> None:
    """Write a file and its vectors, both complete or absent.

    Raises:
        ResourceError: the disk is full. DataError: the folder cannot be written.
    """
    import onnx

    proto = onnx.load_from_string(content)
    proto.producer_name, proto.producer_version = "volseg", own_version()
    onnx.helper.set_model_props(proto, dict(metadata))
    with replacing(path) as part:
        part.write_bytes(proto.SerializeToString())
        write_vectors(vectors, vectors_path(path))


@contextmanager
def replacing(path: Path, option: str = "-o") -> Iterator[Path]:
    """Give a temporary name beside ``path``, which the file or folder gets when everything went well.

    Raises:
        ResourceError: the disk is full. DataError: the folder cannot be written; ``option`` chooses another.
    """
    part, old = (path.with_name(f".{path.name}.{word}-{os.getpid()}") for word in ("part", "old"))
    try:
        yield part
        if part.is_dir() and path.is_dir():  # a folder is replaced in two steps
            path.rename(old)
        part.replace(path)
    except OSError as error:
        kind = ResourceError if error.errno in _FULL else DataError
        raise kind(str(path), f"cannot be written ({error.strerror})", f"Choose another {option}.") from None
    finally:
        for left in (part, old):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)

"""Reading and replaying exported models; neither torch nor ONNX is needed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError
from volseg_core.exporting.foreign import check_channels
from volseg_core.exporting.header import check_safe, read_header
from volseg_core.exporting.loss import Loss
from volseg_core.exporting.vectors import FLOAT32, TOLERANCES, Parity, compare, read_vectors, vectors_path
from volseg_core.machine import thread_count
from volseg_core.model import EXPORT_KEY, EXPORTED, ModelFile, documents

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.catalog import Catalog
    from volseg_core.recipe import Recipe

log = logging.getLogger("volseg")


def read_exported(path: Path) -> ModelFile:
    """Return what an ONNX file of volseg says about itself.

    Raises:
        DataError: it is not ONNX, not safe to load, was not made by volseg, or its channels are not those of its spec.
    """
    header = read_header(path)
    check_safe(header, path)
    spec, recipe, export = documents(header.metadata, path, exported=True)
    check_channels(header, spec, path)
    return ModelFile(path, spec, recipe, str(export.get("model_id", "")), export)


def exported_path(model: ModelFile) -> Path | None:
    """Return the exported file of a model: itself, or the one in its run folder that gives the same labels.

    That is one of the same weights, in float32: less precision is for those who name the file.
    """
    if model.export:
        return model.path
    beside = model.path.with_name(EXPORTED)
    if not beside.is_file():
        return None
    found = read_exported(beside)
    if found.id != model.id:
        log.warning("%s holds other weights than %s and is not used; export again", beside, model.path.name)
        return None
    precision = found.export.get("precision")
    if precision != FLOAT32:
        log.info("%s is in %s and not used for the run; predict with it by its name", beside, precision)
        return None
    return beside


def replay(catalog: Catalog, model: ModelFile, recipe: Recipe, device: str = "auto") -> tuple[Parity, str]:
    """Run the test vectors of an exported model; return the parity and the device that ran them.

    Raises:
        DataError: the model is not an exported one, or its vectors are missing or others.
    """
    if not model.export:
        raise DataError(str(model.path), "is not an exported model", "Export it first: volseg export RUN")
    precision = str(model.export.get("precision", ""))
    if precision not in TOLERANCES:
        raise DataError(str(model.path), f"has the precision {precision!r}, unknown to this volseg", "Update volseg.")
    vectors = read_vectors(vectors_path(model.path), str(model.export.get("vectors_sha256", "")))
    context = {"network": None, "model": model.path, "device": device, "threads": thread_count()}
    runtime = catalog.build(recipe.runtime.provided, recipe.runtime.params, context)
    found: Any = runtime.run(np.ascontiguousarray(vectors.image))
    logits = np.asarray(found.get() if hasattr(found, "get") else found.cpu() if hasattr(found, "cpu") else found)
    return compare(vectors.image.shape, logits, vectors.logits, precision), str(runtime.device)


def describe_export(model: ModelFile) -> dict[str, Any]:
    """Return the facts of an export for people.

    Raises:
        DataError: they are damaged.
    """
    try:
        return _facts(model.export)
    except (KeyError, TypeError, ValueError) as error:
        what = f"has a damaged {EXPORT_KEY} ({type(error).__name__}: {error})"
        raise DataError(str(model.path), what) from None


def _facts(export: Mapping[str, Any]) -> dict[str, Any]:
    parity = [Parity(tuple(item["shape"]), item["difference"], item["agreement"]) for item in export["parity"]]
    facts = {
        "exporter": f"{export['exporter']}, opset {export['opset']}, torch {export['torch']}",
        "free sizes": ", ".join(export["free"]) or "none",
        "precision": export["precision"],
        "parity": "; ".join(item.describe() for item in parity),
    }
    if export["precision"] != FLOAT32:
        facts["lost"] = Loss.from_dict(export["loss"]).describe() if "loss" in export else "not measured"
    return facts

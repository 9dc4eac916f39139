"""A model package of bioimage.io: description, weights, test tensors and a page for people, in one zip.

The description follows version 0.5.12 of the specification (https://bioimage.io); it is written here, since the
package that checks it, ``bioimageio.spec``, is tied to versions of others that volseg is not.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from volseg_core.exporting.convert import INPUT, output_names
from volseg_core.exporting.packages.choice import BIOIMAGEIO
from volseg_core.exporting.packages.page import axes, channel_names, made_of, page, resampling, seen
from volseg_core.exporting.packages.steps import network_values, postprocessing, preprocessing, raw_values, results
from volseg_core.exporting.vectors import FLOAT32, SPATIAL, read_vectors, vectors_path
from volseg_core.exporting.writing import replacing
from volseg_core.tasks import PROBABILITIES, VALUES
from volseg_core.volume import SLICES, View

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_core.model import HeadSpec, ModelFile, ModelSpec

    Array = np.ndarray[Any, np.dtype[np.float32]]

FORMAT = "0.5.12"
DESCRIPTION, WEIGHTS, PAGE, TEST_INPUT = "rdf.yaml", "weights.onnx", "README.md", "test_input.npy"
_NAME = 128
_UNITS = {
    **dict.fromkeys(("um", "µm", "μm", "micron"), "micrometer"),
    "nm": "nanometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
}
"""Names of units by how files spell them."""
_PIECE = 1 << 20


def write_bioimageio(model: ModelFile, path: Path) -> None:
    """Write the package of an exported file.

    Its test tensors are the input of the file's vectors and the results that this file makes of it, head by head.

    Raises:
        DataError: the vectors are missing, or the folder cannot be written. ResourceError: the disk is full.
    """
    vectors = read_vectors(vectors_path(model.path), str(model.export["vectors_sha256"]))
    image = raw_values(vectors.image, model.spec)
    texts = {PAGE: page(model).encode(), TEST_INPUT: _npy(image)}
    logits = _logits(model, network_values(image, model.spec))
    for head, found in zip(model.spec.heads, logits, strict=True):
        texts[_test_output(head)] = _npy(results(head, found))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in texts.items()}
    rdf = description(model, {**hashes, WEIGHTS: _sha256(model.path)}, image.shape)
    texts[DESCRIPTION] = yaml.safe_dump(rdf, sort_keys=False, allow_unicode=True).encode()
    with replacing(path, BIOIMAGEIO) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in texts.items():
            package.writestr(name, content)
        package.write(model.path, WEIGHTS)


def description(model: ModelFile, hashes: dict[str, str], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the description; what volseg cannot know (authors, licence, citation) is left to the page to ask for."""
    spec, letters = model.spec, axes(model.spec)
    return {
        "format_version": FORMAT,
        "type": "model",
        "name": _title(model),
        "description": f"Makes {made_of(spec)} of {seen(spec)}."[:512],
        "documentation": _file(PAGE, hashes),
        "tags": ["segmentation", f"{spec.dims}d", "volseg", "onnx"],
        "inputs": [
            {
                "id": INPUT,
                "axes": [
                    _batch(model),
                    _channels([f"channel{number}" for number in range(spec.in_channels)]),
                    *(_space(model, axis, size) for axis, size in zip(letters, shape[2:], strict=True)),
                ],
                "test_tensor": _file(TEST_INPUT, hashes),
                "data": {"type": "float32"},
                "preprocessing": preprocessing(spec),
            }
        ],
        "outputs": [_output(model, head, hashes) for head in spec.heads],
        "weights": {"onnx": {**_file(WEIGHTS, hashes), "opset_version": model.export["opset"]}},
        "config": {
            "bioimageio": {"reproducibility_tolerance": _tolerance(model)},
            "volseg": {"model_id": model.id, "resample": resampling(model), "spec": spec.to_dict()},
        },
    }


def _output(model: ModelFile, head: HeadSpec, hashes: dict[str, str]) -> dict[str, Any]:
    names = [_identifier(name, index) for index, name in channel_names(head)]
    sizes = (
        {"type": "space", "id": axis, "size": {"tensor_id": INPUT, "axis_id": axis}, **_scale(model.spec, axis)}
        for axis in axes(model.spec)
    )
    return {
        "id": head.name or (VALUES if head.task == "regression" else PROBABILITIES),
        "axes": [_batch(model), _channels(names), *sizes],
        "test_tensor": _file(_test_output(head), hashes),
        "data": {"type": "float32"},
        "postprocessing": postprocessing(head),
    }


def _test_output(head: HeadSpec) -> str:
    return f"test_output_{head.name}.npy" if head.name else "test_output.npy"


def _logits(model: ModelFile, batch: Array) -> list[Array]:
    """Return the logits (N, K, *S) of every head."""
    from onnxruntime import InferenceSession

    session = InferenceSession(model.path.read_bytes(), providers=["CPUExecutionProvider"])
    return list(session.run(output_names(model.spec), {INPUT: batch}))


def _batch(model: ModelFile) -> dict[str, Any]:
    return {"type": "batch"} if "batch" in model.export["free"] else {"type": "batch", "size": 1}


def _channels(names: list[str]) -> dict[str, Any]:
    return {"type": "channel", "id": "channel", "channel_names": names}


def _space(model: ModelFile, axis: str, size: int) -> dict[str, Any]:
    scale = _scale(model.spec, axis)
    if SPATIAL["zyx".index(axis)] not in model.export["free"]:
        return {"type": "space", "id": axis, "size": size, **scale}
    rule, number = model.spec.sizes, axes(model.spec).index(axis)
    least = rule.padded((1,) * rule.dims)[number]
    return {"type": "space", "id": axis, "size": {"min": least, "step": rule.divisor[number]}, **scale}


def _scale(spec: ModelSpec, axis: str) -> dict[str, Any]:
    """Return unit and spacing of an axis, nothing where they are unknown or slices along several axes differ."""
    unit = _UNITS.get(spec.unit.strip().lower())
    if spec.spacing is None or unit is None:
        return {}
    if spec.dims != SLICES:
        return {"unit": unit, "scale": spec.spacing["zyx".index(axis)]}
    edges = {spec.spacing[View.parse(letter).order[1 + "yx".index(axis)]] for letter in spec.axes}
    return {"unit": unit, "scale": edges.pop()} if len(edges) == 1 else {}


def _tolerance(model: ModelFile) -> list[dict[str, Any]]:
    """Return how far other machines may be off; in less precision rounding differs from kernel to kernel."""
    if model.export["precision"] == FLOAT32:
        return [{"relative_tolerance": 1e-3, "absolute_tolerance": 1e-3}]
    return [{"relative_tolerance": 1e-2, "absolute_tolerance": 1e-3, "mismatched_elements_per_million": 1000}]


def _file(name: str, hashes: dict[str, str]) -> dict[str, str]:
    return {"source": name, "sha256": hashes[name]}


def _title(model: ModelFile) -> str:
    """Return a name of the letters that are allowed."""
    words = f"volseg {model.recipe.get('name', '')} {model.path.stem} {model.id[:8]}"
    return " ".join(re.sub(r"[^A-Za-z0-9_+\- ()]", " ", words).split())[:_NAME]


def _identifier(name: str, index: int) -> str:
    """Return a class name as an identifier; the names themselves stand in the page and under config.volseg."""
    return name if name.isidentifier() else f"channel{index}_{re.sub(r'[^A-Za-z0-9]', '_', name)}"


def _npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array, np.float32), allow_pickle=False)
    return buffer.getvalue()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()

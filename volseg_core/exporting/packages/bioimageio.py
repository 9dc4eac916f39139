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

from volseg_core.exporting.convert import INPUT, OUTPUT
from volseg_core.exporting.packages.choice import BIOIMAGEIO
from volseg_core.exporting.packages.page import page
from volseg_core.exporting.vectors import FLOAT32, read_vectors, vectors_path
from volseg_core.exporting.writing import replacing
from volseg_core.prediction.segment import softmax
from volseg_core.volume.normalise import Normaliser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from volseg_core.model import ModelFile, ModelSpec

    Array = np.ndarray[Any, np.dtype[np.float32]]

FORMAT = "0.5.12"
DESCRIPTION, WEIGHTS, PAGE, TEST_INPUT, TEST_OUTPUT = (
    "rdf.yaml", "weights.onnx", "README.md", "test_input.npy", "test_output.npy",
)  # fmt: skip
_NAME = 128
_PIECE = 1 << 20


def write_bioimageio(model: ModelFile, path: Path) -> None:
    """Write the package of an exported file.

    Its test tensors are the input of the file's vectors and the probabilities that this file makes of it.

    Raises:
        DataError: the vectors are missing, or the folder cannot be written. ResourceError: the disk is full.
    """
    vectors = read_vectors(vectors_path(model.path), str(model.export["vectors_sha256"]))
    image = raw_values(vectors.image, model.spec)
    texts = {
        PAGE: page(model).encode(),
        TEST_INPUT: _npy(image),
        TEST_OUTPUT: _npy(_probabilities(model, network_values(image, model.spec))),
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in texts.items()}
    rdf = description(model, {**hashes, WEIGHTS: _sha256(model.path)}, image.shape)
    texts[DESCRIPTION] = yaml.safe_dump(rdf, sort_keys=False, allow_unicode=True).encode()
    with replacing(path, BIOIMAGEIO) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in texts.items():
            package.writestr(name, content)
        package.write(model.path, WEIGHTS)


def description(model: ModelFile, hashes: dict[str, str], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the description; what volseg cannot know (authors, licence, citation) is left to the page to ask for."""
    spec = model.spec
    head = spec.heads[0]
    names = [_identifier(name, index) for index, name in enumerate(head.classes.names)][-spec.out_channels :]
    return {
        "format_version": FORMAT,
        "type": "model",
        "name": _title(model),
        "description": f"Segments slices into {', '.join(head.classes.names)}."[:512],
        "documentation": _file(PAGE, hashes),
        "tags": ["segmentation", "2d", "volseg", "onnx"],
        "inputs": [
            {
                "id": INPUT,
                "axes": [
                    _batch(model),
                    _channels([f"channel{number}" for number in range(spec.in_channels)]),
                    *(_space(model, axis, size) for axis, size in zip("yx", shape[2:], strict=True)),
                ],
                "test_tensor": _file(TEST_INPUT, hashes),
                "data": {"type": "float32"},
                "preprocessing": preprocessing(spec),
            }
        ],
        "outputs": [
            {
                "id": "probabilities",
                "axes": [
                    _batch(model),
                    _channels(names),
                    *({"type": "space", "id": axis, "size": {"tensor_id": INPUT, "axis_id": axis}} for axis in "yx"),
                ],
                "test_tensor": _file(TEST_OUTPUT, hashes),
                "data": {"type": "float32"},
                "postprocessing": [{"id": "sigmoid"} if head.task == "binary" else _step("softmax", axis="channel")],
            }
        ],
        "weights": {"onnx": {**_file(WEIGHTS, hashes), "opset_version": model.export["opset"]}},
        "config": {
            "bioimageio": {"reproducibility_tolerance": _tolerance(model)},
            "volseg": {"model_id": model.id, "spec": spec.to_dict()},
        },
    }


def preprocessing(spec: ModelSpec) -> list[dict[str, Any]]:
    """Return the steps of the normalisation, with statistics of the input instead of the volume.

    The slices that a network with neighbours sees are pooled, as they are one channel of the volume; of several
    channels each slice counts by itself. bioimageio.core measures mean and deviation before the first step, on values
    that are not clipped yet.
    """
    low, high = spec.normalisation.clip
    pooled = ("channel", "y", "x") if spec.volume_channels == 1 else ("y", "x")
    percentiles = {"min_percentile": low, "max_percentile": high}
    if spec.normalisation.kind == "none":
        return []
    if spec.normalisation.kind == "range":
        gain = 2 / (high - low)
        return [_step("clip", min=low, max=high), _step("scale_linear", gain=gain, offset=-1 - low * gain)]
    if spec.normalisation.kind == "percentile":
        return [_step("scale_range", axes=list(pooled), **percentiles), _step("clip", min=0.0, max=1.0)]
    return [_step("clip", axes=list(pooled), **percentiles), _step("zero_mean_unit_variance", axes=list(pooled))]


def _step(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"id": name, "kwargs": kwargs}


def raw_values(image: Array, spec: ModelSpec) -> Array:
    """Return noise as values of a volume: spread over a fixed range, else without outliers.

    Without them it makes no difference whether statistics are taken before or after clipping.
    """
    low, high = spec.normalisation.clip
    if spec.normalisation.kind == "range":
        return (low + (image + 1) / 2 * (high - low)).astype(np.float32)
    return image if spec.normalisation.kind == "none" else _by_volume(image, spec, Normaliser.unit)


def network_values(image: Array, spec: ModelSpec) -> Array:
    """Return what the network sees of images (N, C, H, W), each normalised by itself as a volume is."""
    return _by_volume(image, spec, Normaliser.__call__)


def _by_volume(image: Array, spec: ModelSpec, of: Callable[[Normaliser, Array], Array]) -> Array:
    channels = 1 if spec.volume_channels == 1 else spec.in_channels
    volumes = [sample.reshape(channels, -1, *sample.shape[1:]) for sample in image]
    return np.stack([of(spec.normalisation.fit(volume), volume) for volume in volumes]).reshape(image.shape)


def _probabilities(model: ModelFile, batch: Array) -> Array:
    from onnxruntime import InferenceSession

    session = InferenceSession(model.path.read_bytes(), providers=["CPUExecutionProvider"])
    logits = session.run([OUTPUT], {INPUT: batch})[0]
    found: Array = 1 / (1 + np.exp(-logits)) if model.spec.heads[0].task == "binary" else softmax(logits)
    return found


def _batch(model: ModelFile) -> dict[str, Any]:
    return {"type": "batch"} if "batch" in model.export["free"] else {"type": "batch", "size": 1}


def _channels(names: list[str]) -> dict[str, Any]:
    return {"type": "channel", "id": "channel", "channel_names": names}


def _space(model: ModelFile, axis: str, size: int) -> dict[str, Any]:
    if {"y": "height", "x": "width"}[axis] not in model.export["free"]:
        return {"type": "space", "id": axis, "size": size}
    rule, number = model.spec.sizes, "yx".index(axis)
    return {"type": "space", "id": axis, "size": {"min": rule.padded((1, 1))[number], "step": rule.divisor[number]}}


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
    return name if name.isidentifier() else f"class{index}_{re.sub(r'[^A-Za-z0-9]', '_', name)}"


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

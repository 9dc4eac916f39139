"""The trained model as data: what a file must say so that weights alone can be used; safetensors, never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from volseg_core.errors import DataError
from volseg_core.volume import ClassMap, ClassName, Normalisation

SPEC_VERSION = 1
WEIGHTS = "weights.safetensors"
_SPEC_KEY, _RECIPE_KEY = "volseg.spec", "volseg.recipe"
_MAX_HEADER = 64 * 1024 * 1024
_PICKLES = (b"\x80", b"PK\x03\x04")


@dataclass(frozen=True)
class ModelSpec:
    """The contract of a trained network: what goes in, what comes out and how to prepare it."""

    task: str
    in_channels: int
    classes: ClassMap
    normalisation: Normalisation
    axes: str
    divisor: int
    min_size: int
    dims: int = 2
    window: tuple[int, ...] = ()
    spacing: tuple[float, float, float] | None = None
    unit: str = ""
    made_with: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain data (``volseg.spec``)."""
        content = asdict(self)
        content["classes"] = [asdict(item) for item in self.classes.classes]
        content["ignore"] = list(self.classes.ignore)
        return {"spec_version": SPEC_VERSION, **content}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], where: str) -> ModelSpec:
        """Return the spec of a model file.

        Raises:
            DataError: keys are missing or wrong, or the spec is newer than this volseg.
        """
        version = content.get("spec_version")
        if version != SPEC_VERSION:
            raise DataError(where, f"has spec version {version!r}; this volseg reads {SPEC_VERSION}", "Update volseg.")
        try:
            classes = tuple(ClassName(int(item["id"]), str(item["name"])) for item in content["classes"])
            spacing = content["spacing"]
            return cls(
                task=str(content["task"]),
                in_channels=int(content["in_channels"]),
                classes=ClassMap(classes, tuple(int(item) for item in content["ignore"])),
                normalisation=Normalisation(
                    str(content["normalisation"]["kind"]), tuple(map(float, content["normalisation"]["clip"]))  # type: ignore[arg-type]
                ),
                axes=str(content["axes"]),
                divisor=int(content["divisor"]),
                min_size=int(content["min_size"]),
                dims=int(content["dims"]),
                window=tuple(map(int, content["window"])),
                spacing=None if spacing is None else tuple(map(float, spacing)),  # type: ignore[arg-type]
                unit=str(content["unit"]),
                made_with=dict(content["made_with"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(where, f"has a damaged volseg.spec ({type(error).__name__}: {error})") from None


@dataclass(frozen=True)
class ModelFile:
    """A model on disk: its spec, the recipe it was trained with, and where its tensors are."""

    path: Path
    spec: ModelSpec
    recipe: Mapping[str, Any]
    id: str


def find_weights(path: Path) -> Path:
    """Return the weights file of a run folder or of the file itself.

    Raises:
        DataError: it does not exist, or is a folder without weights.
    """
    if path.is_dir():
        weights = path / WEIGHTS
        if not weights.is_file():
            raise DataError(str(path), f"is not a finished run: it holds no {WEIGHTS}", "Train first, or name the file.")
        return weights
    if not path.exists():
        raise DataError(str(path), "does not exist")
    return path


def read_model(path: Path | str) -> ModelFile:
    """Read what a model file says about itself; no tensor is loaded and nothing is executed.

    Raises:
        DataError: missing, truncated, a pickle, or not made by volseg.
    """
    weights = find_weights(Path(path))
    header, length = read_header(weights)
    metadata = header.get("__metadata__", {})
    if _SPEC_KEY not in metadata or _RECIPE_KEY not in metadata:
        raise DataError(str(weights), "was not made by volseg: it carries no volseg.spec")
    try:
        spec, recipe = json.loads(metadata[_SPEC_KEY]), json.loads(metadata[_RECIPE_KEY])
    except json.JSONDecodeError:
        raise DataError(str(weights), "has a damaged volseg.spec or volseg.recipe") from None
    return ModelFile(weights, ModelSpec.from_dict(spec, str(weights)), recipe, tensors_sha256(weights, length))


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the JSON header of a safetensors file and its length in bytes.

    Raises:
        DataError: the file is a pickle, truncated or something else.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            if start.startswith(_PICKLES) and not _plausible(start, size):
                raise DataError(
                    str(path), "is a pickle or archive, which can run code when loaded; refused",
                    "Give a volseg run folder or a .safetensors file.",
                )
            if len(start) < 8 or not _plausible(start, size):  # noqa: PLR2004
                raise DataError(str(path), "is not a safetensors file, or is truncated")
            (length,) = struct.unpack("<Q", start)
            header = json.loads(file.read(length))
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror})") from None
    except ValueError:
        raise DataError(str(path), "is not a safetensors file: its header is damaged") from None
    if not isinstance(header, dict):
        raise DataError(str(path), "is not a safetensors file: its header is damaged")
    ends = [int(item["data_offsets"][1]) for name, item in header.items() if name != "__metadata__"]
    if 8 + length + max(ends, default=0) != size:
        raise DataError(str(path), "is truncated: it ends before its last tensor")
    return header, length


def _plausible(start: bytes, size: int) -> bool:
    if len(start) < 8:  # noqa: PLR2004
        return False
    (length,) = struct.unpack("<Q", start)
    return bool(0 < length <= min(size - 8, _MAX_HEADER))


def tensors_sha256(path: Path, header_length: int) -> str:
    """Return the model id: sha256 of the tensors' bytes, whatever the metadata says."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(8 + header_length)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write_model(path: Path, tensors: Mapping[str, Any], spec: ModelSpec, recipe: Mapping[str, Any]) -> str:
    """Write tensors (torch) with spec and recipe under a temporary name, rename, and return the model id."""
    from safetensors.torch import save_file

    metadata = {_SPEC_KEY: json.dumps(spec.to_dict()), _RECIPE_KEY: json.dumps(recipe)}
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, part, metadata)
    part.replace(path)
    _, length = read_header(path)
    return tensors_sha256(path, length)

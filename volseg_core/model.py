"""The trained model as data: what a file must say so that weights alone can be used; safetensors, never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.errors import DataError, ResourceError, UsageError
from volseg_core.tasks import CLASS_TASKS, VALUE_TASKS, array_name
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule

if TYPE_CHECKING:
    from collections.abc import Mapping

SPEC_VERSION = 1
WEIGHTS = "weights.safetensors"
EXPORTED = "model.onnx"
"""Where a run keeps its exported model."""
SPEC_KEY, RECIPE_KEY, EXPORT_KEY = "volseg.spec", "volseg.recipe", "volseg.export"
"""Keys of the documents that a model file carries; the last one only if it was exported."""
_LENGTH_BYTES = 8
_MAX_HEADER = 64 * 1024 * 1024
_PICKLES = (b"\x80", b"PK\x03\x04")


@dataclass(frozen=True)
class HeadSpec:
    """One result of a network: its task, and its classes, or channels by name.

    The only head of a network has no name. A regression learns values less ``offset``, divided by ``scale``, each of a
    channel: so many that its labels are in their own unit; without them values are as they come. Channels of a
    ``directed`` head belong to directions of the axes that the network sees.
    """

    task: str
    classes: ClassMap
    name: str = ""
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    directed: bool = False

    @property
    def of_classes(self) -> bool:
        """Whether the result is one class for every voxel."""
        return self.task in CLASS_TASKS

    @property
    def channels(self) -> int:
        """Channels of the network's output: one of a binary task, else one for each class or value."""
        return 1 if self.task == "binary" else len(self.classes)

    @property
    def title(self) -> str:
        """What the names of its classes or channels are told as: ``classes``, or ``cells multilabel``."""
        return " ".join(filter(None, (self.name, "classes" if self.of_classes else self.task)))

    def describe(self) -> str:
        """Return its classes with their ids, or the names of its channels, for people."""
        return self.classes.describe() if self.of_classes else ", ".join(self.classes.names)

    def array(self, name: str) -> str:
        """Return what an array of this head is called in a prediction."""
        return array_name(self.name, name)

    def to_dict(self) -> dict[str, Any]:
        """Return the head as plain data."""
        classes = [asdict(item) for item in self.classes.classes]
        scaling = {"offset": list(self.offset), "scale": list(self.scale)} if self.scale else {}
        name = {"name": self.name} if self.name else {}
        rest = {**scaling, **({"directed": True} if self.directed else {})}
        return {**name, "task": self.task, "classes": classes, "ignore": list(self.classes.ignore), **rest}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> HeadSpec:
        """Return the head of plain data; raises what wrong data raises."""
        classes = tuple(ClassName(int(item["id"]), str(item["name"])) for item in content["classes"])
        offset, scale = (tuple(map(float, content.get(key, ()))) for key in ("offset", "scale"))
        names = ClassMap(classes, tuple(int(item) for item in content["ignore"]))
        directed = bool(content.get("directed", False))
        head = cls(str(content["task"]), names, str(content.get("name", "")), offset, scale, directed)
        if head.task not in (*CLASS_TASKS, *VALUE_TASKS) or {len(offset), len(scale)} not in ({0}, {len(classes)}):
            message = f"a head of task {head.task!r} with {len(offset)} offsets and {len(scale)} scales"
            raise ValueError(message)
        return head


@dataclass(frozen=True)
class ModelSpec:
    """The contract of a trained network: what goes in, what comes out and how to prepare it.

    ``in_channels`` are the network's: those of a volume times the ``2 neighbours + 1`` slices that it sees at once. Its
    output has the channels of all ``heads`` one after the other. A model of several ``members`` holds networks alike
    whose results are averaged.
    """

    heads: tuple[HeadSpec, ...]
    in_channels: int
    normalisation: Normalisation
    axes: str
    sizes: SizeRule
    neighbours: int = 0
    members: int = 1
    window: tuple[int, ...] = ()
    spacing: tuple[float, float, float] | None = None
    unit: str = ""
    made_with: Mapping[str, str] = field(default_factory=dict)

    @property
    def dims(self) -> int:
        """Dimensions of what the network sees: 2 for slices, 3 for boxes."""
        return self.sizes.dims

    @property
    def volume_channels(self) -> int:
        """Channels of a volume that the network segments."""
        return self.in_channels // (2 * self.neighbours + 1)

    @property
    def out_channels(self) -> int:
        """Channels of the network's output: those of all heads."""
        return sum(head.channels for head in self.heads)

    @property
    def parts(self) -> list[slice]:
        """The channels of each head in the network's output."""
        ends = list(accumulate(head.channels for head in self.heads))
        return [slice(end - head.channels, end) for head, end in zip(self.heads, ends, strict=True)]

    def only_classes(self, where: str) -> HeadSpec:
        """Return the only head, which gives classes.

        Raises:
            UsageError: there are several heads, or it gives none; ``where`` says what needs it.
        """
        head = self.heads[0]
        if len(self.heads) > 1 or not head.of_classes:
            has = f"has {len(self.heads)} heads" if len(self.heads) > 1 else f"has task {head.task}"
            raise UsageError(where, f"is for networks that give one class for every voxel; this one {has}")
        return head

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain data (``volseg.spec``): keys of an only head stand at its top."""
        content = asdict(self)
        del content["heads"], content["sizes"]
        content |= {"dims": self.dims, "divisor": list(self.sizes.divisor), "min_size": list(self.sizes.least)}
        only = len(self.heads) == 1 and not self.heads[0].name
        heads = self.heads[0].to_dict() if only else {"heads": [head.to_dict() for head in self.heads]}
        return {"spec_version": SPEC_VERSION, **heads, **content}

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
            low, high = map(float, content["normalisation"]["clip"])
            first, *others = map(HeadSpec.from_dict, content.get("heads", [content]))
            return cls(
                heads=(first, *others),
                in_channels=int(content["in_channels"]),
                normalisation=Normalisation(str(content["normalisation"]["kind"]), (low, high)),
                axes=str(content["axes"]),
                sizes=_sizes(content),
                neighbours=int(content["neighbours"]),
                members=int(content["members"]),
                window=tuple(map(int, content["window"])),
                spacing=_spacing(content["spacing"]),
                unit=str(content["unit"]),
                made_with=dict(content["made_with"]),
            )
        except DataError as error:
            raise DataError(where, f"has a damaged volseg.spec ({error.where}: {error.what})") from None
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(where, f"has a damaged volseg.spec ({type(error).__name__}: {error})") from None


def _sizes(content: Mapping[str, Any]) -> SizeRule:
    """Return the rule of sizes; a single number is that of every axis."""
    dims = int(content["dims"])
    values = (content[key] for key in ("divisor", "min_size"))
    divisor, least = (tuple(map(int, value if isinstance(value, list) else [value] * dims)) for value in values)
    if not len(divisor) == len(least) == dims:
        message = f"{len(divisor)} divisors and {len(least)} sizes for {dims} dimensions"
        raise ValueError(message)
    return SizeRule(divisor, least)


def _spacing(content: Any) -> tuple[float, float, float] | None:
    if content is None:
        return None
    z, y, x = map(float, content)
    return z, y, x


@dataclass(frozen=True)
class ModelFile:
    """A model on disk: its spec, the recipe it was trained with, where it is, and if it was exported how."""

    path: Path
    spec: ModelSpec
    recipe: Mapping[str, Any]
    id: str
    export: Mapping[str, Any] = field(default_factory=dict)


def find_weights(path: Path) -> Path:
    """Return the weights file of a run folder or of the file itself.

    Raises:
        DataError: it does not exist, or is a folder without weights.
    """
    if path.is_dir():
        weights = path / WEIGHTS
        if not weights.is_file():
            what = f"is not a finished run: it holds no {WEIGHTS}"
            raise DataError(str(path), what, "Train first, or name the file.")
        return weights
    if not path.exists():
        raise DataError(str(path), "does not exist")
    return path


def read_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read what a model file says about itself; no tensor is loaded and nothing is executed.

    Raises:
        DataError: missing, truncated, a pickle, or not made by volseg.
    """
    weights = find_weights(Path(path))
    if weights.suffix.lower() == ".onnx":
        from volseg_core.exporting.reading import read_exported

        return read_exported(weights)
    header, length = read_header(weights)
    metadata = header.get("__metadata__")
    spec, recipe, _ = documents(metadata if isinstance(metadata, dict) else {}, weights)
    return ModelFile(weights, spec, recipe, tensors_sha256(weights, length))


def documents(
    metadata: Mapping[str, Any], path: Path, *, exported: bool = False
) -> tuple[ModelSpec, dict[str, Any], dict[str, Any]]:
    """Return spec, recipe and, of an exported model, how it was exported.

    Raises:
        DataError: one of them is missing or damaged.
    """
    keys = (SPEC_KEY, RECIPE_KEY, *([EXPORT_KEY] if exported else []))
    missing = [key for key in keys if key not in metadata]
    if missing:
        hint = "To predict with a model of others, give --recipe: it says what the file does not." if exported else ""
        raise DataError(str(path), f"was not made by volseg: it carries no {missing[0]}", hint)
    spec, recipe, *export = (_document(metadata, key, path) for key in keys)
    return ModelSpec.from_dict(spec, str(path)), recipe, export[0] if export else {}


def _document(metadata: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(metadata[key])
    except (TypeError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise DataError(str(path), f"has a damaged {key}")
    return content


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the JSON header of a safetensors file and its length in bytes.

    Raises:
        DataError: the file is a pickle, truncated or something else.
    """
    where = str(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(_LENGTH_BYTES)
            length = _header_length(start, size)
            if length is None:
                raise _not_safetensors(where, start)
            header = json.loads(file.read(length))
            held = _tensor_bytes(header)
    except OSError as error:
        raise DataError(where, f"cannot be read ({error.strerror})") from None
    except (LookupError, TypeError, ValueError, RecursionError):
        raise DataError(where, "is not a safetensors file: its header is damaged") from None
    missing = _LENGTH_BYTES + length + held - size
    if missing > 0:
        raise DataError(where, f"is truncated: {missing} bytes are missing", "Copy or download the file again.")
    if missing < 0:
        raise DataError(where, f"is damaged: {-missing} bytes follow its last tensor")
    return header, length


def _header_length(start: bytes, size: int) -> int | None:
    """Return the length of the JSON header, or None when the first bytes of a file of ``size`` cannot state one."""
    if len(start) < _LENGTH_BYTES:
        return None
    length = int(struct.unpack("<Q", start)[0])
    return length if 0 < length <= min(size - _LENGTH_BYTES, _MAX_HEADER) else None


def _tensor_bytes(header: Any) -> int:
    """Return how many bytes of tensors follow a header; raises LookupError, TypeError or ValueError if it is none."""
    ends = [0]
    for name, item in header.items() if isinstance(header, dict) else [("", header)]:
        if name != "__metadata__":
            start, end = map(int, item["data_offsets"])
            if not 0 <= start <= end:
                message = f"offsets {start} and {end} of {name!r}"
                raise ValueError(message)
            ends.append(end)
    return max(ends)


def _not_safetensors(where: str, start: bytes) -> DataError:
    if start.startswith(_PICKLES):
        return DataError(
            where,
            "is a pickle or archive, which can run code when loaded; refused",
            "Give a volseg run folder or a .safetensors file.",
        )
    return DataError(where, "is not a safetensors file, or is truncated")


def tensors_sha256(path: Path, header_length: int) -> str:
    """Return the model id: sha256 of the tensors' bytes, whatever the metadata says."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(_LENGTH_BYTES + header_length)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write_model(path: Path, tensors: Mapping[str, Any], spec: ModelSpec, recipe: Mapping[str, Any]) -> str:
    """Write tensors (torch) with spec and recipe under a temporary name, rename, and return the model id.

    Raises:
        DataError: the folder cannot be written to. ResourceError: the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    metadata = {SPEC_KEY: json.dumps(spec.to_dict()), RECIPE_KEY: json.dumps(recipe)}
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        save_file(
            {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, part, metadata
        )
        part.replace(path)
    except (OSError, SafetensorError) as error:
        text = " ".join(str(error).split())
        kind = ResourceError if "No space left" in text or "quota" in text.lower() else DataError
        raise kind(str(path), f"cannot be written ({text})", "Choose another folder.") from None
    finally:
        part.unlink(missing_ok=True)
    _, length = read_header(path)
    return tensors_sha256(path, length)

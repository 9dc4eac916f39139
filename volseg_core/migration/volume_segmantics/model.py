"""Checkpoints of Volume Segmantics: what they say about the network, and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from volseg_core.errors import DataError
from volseg_core.migration.checkpoint import PREFIXES, plain_names, read_checkpoint
from volseg_core.migration.volume_segmantics.network import ARCHITECTURES, TYPES, untrained
from volseg_core.migration.weights import write_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.migration.settings import Transfer
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

_ENUM = "ModelType"
_MODULES = ("volume_segmantics.utilities.base_data_utils", "volume_segmantics.utilities.config")
_GETATTR = ("builtins.getattr", "__builtin__.getattr")
_PIPELINE = "PIPELINE_MULTITASK_UNET"
_STRUCTURE = ("type", "encoder_name", "encoder_weights", "encoder_depth", "in_channels", "classes")


class ModelKind:
    """Stands for a member of their ``ModelType``, by its number or its name."""

    def __init__(self, value: object) -> None:
        number = isinstance(value, int) and 1 <= value <= len(TYPES)
        self.name = TYPES[value - 1] if number else str(value)  # type: ignore[operator]


def _member(owner: object, name: str) -> ModelKind:
    """Stand for ``getattr``, by which some versions of Python pickle a member: of `ModelKind` and nothing else."""
    if owner is not ModelKind:
        message = "getattr of something else than ModelType"
        raise TypeError(message)
    return ModelKind(name)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: the network that it describes, the names of its classes (or numbers), and its tensors."""

    path: Path
    architecture: str
    encoder: str
    weights: str
    depth: int | None
    in_channels: int
    classes: tuple[str, ...]
    tensors: Mapping[str, Any]

    @property
    def neighbours(self) -> int:
        """Slices on each side that are further channels: their volumes have one channel."""
        return self.in_channels // 2

    def carry(self, transfer: Transfer) -> None:
        """Set the network of a recipe."""
        why = f"as in {self.path.name}"
        transfer.carry("model.use", self.architecture, why)
        transfer.carry("model.encoder.use", self.encoder, why)
        transfer.carry("model.encoder.weights", self.weights, f"{why}; of a new training")
        if self.depth is not None:
            transfer.carry("model.encoder.depth", self.depth, why)
        transfer.carry("data.neighbours", self.neighbours, f"{why}: {self.in_channels} input channels")


def read_model(path: Path) -> Checkpoint:
    """Read a ``.pytorch`` file; nothing in it is executed.

    Raises:
        DataError: damaged, of another tool, or of a network that has no equivalent here.
    """
    stand_ins: dict[str, Any] = {f"{module}.{_ENUM}": ModelKind for module in _MODULES}
    content = read_checkpoint(path, {**stand_ins, **dict.fromkeys(_GETATTR, _member)})
    where = str(path)
    structure = content.get("model_struc_dict") if isinstance(content, dict) else None
    tensors = content.get("model_state_dict") if isinstance(content, dict) else None
    if not isinstance(structure, dict) or not isinstance(tensors, dict):
        raise DataError(where, "is no checkpoint of Volume Segmantics: it lacks model_struc_dict or model_state_dict")
    kind = structure.get("type")
    name = kind.name if isinstance(kind, ModelKind) else str(kind)
    if name == _PIPELINE and _semantic_alone(structure.get("heads")):
        # the network of its newer trainer: with one head it is a U-Net under other names
        structure = {key: value for key, value in structure.items() if key != "heads"}
        tensors = {_unet_name(key): value for key, value in tensors.items()}
        name = "U_NET"
    if name not in ARCHITECTURES:
        raise DataError(where, f"holds a network of type {name}, which has no equivalent here")
    if extra := sorted(set(structure) - set(_STRUCTURE)):
        raise DataError(where, f"holds a network with options that have no equivalent here: {', '.join(extra)}")
    in_channels, classes = _positive(structure, "in_channels", 1, where), _positive(structure, "classes", 0, where)
    if in_channels % 2 == 0:
        raise DataError(where, f"holds a network for {in_channels} channels, which have no middle slice")
    depth = structure.get("encoder_depth")
    weights = structure.get("encoder_weights")
    return Checkpoint(
        path,
        ARCHITECTURES[name],
        str(structure.get("encoder_name", "resnet34")),
        "none" if untrained(weights) else str(weights),
        depth if isinstance(depth, int) else None,
        in_channels,
        _class_names(content.get("label_codes"), classes),
        plain_names(tensors),
    )


def _semantic_alone(heads: object) -> bool:
    return isinstance(heads, list) and [item.get("name") for item in heads if isinstance(item, dict)] == ["semantic"]


def _unet_name(name: str) -> str:
    for theirs, ours in (("decoders.0.", "decoder."), ("heads.0.conv.", "segmentation_head.0.")):
        before, found, after = name.partition(theirs)
        if found and before in ("", *PREFIXES):
            return f"{before}{ours}{after}"
    return name


def _positive(structure: Mapping[str, Any], key: str, default: int, where: str) -> int:
    value = structure.get(key, default)
    if not isinstance(value, int) or value < 1:
        raise DataError(where, f"has a damaged model_struc_dict: {key} is {value!r}")
    return value


def _class_names(codes: object, count: int) -> tuple[str, ...]:
    """Return the names in ``label_codes`` where they are complete and plain, else the numbers."""
    numbers = tuple(map(str, range(count)))
    if not isinstance(codes, dict) or set(map(str, codes)) != set(numbers):
        return numbers
    names = {str(key): name for key, name in codes.items() if isinstance(name, str) and name}
    found = tuple(names.get(number, number) for number in numbers)
    return found if len(set(found)) == count else numbers


def write_imported(registry: Registry, checkpoint: Checkpoint, recipe: Recipe, path: Path) -> str:
    """Write the weights as a model file of volseg and return the model id.

    Class ids are 0, 1, ... as Volume Segmantics predicts them.

    Raises:
        DataError: names or shapes of tensors differ from the recipe's network, or ``path`` cannot be written.
    """
    return write_weights(
        registry,
        recipe,
        checkpoint.tensors,
        path,
        where=str(checkpoint.path),
        in_channels=checkpoint.in_channels,
        names=checkpoint.classes,
        made_by="another version of segmentation-models-pytorch",
    )

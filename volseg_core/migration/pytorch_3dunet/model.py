"""Checkpoints of pytorch-3dunet: the names of their tensors are those of the networks here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.errors import DataError
from volseg_core.migration.checkpoint import plain_names, read_checkpoint
from volseg_core.migration.weights import write_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.migration.pytorch_3dunet.network import Outputs
    from volseg_core.migration.pytorch_3dunet.task import Task
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

_STATE = "model_state_dict"


def read_tensors(path: Path) -> Mapping[str, Any]:
    """Return the tensors of a checkpoint; nothing in it is executed.

    Raises:
        DataError: damaged, or of another tool.
    """
    content = read_checkpoint(path, {})
    tensors = content.get(_STATE) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(hasattr(item, "shape") for item in tensors.values()):
        raise DataError(str(path), f"is no checkpoint of pytorch-3dunet: it lacks {_STATE}")
    return plain_names(tensors)


def write_checkpoint(
    registry: Registry, checkpoint: Path, recipe: Recipe, outputs: Outputs, task: Task, path: Path
) -> str:
    """Write the weights of a checkpoint as a model file of volseg and return the model id.

    Raises:
        DataError: they do not fit the network, or what it computes with them differs.
    """
    if outputs.network is None or not outputs.padded:
        key = "model.name" if outputs.network is None else "model.conv_padding"
        raise DataError(str(checkpoint), f"holds a network that has no equivalent here: see {key}")
    return write_weights(
        registry,
        recipe,
        read_tensors(checkpoint),
        path,
        where=str(checkpoint),
        in_channels=outputs.in_channels,
        names=task.names if task.made is None else None,
        made_by="another model section than that of the configuration",
    )

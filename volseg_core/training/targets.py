"""From the target of a head to what its losses receive, and from a network's output to probabilities and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from volseg_core.tasks import CLASS_TASKS

if TYPE_CHECKING:
    from volseg_core.model import HeadSpec, ModelSpec


def to_target(task: str, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return target and mask of what is known, as losses of a task receive them.

    Of class indices ``labels`` (N, *S), -1 = none: multiclass the same and a bool mask (N, *S); binary a float target
    (N, 1, *S) in {0, 1} and a mask of the same shape. Of values (N, K, *S), NaN = none: values, 0 where there is none,
    and a mask of the same shape.
    """
    if task not in CLASS_TASKS:
        valid = ~torch.isnan(labels)
        return torch.where(valid, labels, 0), valid
    valid = labels >= 0
    if task == "binary":
        return (labels > 0).unsqueeze(1).float(), valid.unsqueeze(1)
    return labels, valid


def nearest(target: Tensor, shape: torch.Size) -> Tensor:
    """Return a target (N, ..., *S) at the voxels of a coarser output with ``shape``, without averaging."""
    for axis in range(1, len(shape) + 1):
        size, wanted = target.shape[-axis], shape[-axis]
        if size != wanted:
            places = ((torch.arange(wanted, device=target.device) + 0.5) * size / wanted).long()
            target = target.index_select(target.ndim - axis, places)
    return target


def predicted_class(task: str, logits: Tensor) -> Tensor:
    """Return the most probable class index (N, *S) of logits (N, C, *S)."""
    if task == "binary":
        return (logits[:, 0] > 0).to(torch.int64)
    return logits.argmax(1)


def probabilities(task: str, output: Tensor) -> Tensor:
    """Return the result (N, K, *S) of an output (N, channels, *S): probabilities, or the values of a regression.

    Those of a binary task are of both classes.
    """
    if task == "regression":
        return output
    if task == "multilabel":
        return output.sigmoid()
    if task == "binary":
        foreground = output.sigmoid()
        return torch.cat((1 - foreground, foreground), dim=1)
    return output.softmax(dim=1)


def results(spec: ModelSpec, output: Tensor) -> Tensor:
    """Return the results of all heads, one after the other, of an output (N, channels, *S)."""
    parts = [probabilities(head.task, output[:, part]) for head, part in zip(spec.heads, spec.parts, strict=True)]
    return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def in_unit(head: HeadSpec, values: Tensor) -> Tensor:
    """Return values (N, K, *S) of a regression in the unit of its labels."""
    if not head.scale:
        return values
    offset, scale = (
        torch.tensor(row, dtype=values.dtype, device=values.device).view(-1, *[1] * (values.ndim - 2))
        for row in (head.offset, head.scale)
    )
    return values * scale + offset

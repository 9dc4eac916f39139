"""From class indices to what a task's losses receive, and from logits to probabilities."""

from __future__ import annotations

import torch
from torch import Tensor


def to_target(task: str, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return target and mask of labelled voxels for a task.

    ``labels`` (N, *S) int64 with -1 = no label. Multiclass: ``labels`` itself and a bool mask (N, *S). Binary: a
    float target (N, 1, *S) in {0, 1} and a mask of the same shape.
    """
    valid = labels >= 0
    if task == "binary":
        return (labels > 0).unsqueeze(1).float(), valid.unsqueeze(1)
    return labels, valid


def predicted_class(task: str, logits: Tensor) -> Tensor:
    """Return the most probable class index (N, *S) of logits (N, C, *S)."""
    if task == "binary":
        return (logits[:, 0] > 0).to(torch.int64)
    return logits.argmax(1)


def probabilities(task: str, logits: Tensor) -> Tensor:
    """Return the probabilities (N, classes, *S) of logits (N, C, *S); a binary network's are those of both classes."""
    if task == "binary":
        foreground = logits.sigmoid()
        return torch.cat((1 - foreground, foreground), dim=1)
    return logits.softmax(dim=1)

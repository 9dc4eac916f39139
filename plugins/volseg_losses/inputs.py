"""What a loss computes on: logits in a safe precision, a target and the mask of labelled voxels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from volseg_core.api import PluginError


class LossInputs(NamedTuple):
    """Tensors of one call, in which ignored voxels hold harmless values.

    ``logits`` (N, C, *S) float32 or float64 (for regression the values), 0 where ignored; ``target`` and ``valid``
    (N, *S) for multiclass, else of the shape of the logits, the target 0 where ignored.
    """

    logits: Tensor
    target: Tensor
    valid: Tensor


class Channels(NamedTuple):
    """One channel for each class that counts, all 0 where ignored.

    ``probabilities`` (N, K, *S); ``truth`` (N, K, *S), bool for multiclass, else float in [0, 1]; ``valid`` bool,
    (N, 1, *S) for multiclass, else (N, K, *S).
    """

    probabilities: Tensor
    truth: Tensor
    valid: Tensor

    @property
    def masks(self) -> Tensor:
        """The truth as bool (N, K, *S)."""
        return self.truth > 0.5  # noqa: PLR2004  (half way between background and foreground)


def prepare(output: Tensor, target: Tensor, valid: Tensor | None, *, task: str) -> LossInputs:
    """Return the tensors that a loss works on, cut off from ignored voxels.

    Logits (N, C, *S) of lower precision become float32. An ignored entry (``valid`` False, or a negative class
    index) gets constant values, so that its gradient is exactly 0 even if its logits are not finite.

    Raises:
        PluginError: the shapes do not belong together.
    """
    logits = output if output.dtype == torch.float64 else output.float()
    indices = task == "multiclass"
    expected = (len(output), *output.shape[2:]) if indices else tuple(output.shape)
    if target.shape != expected or (task == "binary" and output.shape[1] != 1):
        _refuse("target", target, output, task)
    known = target >= 0 if indices else torch.ones_like(target, dtype=torch.bool)
    if valid is not None:
        if valid.numel() != target.numel():
            _refuse("valid", valid, output, task)
        known = known & valid.reshape(expected)
    over_channels = known.unsqueeze(1) if indices else known
    return LossInputs(logits.masked_fill(~over_channels, 0), target.masked_fill(~known, 0), known)


def as_multiclass(inputs: LossInputs, *, task: str) -> LossInputs:
    """Return a binary problem as that of the two classes whose logits are 0 and the output; others unchanged."""
    if task != "binary":
        return inputs
    both = torch.cat([torch.zeros_like(inputs.logits), inputs.logits], dim=1)
    truth = (inputs.target > 0.5).to(torch.int64)  # noqa: PLR2004
    return LossInputs(both, truth.squeeze(1), inputs.valid.squeeze(1))


def class_channels(inputs: LossInputs, *, task: str, classes: str) -> Channels:
    """Return probabilities and truth of the classes that count.

    ``classes`` is ``all``, or ``foreground`` for all but class 0; of binary and multilabel tasks all channels count.
    """
    if task != "multiclass":
        probabilities, truth = inputs.logits.sigmoid(), inputs.target.to(inputs.logits)
        return Channels(probabilities.masked_fill(~inputs.valid, 0), truth, inputs.valid)
    first = 1 if classes == "foreground" else 0
    valid = inputs.valid.unsqueeze(1)
    ids = torch.arange(first, inputs.logits.shape[1], device=inputs.target.device)
    ids = ids.reshape(1, -1, *[1] * (inputs.target.ndim - 1))
    probabilities = inputs.logits.softmax(dim=1)[:, first:]
    return Channels(probabilities.masked_fill(~valid, 0), (inputs.target.unsqueeze(1) == ids) & valid, valid)


def _refuse(name: str, tensor: Tensor, output: Tensor, task: str) -> None:
    what = f"{name} of shape {tuple(tensor.shape)} does not fit a {task} output of shape {tuple(output.shape)}"
    where, hint = "loss", "The network must return its logits at the size of the window"
    raise PluginError(where, what, hint)

"""The supervoxel loss: cross-entropy that dwells on mistakes which change how objects are connected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]


class SupervoxelLoss(nn.Module):
    """``sum(ce (1 + factor critical)) / N`` over the N labelled voxels of a batch.

    Objects are the connected parts of each class but class 0 in the truth. A connected part of the missed voxels of an
    object is critical when without it the object is in several parts, or gone; one of the voxels that wrongly got the
    class when it touches several objects or none. These are the sets of voxels whose removal or addition changes the
    number of objects (Grim, Chandrashekar and Sümbül 2025, arXiv:2501.01022), who sum over them as here but weigh the
    sum in another way. Voxels that touch by a face, an edge or a corner are connected. Mistakes are found on the CPU,
    one object at a time: let other losses make them few first (``start_epoch``).

    Args:
        factor: weight of a voxel of a critical mistake, beside 1 of any voxel.
        task: ``multiclass`` or ``binary``.
    """

    def __init__(self, *, factor: float = 10.0, task: str) -> None:
        super().__init__()
        self.factor = factor
        self.task = task

    def forward(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return a scalar, 0 when everything is right for certain.

        ``output`` (N, C, *S) are logits and ``target`` is int64 (N, *S), -1 without a label; of a binary task C is 1
        and ``target`` is float (N, 1, *S). ``valid`` is bool in the target's shape, False without a label.
        """
        logits = output.to(torch.promote_types(output.dtype, torch.float32))
        known = torch.ones_like(target, dtype=torch.bool) if valid is None else valid
        if self.task == "binary":
            safe = logits.masked_fill(~known, 0)
            truth = target.masked_fill(~known, 0).to(logits.dtype)
            each = functional.binary_cross_entropy_with_logits(safe, truth, reduction="none")[:, 0]
            found, truth, known = safe[:, 0] > 0, truth[:, 0] > 0, known[:, 0]
        else:
            known = known & (target >= 0)
            truth = target.clamp(min=0)
            safe = logits.masked_fill(~known.unsqueeze(1), 0)
            each = functional.cross_entropy(safe, truth, reduction="none")
            found = safe.argmax(1)
        weights = 1 + self.factor * self._critical(found, truth, known).to(each.dtype)
        return (each * weights * known).sum() / known.sum().clamp(min=1)

    def _critical(self, found: Tensor, truth: Tensor, known: Tensor) -> Tensor:
        """Return where (N, *S) mistakes are critical."""
        arrays = [tensor.detach().cpu().numpy() for tensor in (found.long(), truth.long(), known)]
        marked = [critical_mistakes(*images) for images in zip(*arrays, strict=True)]
        return torch.from_numpy(np.stack(marked)).to(truth.device)


def critical_mistakes(found: NDArray[Any], truth: NDArray[Any], known: Mask) -> Mask:
    """Return where (*S) the classes ``found`` differ from ``truth`` in a way that changes the number of objects.

    Voxels that are not ``known`` are neither objects nor mistakes.
    """
    marked = np.zeros(truth.shape, dtype=bool)
    for number in np.union1d(found[known], truth[known]):
        if number == 0:
            continue
        objects, right = known & (truth == number), known & (found == number)
        marked |= _splitting(objects, objects & ~right) | _joining(objects, right & ~objects)
    return marked


def _splitting(objects: Mask, missed: Mask) -> Mask:
    """Return the parts of ``missed`` without which an object is in several parts, or gone."""
    corners = _corners(objects.ndim)
    parts, _ = ndimage.label(missed, corners)
    labels, _ = ndimage.label(objects, corners)
    boxes = ndimage.find_objects(labels)
    marked = np.zeros(objects.shape, dtype=bool)
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        part = parts[around] == number
        rest = ndimage.binary_dilation(part, corners) & objects[around] & ~part
        # a rim in one piece leads around the part; only otherwise the whole object has to be looked at
        count = ndimage.label(rest, corners)[1]
        if count > 1:
            whole = boxes[labels[around][part][0] - 1]
            same = labels[whole] == labels[around][part][0]
            count = ndimage.label(same & (parts[whole] != number), corners)[1]
        if count != 1:
            marked[around] |= part
    return marked


def _joining(objects: Mask, wrong: Mask) -> Mask:
    """Return the parts of ``wrong`` that touch several objects, or none."""
    corners = _corners(objects.ndim)
    parts, count = ndimage.label(wrong, corners)
    labels, _ = ndimage.label(objects, corners)
    touching = np.zeros(count + 1, dtype=np.int64)
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        rim = ndimage.binary_dilation(parts[around] == number, corners)
        touched = np.unique(labels[around][rim])
        touching[number] = np.count_nonzero(touched)
    return wrong & (touching != 1)[parts]


def _corners(dimensions: int) -> Mask:
    return ndimage.generate_binary_structure(dimensions, dimensions)

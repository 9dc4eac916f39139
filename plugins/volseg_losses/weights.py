"""Weights of classes and channels: given in the recipe, or computed from the labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from volseg_core.api import Param, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def class_weights(given: Any, counts: Sequence[int] | None, *, classes: int, where: str) -> Tensor | None:
    """Return the weights (C,) in class order that a parameter ``weights`` asks for, or None for none.

    ``auto`` is ``w_c ~ 1 / sqrt(n_c)``, with ``n_c`` labelled training voxels of the class, scaled so that the mean
    over the classes that occur is 1; a class that never occurs has weight 0. The square root is half way between
    the loss of the voxels, which forgets rare classes, and ``1 / n_c``, which makes all classes equally likely: with
    a class in a thousandth of the voxels that would predict it far too often, and let single wrong labels rule
    (the same root as in Mahajan et al. 2018, doi:10.1007/978-3-030-01216-8_12).

    Args:
        given: None, ``auto``, or one number for each class.
        counts: the ``n_c``, or None where they are not known.
        classes: how many classes there are.
        where: the loss, for messages.

    Raises:
        UsageError: neither of these, not one number per class, negative or all 0, or ``auto`` without counts.
    """
    if given is None:
        return None
    if given == "auto":
        return _balanced(counts, where)
    try:
        weights = Param("list[float]", min=0).coerce(given)
    except ValueError as error:
        raise UsageError(where, f"weights: {error}", "Give 'auto' or one number per class") from error
    if len(weights) != classes:
        raise UsageError(where, f"weights {weights!r} has {len(weights)} items", f"Give one per class: {classes}")
    if not any(weights):
        raise UsageError(where, f"weights {weights!r} leave nothing to learn", "At least one must be above 0")
    return torch.tensor(weights)


def positive_weights(given: Any, counts: Sequence[int] | None, *, channels: int, where: str) -> Tensor | None:
    """Return the weights of positive voxels that a parameter ``pos_weight`` asks for, () or (K,), or None for 1.

    Args:
        given: None, a number, one number for each channel, or of a binary task ``ratio`` for
            ``background / foreground voxels`` and ``auto`` for the root of that, the ratio of the weights that
            `class_weights` would take.
        counts: labelled training voxels of background and foreground, or None where they are not known.
        channels: how many channels there are.
        where: the loss, for messages.

    Raises:
        UsageError: none of these, not one number per channel, or ``auto`` or ``ratio`` without counts of both.
    """
    if given is None:
        return None
    if given in ("auto", "ratio"):
        if counts is None or len(counts) != 2 or not all(counts):  # noqa: PLR2004  (background and foreground)
            what = f"pos_weight {given!r} needs training voxels of background and foreground, which are not there"
            raise UsageError(where, what, "Give a number")
        ratio = torch.tensor(counts[0] / counts[1])
        return ratio.sqrt() if given == "auto" else ratio
    listed = isinstance(given, list | tuple)
    try:
        weights = torch.tensor(Param("list[float]" if listed else "float", min=0).coerce(given))
    except ValueError as error:
        hint = "Give a number, one per channel, 'auto', 'ratio' or null"
        raise UsageError(where, f"pos_weight: {error}", hint) from error
    if listed and len(given) != channels:
        raise UsageError(where, f"pos_weight {given!r} has {len(given)} items", f"Give one per channel: {channels}")
    return weights


def _balanced(counts: Sequence[int] | None, where: str) -> Tensor:
    if counts is None or not any(counts):
        raise UsageError(
            where, "weights 'auto' need the voxels of each class, which are not known here", "Give one number per class"
        )
    roots = [1 / math.sqrt(count) if count else 0.0 for count in counts]
    present = sum(root > 0 for root in roots)
    return torch.tensor([root * present / sum(roots) for root in roots])

"""Mutual information of two codes from their joint histograms, and how sure a difference of two is.

Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x; the error by linear terms: Roulston 1999,
doi:10.1016/S0167-2789(98)00269-3, here with blocks as the independent samples, not voxels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.int64]]
"""Joint histograms (channels, codes of the image, codes of the labels)."""

_NOTHING = 1e-9
"""Bits up to which two parts are the same, rounding apart."""


def information(counts: Counts) -> float:
    """Return the mutual information of image and labels in bits, summed over channels; 0 without voxels."""
    return float(parts([counts]).sum())


def parts(blocks: Sequence[Counts]) -> Array:
    """Return what each block adds to the mutual information of their sum; 0 without voxels.

    A voxel adds the logarithm of how much likelier its codes are together than apart, in all blocks.
    """
    counts = np.stack(blocks)
    together = counts.sum(axis=0)
    total = together.sum(axis=(1, 2), keepdims=True)
    if not total.all():
        return np.zeros(len(counts))
    apart = together.sum(axis=1, keepdims=True) / total * together.sum(axis=2, keepdims=True)
    ratio, there = np.zeros(together.shape), together > 0
    ratio[there] = np.log2(together[there] / apart[there])
    added: Array = (counts / total * ratio).sum(axis=(1, 2, 3))
    return added


def entropy(counts: Counts) -> float:
    """Return the entropy of the labels in bits, summed over channels."""
    codes = counts.sum(axis=1)
    total = codes.sum(axis=1, keepdims=True)
    if not total.all():
        return 0.0
    share = codes / total
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum())


def standard_errors(one: Sequence[Counts], other: Sequence[Counts]) -> float:
    """Return the difference of information of two sums over blocks (other minus one) in standard errors.

    The error is that of linear terms: of each block, what it adds less what its voxels add on average.
    """
    difference = parts(other) - parts(one)
    deviations = _deviations(other) - _deviations(one)
    count = len(deviations)
    error = math.sqrt(count / max(1, count - 1) * float(np.square(deviations).sum()))
    return float(difference.sum()) / error if error > 0 else 0.0


def _deviations(blocks: Sequence[Counts]) -> Array:
    added = parts(blocks)
    voxels = np.array([counts.sum() for counts in blocks])
    deviations: Array = added - added.sum() * voxels / max(1, voxels.sum())
    return deviations


def votes(one: Sequence[Counts], other: Sequence[Counts]) -> tuple[int, int]:
    """Return to how many blocks the other placement adds more than the one, and how many of them differ at all."""
    difference = parts(other) - parts(one)
    there = np.abs(difference) > _NOTHING
    return int(np.count_nonzero(difference[there] > 0)), int(np.count_nonzero(there))

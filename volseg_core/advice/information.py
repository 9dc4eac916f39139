"""Mutual information of two codes from their joint histograms, and how sure a difference of two is.

Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x; the jackknife: Quenouille 1956, doi:10.1093/biomet/43.3-4.353.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Counts = np.ndarray[Any, np.dtype[np.int64]]
"""Joint histograms (channels, codes of the image, codes of the labels)."""


def information(counts: Counts) -> float:
    """Return the mutual information of image and labels in bits, summed over channels; 0 without voxels."""
    total = counts.sum(axis=(1, 2), keepdims=True)
    if not total.all():
        return 0.0
    joint = counts / total
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=2, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log2(joint[there] / apart[there])).sum())


def entropy(counts: Counts) -> float:
    """Return the entropy of the labels in bits, summed over channels."""
    codes = counts.sum(axis=1)
    total = codes.sum(axis=1, keepdims=True)
    if not total.all():
        return 0.0
    share = codes / total
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum())


def standard_errors(one: Sequence[Counts], other: Sequence[Counts]) -> float:
    """Return the difference of information of two sums over blocks (other minus one) in standard errors."""
    sums = np.sum(one, axis=0), np.sum(other, axis=0)
    difference = information(sums[1]) - information(sums[0])
    left_out = np.array(
        [information(sums[1] - second) - information(sums[0] - first) for first, second in zip(one, other, strict=True)]
    )
    count = len(left_out)
    error = math.sqrt((count - 1) / count * float(np.square(left_out - left_out.mean()).sum()))
    return difference / error if error > 0 else 0.0

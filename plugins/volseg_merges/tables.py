"""Functions of a probability by table: integers that every array library and device gives alike.

A logarithm differs in its last bit between numpy, torch, contiguous and strided arrays; a table does not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

STEPS = 65535
"""Probabilities are looked up in steps of 1 / 65535."""
UNIT = 1 << 16
"""What 1 is in a table of logarithms."""
ENTROPY_UNIT = 1 << 20
"""What the largest entropy is in a table of its terms."""

Table = np.ndarray[Any, np.dtype[np.int32]]


def surprise() -> Table:
    """Return ``-log(p)`` in steps of 1 / 65536; probabilities below 1 / 65535 count as that, 11.09."""
    steps = np.maximum(np.arange(STEPS + 1), 1)
    return np.rint(-np.log(steps / STEPS) * UNIT).astype(np.int32)


def entropy_terms(classes: int) -> Table:
    """Return ``-p * log(p) / log(classes)`` in steps of 1 / 2**20."""
    p = np.arange(STEPS + 1) / STEPS
    terms = -p * np.log(np.maximum(p, 1 / STEPS))
    return np.rint(terms / math.log(classes) * ENTROPY_UNIT).astype(np.int32)


def look_up(xp: Any, table: Any, probabilities: Any) -> Any:
    """Return the entries of ``table`` (an array of ``xp``) at the nearest steps of float32 probabilities.

    What is no probability takes the nearest end: the caller reports it.
    """
    steps = probabilities * STEPS
    steps += 0.5
    with np.errstate(invalid="ignore"):
        index = xp.astype(steps, xp.int32)
    return table[xp.clip(index, 0, STEPS)]

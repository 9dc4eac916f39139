"""From the scores of classes, or of images, to one number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def mean(scores: Iterable[float]) -> float:
    """Return the mean of the scores that are known, nan when none is; the order of scores does not matter."""
    known = [score for score in scores if not math.isnan(score)]
    return math.fsum(known) / len(known) if known else math.nan


def by_class(name: str, scores: Mapping[str, float]) -> dict[str, float]:
    """Return the mean of the classes' scores as ``NAME``, and each as ``NAME/CLASS``."""
    return {name: mean(scores.values())} | {f"{name}/{key}": score for key, score in scores.items()}

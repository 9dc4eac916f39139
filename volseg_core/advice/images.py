"""What is wrong with an image: missing contrast, saturation, blank and repeated planes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from volseg_core.advice.findings import Finding, be, count, listed, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from volseg_core.advice.survey import ImageSurvey

_SATURATED, _PADDED = 0.01, 0.3
_ALIKE, _STRANGE = 0.995, 0.1
_FEW_GREYS = 32


def check_image(seen: ImageSurvey) -> Iterator[Finding]:
    """Yield what is wrong with the intensities and the planes of an image."""
    part = "" if seen.whole else " in the part looked at"
    if seen.not_finite:
        what = f"{seen.not_finite} voxels are NaN or infinite{part}"
        yield Finding("fatal", what, "one of them makes the loss NaN", "Replace them, for instance by the median")
    for channel in range(seen.channels):
        yield from _channel(seen, channel, part)
    yield from _planes(seen)


def _channel(seen: ImageSurvey, index: int, part: str) -> Iterator[Finding]:
    low, high, sample = seen.low[index], seen.high[index], seen.sample[index]
    name = "the image" if seen.channels == 1 else f"channel {index}"
    if low > high:  # not one value is finite, which was said
        return
    if low == high:
        what = f"{name} is constant: every voxel is {low:g}{part}"
        yield Finding("fatal", what, "there is nothing to see in it", "Check the dataset, FILE:/PATH")
        return
    yield Finding("ok", f"{name} is {seen.dtype} from {low:g} to {high:g}{part}")
    if seen.at_high[index] > _SATURATED:
        what = f"{percent(seen.at_high[index])} of {name} is at its highest value {high:g}"
        yield Finding("note", what, "detail in saturated voxels is lost", "Record or convert with a wider range")
    if seen.at_low[index] > _PADDED:
        what = f"{percent(seen.at_low[index])} of {name} is at its lowest value {low:g}"
        why = "padding or clipping takes part in training and in the intensity statistics"
        yield Finding("note", what, why, "Cut it off, or label it with an ignored id (data.ignore)")
    greys = _distinct(sample)
    if greys < min(_FEW_GREYS, sample.size // 2):
        what = f"{name} has {greys} different values in a sample of {sample.size}"
        yield Finding(
            "note", what, "it may be a mask or labels, or have lost its bit depth", "Check the dataset, FILE:/PATH"
        )


def _distinct(sample: np.ndarray[Any, Any]) -> int:
    return len(set(sample.tolist()))


def _planes(seen: ImageSurvey) -> Iterator[Finding]:
    if seen.blank and len(seen.blank) < len(seen.planes):
        what = f"{count(len(seen.blank), 'plane')} of the image {be(seen.blank)} blank (z {listed(seen.blank)})"
        yield Finding("note", what, "labels there cannot be learnt", "Give them an ignored id, or cut them off")
    if seen.repeated:
        planes = count(len(seen.repeated), "plane")
        what = f"{planes} {'equals' if len(seen.repeated) == 1 else 'equal'} the one before (z {listed(seen.repeated)})"
        why = "copies put the same voxels into training and validation"
        yield Finding("note", what, why, "Remove them, or give them an ignored id")
    likeness = sorted(value for value in seen.likeness if math.isfinite(value))
    if seen.grid.independent or not likeness:
        if seen.grid.independent:
            yield Finding("ok", f"{seen.shape[0]} independent images: never sliced across them")
        return
    middle = likeness[len(likeness) // 2]
    if middle > _ALIKE:
        why = "validation on slices between training slices would mean nothing"
        hint = "Keep data.val.split=slab; fewer planes train as well"
        yield Finding("note", f"neighbouring planes are nearly the same (correlation {middle:.3f})", why, hint)
    elif middle < _STRANGE:
        why = "these may be independent images, which volseg would slice across"
        hint = "Then set data.independent=true"
        yield Finding("note", f"neighbouring planes have little in common (correlation {middle:.2f})", why, hint)
    else:
        yield Finding("ok", f"correlation of neighbouring planes {middle:.2f}")

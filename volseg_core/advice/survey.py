"""A look at a volume and its labels, plane by plane: facts that both the check and the suggestion start from."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from volseg_core.data.files import VolumeSource
    from volseg_core.volume import Grid

Plane = np.ndarray[Any, np.dtype[Any]]

VOXELS = 1 << 28
"""Voxels of a volume up to which every plane is looked at; of larger ones, pairs of neighbours evenly spread."""
_WIDEST = 2048
"""Rows and columns of a plane that are looked at, around its middle."""
_SAMPLES = 1 << 16
"""Values that go into the sample of intensities."""
_MOST_IDS = 100_000


@dataclass
class ImageSurvey:
    """Facts of an image ``(C, Z, Y, X)``. ``planes`` are the z that were looked at; shares are of finite voxels.

    ``blank`` planes hold one value per channel, ``repeated`` ones equal the plane before. ``likeness`` holds the
    correlation of neighbouring planes of the first channel. ``sample`` is of values, per channel.
    """

    grid: Grid
    shape: tuple[int, int, int]
    channels: int
    dtype: np.dtype[Any]
    planes: list[int]
    whole: bool
    low: list[float]
    high: list[float]
    at_low: list[float]
    at_high: list[float]
    not_finite: int = 0
    blank: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    likeness: list[float] = field(default_factory=list)
    sample: list[Plane] = field(default_factory=list)


@dataclass
class LabelSurvey:
    """Facts of labels ``(Z, Y, X)``: voxels of each id, and planes that hold a single id.

    ``fractions`` tells that there are values which are no whole numbers, ``crowded`` that counting ids was given up.
    """

    grid: Grid
    shape: tuple[int, int, int]
    channels: int
    dtype: np.dtype[Any]
    planes: list[int]
    whole: bool
    names: Mapping[int, str]
    ids: Counter[int] = field(default_factory=Counter)
    single: dict[int, int] = field(default_factory=dict)
    fractions: bool = False
    crowded: bool = False

    def classes(self, ignore: tuple[int, ...] = (-1,)) -> dict[int, int]:
        """Return voxels of each id that is not ignored."""
        return {item: count for item, count in sorted(self.ids.items()) if item not in ignore}


def survey_image(source: VolumeSource) -> ImageSurvey:
    """Look at an image; memory is bounded by two of its planes."""
    planes, whole = _chosen(source.shape)
    channels = source.channels
    seen = ImageSurvey(
        source.grid, source.shape, channels, source.dtype, planes, whole,
        [math.inf] * channels, [-math.inf] * channels, [0.0] * channels, [0.0] * channels,
    )  # fmt: skip
    extremes = [(Counter[float](), Counter[float]()) for _ in range(channels)]
    samples: list[list[Plane]] = [[] for _ in range(channels)]
    share, total = _SAMPLES // len(planes), 0
    for z, plane, before in _walk(source, planes):
        total += plane[0].size
        if all(channel.min() == channel.max() for channel in plane):
            seen.blank.append(z)
        elif before is not None:
            if np.array_equal(plane, before):
                seen.repeated.append(z)
            seen.likeness.append(_correlation(plane[0], before[0]))
        for index, channel in enumerate(plane):
            finite = channel if channel.dtype.kind != "f" else channel[np.isfinite(channel)]
            seen.not_finite += channel.size - finite.size
            if finite.size:
                low, high = finite.min(), finite.max()
                extremes[index][0][float(low)] += int(np.count_nonzero(finite == low))
                extremes[index][1][float(high)] += int(np.count_nonzero(finite == high))
                samples[index].append(finite.reshape(-1)[:: max(1, finite.size // max(1, share))].copy())
    for index, (lows, highs) in enumerate(extremes):
        if lows:
            seen.low[index], seen.high[index] = min(lows), max(highs)
            seen.at_low[index] = lows[min(lows)] / total
            seen.at_high[index] = highs[max(highs)] / total
        seen.sample.append(np.concatenate(samples[index]) if samples[index] else np.zeros(0, source.dtype))
    return seen


def survey_labels(source: VolumeSource, names: Mapping[int, str]) -> LabelSurvey:
    """Look at labels; memory is bounded by two of their planes."""
    planes, whole = _chosen(source.shape)
    seen = LabelSurvey(source.grid, source.shape, source.channels, source.dtype, planes, whole, names)
    for z, plane, _ in _walk(source, planes):
        values, counts = np.unique(plane[0], return_counts=True)
        finite = np.isfinite(values)
        whole_numbers = bool(np.all(finite)) and bool(np.all(values == np.round(values)))
        if not whole_numbers:
            seen.fractions = True
            continue
        if len(values) == 1:
            seen.single[z] = int(values[0])
        if len(seen.ids) > _MOST_IDS:
            seen.crowded = True
            continue
        seen.ids.update(dict(zip((int(value) for value in values), counts.tolist(), strict=True)))
    return seen


def _chosen(shape: tuple[int, int, int]) -> tuple[list[int], bool]:
    """Return the planes to look at, and whether these are all, in full."""
    depth, height, width = shape
    area = min(height, _WIDEST) * min(width, _WIDEST)
    full = area == height * width
    if depth * area <= VOXELS:
        return list(range(depth)), full
    pairs = max(4, VOXELS // area // 2)
    starts = np.unique(np.linspace(0, depth - 2, min(pairs, depth // 2)).astype(int))
    return sorted({int(start) + step for start in starts for step in (0, 1)}), False


def _walk(source: VolumeSource, planes: list[int]) -> Iterator[tuple[int, Plane, Plane | None]]:
    """Yield z, the plane (C, Y, X) and the one directly before it, where that was read."""
    _, height, width = source.shape
    rows, columns = (slice(max(0, size // 2 - _WIDEST // 2), min(size, size // 2 + _WIDEST // 2))
                     for size in (height, width))  # fmt: skip
    last: tuple[int, Plane] | None = None
    for z in planes:
        plane = np.ascontiguousarray(source.read((slice(z, z + 1), rows, columns))[:, 0])
        yield z, plane, last[1] if last is not None and last[0] == z - 1 else None
        last = (z, plane)


def _correlation(one: Plane, other: Plane) -> float:
    """Return Pearson's correlation of a sample of two planes, NaN where one is constant."""
    step = max(1, math.isqrt(one.size // 65536))
    first, second = (plane[::step, ::step].astype(np.float64).ravel() for plane in (one, other))
    keep = np.isfinite(first) & np.isfinite(second)
    if keep.sum() < 2 or first[keep].std() == 0 or second[keep].std() == 0:  # noqa: PLR2004
        return math.nan
    return float(np.corrcoef(first[keep], second[keep])[0, 1])

"""Blocks of an image and its labels in codes: steps of grey value and gradient, classes and their borders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from volseg_core.data.files import VolumeSource

Array = np.ndarray[Any, np.dtype[Any]]
Box = tuple[slice, slice, slice]

COUNT, VOXELS = 16, 48**3
"""Blocks that are looked at, and voxels of each at most."""
_GREYS, _SLOPES, _SIGMA, _EVERY = 8, 4, 0.7, 7
CODES = _GREYS * _SLOPES
"""Codes of a voxel of the image."""
_CHANNELS, _CLASSES = 4, 8


@dataclass(frozen=True)
class Block:
    """Codes of the image (C, *box), and of the labels of the box with a margin; the box begins in it at ``start``."""

    box: Box
    image: Array
    states: Array
    start: tuple[int, int, int]


def read_blocks(
    image: VolumeSource, labels: Callable[[Box], Array], planes: tuple[int, int], margin: int, ignore: Sequence[int]
) -> tuple[list[Block], LabelCodes]:
    """Read up to 16 blocks that are spread over the planes from the first up to the second.

    Each is read twice, to find the codes and to apply them: only codes, of one byte, are held of all blocks.
    """
    boxes = list(_boxes(image.shape, planes))
    margins = [grown(box, margin, image.shape) for box in boxes]
    edges = _edges([_features(image, box).reshape(2, -1, _size(box))[..., ::_EVERY] for box in boxes])
    codes = LabelCodes.of((labels(around) for around in margins), ignore)
    blocks = [
        Block(box, _quantised(_features(image, box), edges), codes.states(labels(around)), offset(box, around))
        for box, around in zip(boxes, margins, strict=True)
    ]
    return blocks, codes


def _boxes(shape: tuple[int, int, int], planes: tuple[int, int]) -> Iterator[Box]:
    """Divide the longest axis until there are enough cells, and yield the middle of each."""
    begins, sizes = (planes[0], 0, 0), (planes[1] - planes[0], *shape[1:])
    parts = [1, 1, 1]
    while math.prod(parts) < COUNT and any(size >= 2 * part for size, part in zip(sizes, parts, strict=True)):
        parts[max(range(3), key=lambda axis: sizes[axis] / parts[axis])] *= 2
    for cell in np.ndindex(*parts):
        edges = [
            (begin + size * at // part, begin + size * (at + 1) // part)
            for begin, size, part, at in zip(begins, sizes, parts, cell, strict=True)
        ]
        lengths = [stop - start for start, stop in edges]
        while math.prod(lengths) > VOXELS:
            longest = max(range(3), key=lambda axis: lengths[axis])
            lengths[longest] -= max(1, lengths[longest] // 16)
        starts = [start + (stop - start - length) // 2 for (start, stop), length in zip(edges, lengths, strict=True)]
        z, y, x = (slice(start, start + length) for start, length in zip(starts, lengths, strict=True))
        yield z, y, x


def grown(box: Box, margin: int, shape: Sequence[int]) -> Box:
    """Return a box with a margin on every side, cut at the ends of the volume."""
    z, y, x = (
        slice(max(0, part.start - margin), min(size, part.stop + margin)) for part, size in zip(box, shape, strict=True)
    )
    return z, y, x


def offset(box: Box, around: Box) -> tuple[int, int, int]:
    """Return where a box begins in the one around it."""
    z, y, x = (inner.start - outer.start for inner, outer in zip(box, around, strict=True))
    return z, y, x


def _size(box: Box) -> int:
    return math.prod(part.stop - part.start for part in box)


def _features(image: VolumeSource, box: Box) -> Array:
    """Return grey value and gradient within the plane of a box as (2, C, z, y, x), both smoothed."""
    grey = np.nan_to_num(image.read(box)[:_CHANNELS].astype(np.float32), posinf=0, neginf=0)
    sigma = (0, 0, _SIGMA, _SIGMA)
    slopes = [ndimage.gaussian_filter(grey, sigma, order=order) for order in ((0, 0, 1, 0), (0, 0, 0, 1))]
    return np.stack([ndimage.gaussian_filter(grey, sigma), np.hypot(*slopes)])


def _edges(samples: Sequence[Array]) -> list[list[Array]]:
    """Return, by feature and channel, between which values steps of the same number of voxels lie."""
    together = np.concatenate(samples, axis=-1)
    return [
        [np.unique(np.quantile(channel, np.arange(1, steps) / steps)) for channel in feature]
        for feature, steps in zip(together, (_GREYS, _SLOPES), strict=True)
    ]


def _quantised(features: Array, edges: Sequence[Sequence[Array]]) -> Array:
    """Return the codes (C, z, y, x) of features."""
    grey, slope = (
        np.stack([np.searchsorted(at, values, side="right") for at, values in zip(of, feature, strict=True)])
        for of, feature in zip(edges, features, strict=True)
    )
    codes: Array = (grey * _SLOPES + slope).astype(np.uint8)
    return codes


@dataclass(frozen=True)
class LabelCodes:
    """How ids become codes: of up to eight ids each its class, of more the background (id 0) and the rest."""

    ids: Array
    ignore: tuple[int, ...]

    @classmethod
    def of(cls, boxes: Iterable[Array], ignore: Sequence[int]) -> LabelCodes:
        """Return the codes for the ids of the boxes."""
        found = np.unique(np.concatenate([np.unique(ids) for ids in boxes]))
        return cls(found[~np.isin(found, list(ignore))], tuple(ignore))

    @property
    def count(self) -> int:
        """Number of codes: class, and whether the voxel borders another id. One more stands for ignored voxels."""
        return 2 * (len(self.ids) if len(self.ids) <= _CLASSES else 2)

    def states(self, ids: Array) -> Array:
        """Return the codes of a box of ids (z, y, x); borders are those within the planes, ids of no class ignored."""
        if len(self.ids) <= _CLASSES:
            classes, unknown = np.searchsorted(self.ids, ids).astype(np.uint8), ~np.isin(ids, self.ids)
        else:
            classes, unknown = (ids != 0).astype(np.uint8), np.isin(ids, self.ignore)
        border = np.zeros(ids.shape, bool)
        for axis in (1, 2):
            differs = np.diff(ids, axis=axis) != 0 if ids.dtype.kind != "b" else np.diff(ids, axis=axis)
            first = [slice(None)] * 3
            first[axis] = slice(1, None)
            border[tuple(first)] |= differs
            first[axis] = slice(None, -1)
            border[tuple(first)] |= differs
        states = classes * 2 + border
        states[unknown] = self.count
        return states


def joint(image: Array, states: Array, count: int) -> Array:
    """Return the joint histogram (C, codes of the image, ``count``) of codes (C, *box) and states (*box)."""
    flat = states.reshape(-1).astype(np.int32)
    size = CODES * (count + 1)
    tables = [
        np.bincount(channel.reshape(-1).astype(np.int32) * (count + 1) + flat, minlength=size) for channel in image
    ]
    return np.stack(tables).reshape(len(image), CODES, count + 1)[..., :count]

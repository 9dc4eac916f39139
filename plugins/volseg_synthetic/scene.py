"""The structures of a synthetic volume, painted into grey values and labels box by box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from volseg_synthetic.fields import SmoothField

Array = np.ndarray[Any, Any]

BACKGROUND, ORGANELLE, GRANULE, MEMBRANE = range(4)

# lengths are in units of the smallest voxel edge
_BULGE = 0.22
"""Largest share of a radius by which an organelle is dented or bulged."""
_GAP = 2.0
"""Distance between structures."""
_SHELL = 2.0
"""Thickness of a membrane."""
_PERIOD = 6.5
"""Period of the stripes."""
_DARK = 0.6
"""Share of granules that are dark."""
_PATIENCE = 500
"""Failures in a row after which a volume counts as full."""


@dataclass(frozen=True)
class Scene:
    """Grey values float32 and labels uint8 (Z, Y, X) in the making.

    ``scale`` is the voxel edge along z, y, x in units of the smallest; ``bend`` and ``weave`` deform outlines and
    stripes.
    """

    grey: Array
    labels: Array
    scale: Array
    bend: SmoothField
    weave: SmoothField

    def add_organelles(self, rng: np.random.Generator, share: float) -> None:
        """Paint organelles until they fill the share of the volume, or no more fit."""
        wanted = share * self.labels.size
        room = float((self.scale * self.labels.shape).min()) / 4
        failures = 0
        while wanted > 0 and failures < _PATIENCE:
            painted = self._organelle(rng, room)
            wanted -= painted
            failures = 0 if painted else failures + 1

    def add_granules(self, rng: np.random.Generator, share: float) -> None:
        """Paint granules between the organelles until they fill the share of the volume, or no more fit."""
        wanted = share * self.labels.size
        failures = 0
        while wanted > 0 and failures < _PATIENCE:
            painted = self._granule(rng)
            wanted -= painted
            failures = 0 if painted else failures + 1

    def _organelle(self, rng: np.random.Generator, room: float) -> int:
        """Paint one deformed ellipsoid and return its voxels, 0 where there is no place for it."""
        width = min(rng.uniform(8.5, 13.0), room)
        radii = width * np.array([rng.uniform(1.2, 2.0), rng.uniform(0.85, 1.15), 1.0])
        axes = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        centre: Array = rng.random(3) * self.labels.shape
        phase = rng.uniform(0, 2 * np.pi)
        reach = np.linalg.norm(axes * radii[:, None], axis=0) * (1 + _BULGE) + _GAP
        if self.labels[self._box(centre, np.full(3, 0.6 * width))].any():
            return 0
        box = self._box(centre, reach)
        along = self._along(box, centre, axes)
        bend = self.bend.sample(box)
        depth = _depth(along, radii, 1 + _BULGE * np.tanh(bend))
        labels = self.labels[box]
        if labels[depth > -_GAP].any():
            return 0
        inside, rim = depth > 0, np.exp(-(((depth - _SHELL / 2) / (0.6 * _SHELL)) ** 2))
        stripes = np.sin((along[0] + 2.5 * self.weave.sample(box)) * (2 * np.pi / _PERIOD) + phase)
        strength = 34 * (0.75 + 0.35 * np.tanh(bend))
        grey = self.grey[box]
        np.copyto(grey, 2 + 0.35 * grey + strength * stripes, where=inside)
        grey -= 45 * rim
        labels[inside] = MEMBRANE
        labels[depth > _SHELL] = ORGANELLE
        return int(np.count_nonzero(inside))

    def _granule(self, rng: np.random.Generator) -> int:
        """Paint one sphere, dark or bright, and return its voxels, 0 where there is no place for it."""
        radius = rng.uniform(2.3, 4.2)
        level = rng.uniform(-75, -50) if rng.random() < _DARK else rng.uniform(50, 75)
        centre: Array = rng.integers(0, np.array(self.labels.shape))
        if self.labels[tuple(centre)]:
            return 0
        box = self._box(centre, np.full(3, radius + _GAP))
        depth = radius - _length(self._offsets(box, centre))
        labels, grey = self.labels[box], self.grey[box]
        if labels[depth > -_GAP].any():
            return 0
        cover = np.clip(depth + 0.5, 0, 1)
        grey += cover * (level - 0.6 * grey)
        inside = depth > 0
        labels[inside] = GRANULE
        return int(np.count_nonzero(inside))

    def _box(self, centre: Array, reach: Array) -> tuple[slice, ...]:
        """Return the voxels within ``reach`` of a centre (voxel index), cut to the volume."""
        low = np.floor(centre - reach / self.scale).astype(int).clip(0)
        high = np.minimum(np.ceil(centre + reach / self.scale).astype(int) + 1, self.labels.shape)
        return tuple(slice(int(start), int(max(start, stop))) for start, stop in zip(low, high, strict=True))

    def _offsets(self, box: tuple[slice, ...], centre: Array) -> list[Array]:
        """Return open grids of the distance from the centre along z, y and x."""
        lines = [(np.arange(each.start, each.stop) - c) * s for each, c, s in zip(box, centre, self.scale, strict=True)]
        return [line.astype(np.float32) for line in np.ix_(*lines)]

    def _along(self, box: tuple[slice, ...], centre: Array, axes: Array) -> list[Array]:
        """Return the coordinates of a box along three orthogonal axes through the centre."""
        offsets = self._offsets(box, centre)
        return [z * offsets[0] + y * offsets[1] + x * offsets[2] for z, y, x in axes.astype(np.float32)]


def _depth(along: list[Array], radii: Array, limit: Array) -> Array:
    """Return about the distance below the surface of an ellipsoid stretched by ``limit``, negative outside.

    First order: the level function ``|x / r| - limit`` over the length of its gradient.
    """
    scaled = [each / np.float32(radius) for each, radius in zip(along, radii, strict=True)]
    level = _length(scaled) + np.float32(1e-6)
    slope = _length([each / np.float32(radius) for each, radius in zip(scaled, radii, strict=True)])
    return (limit - level) * level / (slope + np.float32(1e-6))


def _length(parts: list[Array]) -> Array:
    """Return the Euclidean length of vectors given by their components."""
    squares: Array = np.square(parts[0]) + np.square(parts[1]) + np.square(parts[2])
    return np.sqrt(squares, out=squares)

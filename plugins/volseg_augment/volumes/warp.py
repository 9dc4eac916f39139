"""Warps of boxes: rotation, scale, sub-voxel shift and elastic deformation, fused into one interpolation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from volseg_augment.steps import DISPLACEMENT, SPACING
from volseg_augment.volumes.box import AXES
from volseg_augment.volumes.resample import resampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from volseg_augment.volumes.box import Box
    from volseg_augment.volumes.resample import Places

    Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Warp:
    """Rotate by up to ``rotate`` degrees, scale by ``1 - scale`` to ``1 + scale`` and deform smoothly.

    Rotation and scale come together with probability ``p``, the deformation with probability ``elastic``. The axis of
    rotation is drawn evenly on the sphere, in physical space where the spacing is known. Where sections lie far apart
    nothing moves across them: the rotation is about the thick axis. Half a voxel of shift at most: whole voxels are
    what drawing the window moves.
    """

    scale: float
    rotate: float
    elastic: float
    p: float

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return the box, interpolated once, or as it is."""
        turned = bool(self.scale or self.rotate) and random.random() < self.p
        bent = random.random() < self.elastic
        if not turned and not bent:
            return box
        matrix, shift = np.eye(3), np.zeros(3)
        if turned:
            matrix = self._matrix(box, random)
            shift[list(box.axes)] = random.uniform(-0.5, 0.5, len(box.axes))
        places = affine_places(box.shape, matrix, shift)
        if bent:
            bend(places, box, random)
        return resampled(box, places)

    def _matrix(self, box: Box, random: np.random.Generator) -> Matrix:
        """Return where voxels come from, relative to the centre of the box."""
        axis = random.standard_normal(3) if box.thick is None else np.eye(3)[box.thick]
        size = np.ones(3)
        size[list(box.axes)] = random.uniform(1 - self.scale, 1 + self.scale)
        angle = random.uniform(-self.rotate, self.rotate)
        return rotation(angle, axis, box.relative) / size


def rotation(degrees: float, axis: Sequence[float] | Matrix, relative: Sequence[float] | Matrix) -> Matrix:
    """Return the matrix (3, 3) of a rotation about an axis (z, y, x), for places in voxels of ``relative`` spacing."""
    direction = np.asarray(axis, float) / np.linalg.norm(axis)
    turn = Rotation.from_rotvec(np.deg2rad(degrees) * direction).as_matrix()
    spacing = np.asarray(relative, float)
    matrix: Matrix = turn * spacing / spacing[:, None]
    return matrix


def affine_places(shape: tuple[int, int, int], matrix: Matrix, shift: Matrix) -> Places:
    """Return ``matrix (voxel - centre) + centre + shift`` for the voxels of a box: (3, D, H, W) float32."""
    centre = (np.array(shape) - 1) / 2
    offset = centre + shift - matrix @ centre
    places: Places = np.empty((3, *shape), np.float32)
    for row, place in enumerate(places):
        z, y, x = (np.arange(size) * matrix[row, axis] for axis, size in enumerate(shape))
        np.add((z[:, None] + y + offset[row])[..., None].astype(np.float32), x.astype(np.float32), out=place)
    return places


def bend(places: Places, box: Box, random: np.random.Generator) -> None:
    """Add a smooth displacement to places: nodes `SPACING` apart move by normal draws, cut at two deviations.

    Distances are in voxels of the finest spacing; nothing moves across thick sections.
    """
    relative, count, weights = box.relative, [], []
    for size, step in zip(box.shape, SPACING / box.relative, strict=True):
        each = _weights(size, step, random.random())
        weights.append(each)
        count.append(each.shape[1])
    for axis in AXES:
        draws = np.clip(random.standard_normal(count, np.float32), -2, 2) * np.float32(DISPLACEMENT / relative[axis])
        if axis != box.thick:
            spread = np.einsum("abc,xc,yb->ayx", draws, weights[2], weights[1], optimize=True)
            places[axis] += (weights[0] @ spread.reshape(count[0], -1)).reshape(box.shape)


def _weights(size: int, step: float, phase: float) -> NDArray[np.float32]:
    """Return the weights (size, nodes) of Catmull and Rom's cubic between nodes ``step`` voxels apart."""
    place = np.arange(size) / step + phase
    first = np.floor(place).astype(int)
    t = place - first
    curve = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
    weights = np.zeros((size, math.floor(place[-1]) + 4), np.float32)
    for node, values in enumerate(curve):
        weights[np.arange(size), first + node] = values / 2
    return weights

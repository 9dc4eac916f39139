"""One interpolation of a box at other places: the image linearly, integer truth by the nearest voxel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import grid_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from volseg_augment.volumes.box import Box, Image

Places = np.ndarray[Any, np.dtype[np.float32]]


def resampled(box: Box, places: Places) -> Box:
    """Return a box whose voxels come from ``places`` (3, D, H, W), in voxels of the given one.

    The image is mirrored at its border; truth from beyond the outer faces is unknown. Truth of floats is linear, and
    unknown beside what is unknown. Torch interpolates in half of the time of SciPy.
    """
    grid = _grid(places, box.shape)
    image = _linear(box.image, grid)
    if box.truth.dtype.kind == "f":
        truth = _linear(box.truth.astype(np.float32, copy=False), grid)
        if (known := box.truth[np.isfinite(box.truth)]).size:
            np.clip(truth, known.min(), known.max(), out=truth)  # rounding leads beyond what is interpolated
        truth[:, ~_inside(places, box.shape)] = box.unknown
    else:
        truth = _nearest(box, places)
    return replace(box, image=image, truth=truth)


def _grid(places: Places, shape: tuple[int, int, int]) -> torch.Tensor:
    """Return places mirrored into the box, as torch wants them: (1, D, H, W, 3), x first, in [-1, 1]."""
    grid = np.empty((*places.shape[1:], 3), np.float32)
    for axis, (place, size) in enumerate(zip(places, shape, strict=True)):
        last = np.float32(size - 1)
        mirrored = np.abs(place)
        mirrored -= last
        np.abs(mirrored, out=mirrored)  # how far from the last voxel
        mirrored *= np.float32(-2 / max(size - 1, 1))
        np.add(mirrored, np.float32(1), out=grid[..., 2 - axis])
    return torch.from_numpy(grid)[None]


def _linear(values: Image, grid: torch.Tensor) -> Image:
    given = torch.from_numpy(np.ascontiguousarray(values))[None]
    drawn: Image = grid_sample(given, grid, "bilinear", "border", align_corners=True)[0].numpy()
    return drawn


def _inside(places: Places, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Return which places lie within half a voxel of the outer ones."""
    inside = np.ones(places.shape[1:], bool)
    for place, size in zip(places, shape, strict=True):
        inside &= place >= np.float32(-0.5)
        inside &= place < np.float32(size - 0.5)
    return inside


def _nearest(box: Box, places: Places) -> NDArray[Any]:
    voxels = np.zeros(places.shape[1:], np.int32)
    for place, size in zip(places, box.shape, strict=True):
        nearest = np.rint(place).astype(np.int32)
        np.clip(nearest, 0, size - 1, out=nearest)
        voxels *= size
        voxels += nearest
    truth = box.truth.reshape(len(box.truth), -1).take(voxels, axis=1)
    truth[:, ~_inside(places, box.shape)] = int(box.unknown)
    return truth

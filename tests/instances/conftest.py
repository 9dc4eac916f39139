"""Touching spheres, and the driver that runs steps by blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import volseg_core
from volseg_core.registry import Registry, load_registry

Array = np.ndarray[Any, Any]

RADIUS = 8
STEP = 14
"""Distance of the centres: spheres of radius 8 overlap by two voxels, in a neck of radius 3.9."""


@dataclass(frozen=True)
class Spheres:
    """Spheres on a grid, each touching its neighbours: ids (Z, Y, X) by the nearest centre, 0 outside all."""

    ids: Array
    count: int

    @property
    def affinities(self) -> Array:
        """Whether a voxel and the one before it along each axis are of one sphere, and those 6 before (6, Z, Y, X)."""
        return np.stack([self._joined(offset) for offset in OFFSETS]).astype(np.float32)

    def _joined(self, offset: list[int]) -> Array:
        axis, step = next((axis, -part) for axis, part in enumerate(offset) if part)
        before = np.roll(self.ids, step, axis)
        same = (before == self.ids) & (self.ids > 0)
        np.moveaxis(same, axis, 0)[:step] = False
        return same

    @property
    def boundary(self) -> Array:
        """1 where a voxel and one beside it are of different spheres or of none, else 0 (1, Z, Y, X)."""
        padded = np.pad(self.ids, 1, mode="edge")
        edge = self.ids == 0
        for axis in range(3):
            for shift in (-1, 1):
                edge |= np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1] != self.ids
        return edge[None].astype(np.float32)


OFFSETS = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [-6, 0, 0], [0, -6, 0], [0, 0, -6]]


@pytest.fixture(scope="session")
def spheres() -> Spheres:
    """Return 2 x 3 x 3 touching spheres."""
    counts = (2, 3, 3)
    shape = tuple(STEP * count + 6 for count in counts)
    places = np.indices(shape)
    nearest, ids = np.full(shape, np.inf), np.zeros(shape, np.uint32)
    for number, corner in enumerate(np.ndindex(*counts), 1):
        away = sum((axis - 10 - STEP * place) ** 2 for axis, place in zip(places, corner, strict=True))
        closer = away < nearest
        nearest[closer], ids[closer] = away[closer], number
    ids[nearest > RADIUS**2] = 0
    return Spheres(ids, int(np.prod(counts)))


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry()


@pytest.fixture
def run(registry: Registry) -> Callable[..., Array]:
    """Return a function that applies built-in steps and returns the objects: ``run(array, NAME, KEY=VALUE)``."""

    def apply(
        array: Array, *steps: str, block: int | None = None, spacing: Any = None, instances: bool = False, **params: Any
    ) -> Array:
        volume: Any = array
        if spacing is not None:
            from volseg_core.volume import Grid, Volume

            volume = Volume(array if array.ndim == 4 else array[None], Grid(spacing, "um"))
        overrides = [f"{key.replace('__', '.')}={value}" for key, value in params.items()]
        done = volseg_core.postprocess(
            volume, steps, overrides=overrides, block=block, instances=instances, registry=registry
        )
        return done.arrays["instances"]

    return apply


@pytest.fixture(scope="session")
def same_objects() -> Callable[[Array, Array], bool]:
    """Return whether two segmentations are the same up to their numbers."""

    def same(one: Array, other: Array) -> bool:
        pairs = np.unique(np.stack((one.ravel(), other.ravel())), axis=1)
        return bool(len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1])

    return same

"""A box with what lies at its voxels, and the steps that change it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Image = np.ndarray[Any, np.dtype[np.float32]]
AXES = (0, 1, 2)


@dataclass(frozen=True)
class Box:
    """An image (C, D, H, W) near [0, 1] and its truth (K, D, H, W): integers, -1 unknown, or floats, NaN unknown.

    ``spacing`` (z, y, x) in any unit, None where it is not known; ``thick`` is the axis whose sections lie far apart.
    """

    image: Image
    truth: NDArray[Any]
    spacing: tuple[float, float, float] | None = None
    thick: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y and x."""
        z, y, x = self.image.shape[1:]
        return z, y, x

    @property
    def relative(self) -> NDArray[np.float64]:
        """Spacing of each axis in units of the finest."""
        spacing = np.array(self.spacing or (1.0, 1.0, 1.0))
        relative: NDArray[np.float64] = spacing / spacing.min()
        return relative

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes along which values may be interpolated."""
        return tuple(axis for axis in AXES if axis != self.thick)

    @property
    def unknown(self) -> float:
        """What truth is where it is not known."""
        return np.nan if self.truth.dtype.kind == "f" else -1

    def sections(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of image or truth whose sections (z, or the thick axis) are its second axis."""
        return np.moveaxis(array, 1 + (self.thick or 0), 1)


class Step(Protocol):
    """Changes a box: all that is random comes from ``random``; the arrays that it is given stay as they are."""

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return the changed box."""
        ...


@dataclass(frozen=True)
class Chance:
    """Apply a step with probability ``p``, drawn for itself."""

    p: float
    step: Step

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return the box, changed or as it is."""
        return self.step(box, random) if random.random() < self.p else box


class Mirror:
    """Mirror along each axis with probability 1/2."""

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return the mirrored box."""
        axes = tuple(1 + axis for axis in AXES if random.random() < 1 / 2)
        return replace(box, image=np.flip(box.image, axes).copy(), truth=np.flip(box.truth, axes).copy())


def run(steps: Sequence[Step], box: Box, seed: int) -> Box:
    """Return what steps make of a box: equal seeds give equal results. All draws come from one stream."""
    random = np.random.default_rng(seed)
    for step in steps:
        box = step(box, random)
    return box

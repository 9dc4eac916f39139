"""Balls in noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from volseg_core.api import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence


class ComponentClass:
    """Balls of grey 160 in a background of grey 96, with Gaussian noise.

    Their radii lie between a sixteenth and an eighth of the shortest edge.

    Args:
        shape: voxels along z, y, x.
        balls: how many; they may overlap.
        noise: standard deviation of the noise, in grey levels of 256.
        seed: the same seed and parameters give the same volume.
    """

    def __init__(
        self, *, shape: Sequence[int] = (48, 64, 64), balls: int = 12, noise: float = 12.0, seed: int = 0
    ) -> None:
        self.shape = tuple(shape)
        self.balls = balls
        self.noise = noise
        self.seed = seed

    def generate(self) -> Sample:
        """Return data (Z, Y, X) uint8 and labels (Z, Y, X) uint8: 0 background, 1 ball."""
        random = np.random.default_rng(self.seed)
        grid = np.ogrid[tuple(slice(length) for length in self.shape)]
        labels = np.zeros(self.shape, np.uint8)
        for _ in range(self.balls):
            centre = random.uniform(0, self.shape)
            radius = random.uniform(1 / 16, 1 / 8) * min(self.shape)
            distance = sum((axis - middle) ** 2 for axis, middle in zip(grid, centre, strict=True))
            labels[distance <= radius**2] = 1
        grey = 96 + 64 * labels + random.normal(0, self.noise, self.shape)
        data = grey.round().clip(0, 255).astype(np.uint8)
        return Sample(data, labels, classes=("background", "ball"), spacing=(1.0, 1.0, 1.0), unit="um")

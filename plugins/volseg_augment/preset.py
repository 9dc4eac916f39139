"""What the presets share: steps for slices, and steps for boxes in three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from volseg_augment.pipeline import Pipeline, posed
from volseg_augment.volumes.box import Box, Mirror, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from volseg_augment.volumes.box import Step


class Preset(Pipeline):
    """Apply steps of albumentations to slices, and steps of our own to boxes.

    Turns of boxes are left to the core, which draws boxes in all orientations that keep their shape if ``turns``, and
    those that are no mirror images unless ``mirrors``.
    """

    def __init__(self, slices: Sequence[Any], boxes: Sequence[Step], *, flip: bool, rotate90: bool) -> None:
        super().__init__(*posed(slices, flip=flip, rotate90=rotate90))
        self.turns, self.mirrors = rotate90, flip
        self._boxes: list[Step] = [Mirror(), *boxes] if flip else list(boxes)

    def box(
        self,
        image: NDArray[np.float32],
        truth: NDArray[Any],
        seed: int,
        *,
        spacing: tuple[float, float, float] | None = None,
        thick: int | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Return new arrays: image (C, D, H, W) near [0, 1], not clipped, and truth (K, D, H, W).

        Integers are moved by the nearest voxel, floats linearly; what lies outside is -1, in floats NaN. ``spacing``
        (z, y, x) is that of the box, and ``thick`` the axis across which nothing is interpolated.
        """
        result = run(self._boxes, Box(np.asarray(image, np.float32), truth, spacing, thick), seed)
        return result.image, result.truth

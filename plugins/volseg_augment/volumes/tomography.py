"""Artefacts of computed tomography in boxes: those of slices, each with an extent along the axis of rotation.

The axis is z, or the thick one. Where an element of the detector fails, only its own slices show it; what the
spectrum of the beam does runs through all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from volseg_augment.tomography import Additive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from volseg_augment.tomography import Artefact
    from volseg_augment.volumes.box import Box


@dataclass(frozen=True)
class InSlices:
    """Apply an artefact of slices: a factor to all slices alike, a pattern to all or fading from one of them."""

    kind: type[Artefact]
    strength: float

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return the box with a new image."""
        image = box.image.copy()
        slices = box.sections(image)
        step = self.kind(self.strength, p=1)
        step.set_random_state(random, Random(int(random.integers(2**31))))  # noqa: S311 - no secret
        drawn = step.get_params_dependent_on_data({"shape": (*slices.shape[2:], 1)}, {})
        if issubclass(self.kind, Additive):
            slices += fading(slices.shape[1], random)[:, None, None] * drawn["pattern"][..., 0]
        else:
            slices *= drawn["factor"][..., 0]
        return replace(box, image=image)


def fading(depth: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Return how strongly each slice shows a pattern: all fully, or a bell of 1 to a quarter of the slices wide."""
    if random.integers(2):
        return np.ones(depth, np.float32)
    centre, width = random.uniform(0, depth - 1), random.uniform(1, max(1, depth / 4))
    bell: NDArray[np.float32] = np.exp(-(((np.arange(depth) - centre) / width) ** 2) / 2).astype(np.float32)
    return bell

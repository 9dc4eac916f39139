"""Mirrors and Cutout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Labels = NDArray[np.int32]


class ComponentClass:
    """Mirror a window along each axis, and set a box of the image to its mean (DeVries and Taylor, arXiv:1708.04552).

    The labels in the box stay: the network has to guess them from what surrounds it. An augmentation that turns
    square windows says so with an attribute ``turns = True``.

    Args:
        size: edge of the box, as a share of the window's.
        p: probability of each step.
    """

    def __init__(self, *, size: float = 0.25, p: float = 0.5) -> None:
        self.size = size
        self.p = p

    def __call__(self, image: Image, labels: Labels, seed: int) -> tuple[Image, Labels]:
        """Return new arrays of the same shapes: image (H, W, C) in [0, 1], labels (H, W) with -1 where there is none.

        All that is random comes from ``seed``: no global generator, or resumed trainings would differ. Pixels that
        come from outside the window get the label -1.
        """
        random = np.random.default_rng(seed)
        for axis in (0, 1):
            if random.random() < self.p:
                image, labels = np.flip(image, axis), np.flip(labels, axis)
        image = np.array(image)  # what was given is never changed
        if random.random() < self.p:
            edges = [round(self.size * length) for length in labels.shape]
            starts = [int(random.integers(length - edge + 1)) for length, edge in zip(labels.shape, edges, strict=True)]
            rows, columns = (slice(start, start + edge) for start, edge in zip(starts, edges, strict=True))
            image[rows, columns] = image.mean(axis=(0, 1))
        return image, np.ascontiguousarray(labels)

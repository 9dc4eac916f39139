"""Artefacts of computed tomography: cupping, rings and streaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_augment.library import albumentations

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINE = 8
"""Samples per pixel of a radial profile."""


class Artefact(albumentations.ImageOnlyTransform):  # type: ignore[misc]
    """A change of grey values, the same in all channels, with a largest ``strength``."""

    def __init__(self, strength: float, p: float) -> None:
        super().__init__(p=p)
        self.strength = strength

    def place(self, shape: tuple[int, ...], beyond: float) -> tuple[float, float]:
        """Return a random point of the window or at most ``beyond`` times its size outside."""
        y, x = self.random_generator.uniform(-beyond, 1 + beyond, 2)
        return float(y * shape[0]), float(x * shape[1])


class Cupping(Artefact):
    """Darken towards a centre, as the hardening of a polychromatic beam does.

    The factor is ``1 - s (1 - r² / R²)`` within a radius R of half to all of the window's diagonal and 1 outside,
    with s up to ``strength``: the first-order shape of cupping in a homogeneous cylinder.
    """

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - albumentations' signature
        """Return the ``factor`` (H, W, 1)."""
        shape = params["shape"]
        reach = self.py_random.uniform(0.5, 1) * float(np.hypot(*shape[:2]))
        depth = self.py_random.uniform(0, self.strength)
        distance = distances(shape, self.place(shape, beyond=0)) / np.float32(reach)
        hollow = np.maximum(1 - distance * distance, 0)
        return {"factor": 1 - np.float32(depth) * hollow[..., None]}

    def apply(self, img: NDArray[np.float32], factor: NDArray[np.float32], **_: Any) -> NDArray[np.float32]:
        """Return the image times the factor."""
        return img * factor


class Additive(Artefact):
    """An artefact that adds a pattern (H, W, 1)."""

    def apply(self, img: NDArray[np.float32], pattern: NDArray[np.float32], **_: Any) -> NDArray[np.float32]:
        """Return the image plus the pattern, within [0, 1]."""
        changed = img + pattern
        return np.clip(changed, 0, 1, out=changed)


class Rings(Additive):
    """Add up to twelve thin rings around one centre, bright and dark, as elements of a detector leave them.

    Each has a Gaussian section of 0.5 to 1.5 pixels and a height of up to ``strength``.
    """

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - albumentations' signature
        """Return the ``pattern``, a function of the distance to the centre."""
        shape = params["shape"]
        distance = distances(shape, self.place(shape, beyond=1))
        random, count = self.random_generator, self.py_random.randint(1, 12)
        radii = random.uniform(float(distance.min()), float(distance.max()), count)
        heights = random.uniform(0.3, 1, count) * random.choice((-1, 1), count) * self.strength
        widths = random.uniform(0.5, 1.5, count)
        grid = np.arange(int(distance.max() * FINE) + 2)[:, None] / FINE
        profile = (heights * np.exp(-(((grid - radii) / widths) ** 2) / 2)).sum(1).astype(np.float32)
        return {"pattern": profile[np.rint(distance * FINE).astype(np.intp)][..., None]}


class Streaks(Additive):
    """Add up to six straight streaks through one point, bright and dark, as dense or moving matter leaves them.

    Each has a Gaussian section of 0.7 to 2.5 pixels and a height of up to ``strength``.
    """

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - albumentations' signature
        """Return the ``pattern``, a sum of lines."""
        shape = params["shape"]
        source = self.place(shape, beyond=0.25)
        y, x = offsets(shape, source)
        pattern = np.zeros(shape[:2], np.float32)
        for _ in range(self.py_random.randint(1, 6)):
            target = self.place(shape, beyond=0)
            angle = np.arctan2(target[0] - source[0], target[1] - source[1])
            width = self.py_random.uniform(0.7, 2.5)
            height = self.py_random.choice((-1, 1)) * self.py_random.uniform(0.3, 1) * self.strength
            across = (x * np.float32(np.sin(angle)) - y * np.float32(np.cos(angle))) / np.float32(width)
            pattern += np.float32(height) * np.exp(-across * across / 2)
        return {"pattern": pattern[..., None]}


def offsets(shape: tuple[int, ...], centre: tuple[float, float]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how far rows (H, 1) and columns (1, W) lie from a point."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]).astype(np.float32), (x - centre[1]).astype(np.float32)


def distances(shape: tuple[int, ...], centre: tuple[float, float]) -> NDArray[np.float32]:
    """Return the distance (H, W) of each pixel to a point.

    By numpy's square root, which rounds correctly: the last bit of `cv2.magnitude` depends on where in memory its
    arrays lie, and with it the draw of a seed.
    """
    y, x = offsets(shape, centre)
    return np.sqrt(y * y + x * x)

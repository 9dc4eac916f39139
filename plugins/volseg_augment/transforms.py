"""albumentations' transforms where its own do not keep labels honest, or are slow on float images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_augment.library import albumentations, cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTSIDE = -1
"""Label of what a warp brings in from beyond the window."""


class Affine(albumentations.Affine):  # type: ignore[misc]
    """Scale and rotate; the image is mirrored at its border, where the labels become -1.

    albumentations has one border mode for both and would invent labels by mirroring them too.
    """

    def apply_to_mask(
        self,
        mask: NDArray[np.float32],
        matrix: NDArray[np.float64],
        output_shape: tuple[int, int],
        **_: Any,
    ) -> NDArray[np.float32]:
        """Warp labels (H, W) by the nearest neighbour."""
        size = (output_shape[1], output_shape[0])
        return np.asarray(
            cv2.warpAffine(
                mask,
                matrix[:2],
                size,
                flags=cv2.INTER_NEAREST,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=OUTSIDE,
            )
        )


class Elastic(albumentations.ElasticTransform):  # type: ignore[misc]
    """Deform smoothly, with the borders of `Affine`.

    Nodes ``sigma`` pixels apart move by normal draws of standard deviation ``alpha`` pixels, cut at twice that, and
    cubic interpolation moves what lies between. albumentations smooths white noise instead, which costs 6 to 8
    times as much and, as its filter repeats the border's noise, moves corners by 20 standard deviations.
    """

    def get_params_dependent_on_data(
        self,
        params: dict[str, Any],
        data: dict[str, Any],  # noqa: ARG002 - albumentations' signature
    ) -> dict[str, Any]:
        """Return where each pixel of the window comes from, ``map_x`` and ``map_y`` (H, W)."""
        height, width = params["shape"][:2]
        step = round(self.sigma)
        rows, columns = math.ceil(height / step) + 1, math.ceil(width / step) + 1
        draws = self.random_generator.standard_normal((2, rows, columns), dtype=np.float32)
        moves = np.clip(draws, -2, 2) * np.float32(self.alpha)
        size = (columns * step, rows * step)
        # the first node lies half a step inside what OpenCV returns
        window = slice(step // 2, step // 2 + height), slice(step // 2, step // 2 + width)
        dy, dx = (cv2.resize(each, size, interpolation=cv2.INTER_CUBIC)[window] for each in moves)
        y, x = np.ogrid[:height, :width]
        return {"map_x": dx + x.astype(np.float32), "map_y": dy + y.astype(np.float32)}

    def apply_to_mask(
        self,
        mask: NDArray[np.float32],
        map_x: NDArray[np.float32],
        map_y: NDArray[np.float32],
        **_: Any,
    ) -> NDArray[np.float32]:
        """Warp labels (H, W) by the nearest neighbour."""
        return np.asarray(
            cv2.remap(
                mask,
                map_x,
                map_y,
                interpolation=cv2.INTER_NEAREST,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=OUTSIDE,
            )
        )


class Contrast(albumentations.RandomBrightnessContrast):  # type: ignore[misc]
    """Change contrast around the image's mean, then brightness.

    albumentations 2.0.8 scales around 0, so that more contrast is also more brightness, and takes a detour through
    float64 that costs ten times as much on images of several channels.
    """

    def apply(self, img: NDArray[np.float32], alpha: float, beta: float, **_: Any) -> NDArray[np.float32]:
        """Return ``(img - mean) * alpha + mean + beta`` within [0, 1]."""
        mean = float(img.mean())
        changed = img * np.float32(alpha)
        changed += np.float32(mean * (1 - alpha) + beta)
        return np.clip(changed, 0, 1, out=changed)


class Shot(albumentations.ImageOnlyTransform):  # type: ignore[misc]
    """Add noise whose deviation grows with the root of the signal, up to ``strength`` where the image is 1.

    It is the Gaussian limit of Poisson noise, of counted electrons or photons.
    """

    def __init__(self, strength: float, p: float) -> None:
        super().__init__(p=p)
        self.strength = strength

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - albumentations' signature
        """Return the ``noise`` (H, W, C) where the image is 1."""
        deviation = np.float32(self.py_random.uniform(0, self.strength))
        return {"noise": deviation * self.random_generator.standard_normal(params["shape"], np.float32)}

    def apply(self, img: NDArray[np.float32], noise: NDArray[np.float32], **_: Any) -> NDArray[np.float32]:
        """Return ``img + noise sqrt(img)`` within [0, 1]."""
        noisy = noise.reshape(img.shape) * np.sqrt(np.maximum(img, 0))
        noisy += img
        return np.clip(noisy, 0, 1, out=noisy)

"""Grey values of boxes: blur, contrast, brightness, gamma and noise. Nothing is clipped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from volseg_augment.library import cv2
from volseg_augment.steps import BLUR
from volseg_augment.volumes.box import Chance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from volseg_augment.volumes.box import Box, Image, Step

FAINT = 0.2
"""Deviations in voxels below which a Gaussian leaves nearly everything in its voxel."""


class Blur:
    """Blur by a Gaussian of 0.5 to 1.2 voxels of the finest spacing, but not across thick sections."""

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return the blurred box; its border is mirrored."""
        sigmas = random.uniform(*BLUR) / box.relative
        if box.thick is not None:
            sigmas[box.thick] = 0
        return replace(box, image=blurred(box.image, sigmas))


def blurred(image: Image, sigmas: NDArray[np.float64]) -> Image:
    """Return an image (C, D, H, W) blurred by Gaussians of three deviations in voxels."""
    depth, rows, columns = (_kernel(sigma) for sigma in sigmas)
    one, border = np.ones(1, np.float32), cv2.BORDER_REFLECT_101
    result = np.empty(image.shape, np.float32)
    for index in np.ndindex(*image.shape[:2]):
        result[index] = cv2.sepFilter2D(np.ascontiguousarray(image[index]), -1, columns, rows, borderType=border)
    if len(depth) > 1 and image.shape[1] > 1:
        flat = result.reshape(*image.shape[:2], -1)
        for channel in range(len(flat)):
            flat[channel] = cv2.sepFilter2D(flat[channel], -1, one, depth, borderType=border)
    return result


def _kernel(sigma: float) -> NDArray[np.float32]:
    if sigma < FAINT:
        return np.ones(1, np.float32)
    kernel: NDArray[np.float32] = cv2.getGaussianKernel(2 * int(np.ceil(3 * sigma)) + 1, sigma, cv2.CV_32F)
    return kernel


@dataclass(frozen=True)
class Contrast:
    """Change contrast around the image's mean by up to ``contrast``, then brightness by up to ``brightness``."""

    contrast: float
    brightness: float

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return ``(image - mean) * gain + mean + shift``."""
        gain = 1 + random.uniform(-self.contrast, self.contrast)
        shift = random.uniform(-self.brightness, self.brightness)
        image = box.image * np.float32(gain)
        image += np.float32(float(box.image.mean()) * (1 - gain) + shift)
        return replace(box, image=image)


@dataclass(frozen=True)
class Gamma:
    """Raise to a power between ``1 / (1 + gamma)`` and ``1 + gamma``; negative values keep their sign."""

    gamma: float

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return ``sign(image) * abs(image) ** power``."""
        power = random.uniform(1 / (1 + self.gamma), 1 + self.gamma)
        flat = np.ascontiguousarray(box.image).reshape(len(box.image), -1)
        raised = cv2.pow(np.abs(flat), power).reshape(box.image.shape)
        return replace(box, image=np.copysign(raised, box.image))


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise, noise that grows with the signal, or both, each with probability ``p``.

    The variance is ``a² + b² x`` with a up to ``noise`` and b up to ``shot``: constant from the electronics, and the
    Gaussian limit of Poisson noise of counted electrons or photons (Foi et al. 2008, 10.1109/TIP.2008.2001399).
    """

    noise: float
    shot: float
    p: float

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return the noisy box."""
        constant, counted = (
            random.uniform(0, most) if most and random.random() < self.p else 0.0 for most in (self.noise, self.shot)
        )
        if not constant and not counted:
            return box
        variance = np.float32(constant**2) + np.float32(counted**2) * (np.maximum(box.image, 0) if counted else 0)
        added: Image = np.asarray(random.standard_normal(box.image.shape, np.float32), np.float32)
        np.multiply(added, np.sqrt(variance), out=added)
        return replace(box, image=np.add(added, box.image, out=added))


def tones(
    *, brightness: float, contrast: float, gamma: float, noise: float, shot: float, blur: float, p: float
) -> list[Step]:
    """Return the steps that change grey values only; a strength or probability of 0 leaves its step out."""
    steps: list[Step] = [Chance(blur, Blur())] if blur else []
    if p and (brightness or contrast):
        steps.append(Chance(p, Contrast(contrast, brightness)))
    if p and gamma:
        steps.append(Chance(p, Gamma(gamma)))
    if p and (noise or shot):
        steps.append(Noise(noise, shot, p))
    return steps

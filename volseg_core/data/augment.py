"""Augmenting windows: slices, boxes, and boxes plane by plane where an augmentation knows slices only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from volseg_core.data.truth import unlabelled

Array = np.ndarray[Any, Any]

_EXACT = 1 << 24
"""Numbers below this one are exact in float32, in which libraries warp labels."""


@dataclass(frozen=True)
class Space:
    """How a box lies in its volume: spacing (z, y, x), None where unknown, and the axis that differs, if any."""

    spacing: tuple[float, float, float] | None = None
    thick: int | None = None


def augmented(augment: Any, unit: Array, truth: Array, seed: int, space: Space | None = None) -> tuple[Array, Array]:
    """Return an augmented window: image (C, P, H, W) in [0, 1] with its truth (K, D, H, W), of the same type.

    ``space`` is given for boxes, where P = D; an augmentation with a method ``box`` takes them as they are. To others
    planes are channels, so that one draw moves all alike: the planes of a box, or those of a slice and its neighbours
    (P = 1 + 2 k, D = 1). Truth that comes from outside is -1, in floats NaN.
    """
    if space is not None and (box := getattr(augment, "box", None)) is not None:
        image, truth = box(unit, truth, seed=seed, spacing=space.spacing, thick=space.thick)
        return image, truth
    channels, planes, height, width = unit.shape
    image = np.ascontiguousarray(np.moveaxis(unit.reshape(channels * planes, height, width), 0, -1))
    if space is None and _is_plain(truth):
        image, plane = augment(image, truth[0, 0].astype(np.int32), seed=seed)
        truth = plane[np.newaxis, np.newaxis].astype(truth.dtype)
    else:
        image, truth = _by_pixels(augment, image, truth, seed, stacked=space is None)
    height, width = truth.shape[-2:]
    return np.moveaxis(image, -1, 0).reshape(channels, planes, height, width), truth


def _is_plain(truth: Array) -> bool:
    """Return whether truth is one plane of labels that augmentations of slices take."""
    return truth.shape[:2] == (1, 1) and truth.dtype.kind in "iu" and int(truth.max()) < _EXACT


def _by_pixels(augment: Any, image: Array, truth: Array, seed: int, *, stacked: bool) -> tuple[Array, Array]:
    """Return an image (H, W, P) and all truth (K, D, H, W), which moves as the numbers of the pixels do.

    An odd number of channels means a slice between its neighbours, whose labels are those of the middle one: unless
    they are ``stacked`` like that, the last plane is repeated.
    """
    height, width, planes = image.shape
    if planes % 2 and not stacked:
        image = np.concatenate((image, image[..., -1:]), axis=-1)
    pixels = np.arange(height * width, dtype=np.int32).reshape(height, width)
    image, moved = augment(image, pixels, seed=seed)
    drawn = truth.reshape(*truth.shape[:2], -1).take(np.maximum(moved, 0), axis=2)
    drawn[..., moved < 0] = unlabelled(truth.dtype)
    return image[..., :planes], drawn

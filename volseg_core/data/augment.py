"""Augmenting windows: the augmentations of slices, applied to boxes plane by plane with one draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from volseg_core.data.truth import unlabelled

Array = np.ndarray[Any, Any]


def augmented(augment: Any, unit: Array, truth: Array, seed: int) -> tuple[Array, Array]:
    """Return a window that an augmentation of slices changed: image (C, P, H, W) in [0, 1], truth (K, D, H, W).

    The planes are channels to the augmentation, so that one draw moves them all alike, and noise differs from plane to
    plane. P is 1 + 2 k where one labelled plane stands between its neighbours, else P = D. Truth keeps its type.
    """
    channels, planes, height, width = unit.shape
    image = np.ascontiguousarray(np.moveaxis(unit.reshape(channels * planes, height, width), 0, -1))
    if truth.shape[:2] == (1, 1) and truth.dtype.kind != "f":
        image, plane = augment(image, truth[0, 0].astype(np.int32), seed=seed)
        truth = plane[np.newaxis, np.newaxis].astype(truth.dtype)
    else:
        image, truth = _moved(augment, image, truth, seed)
    height, width = truth.shape[2:]
    return np.moveaxis(image, -1, 0).reshape(channels, planes, height, width), truth


def _moved(augment: Any, image: Array, truth: Array, seed: int) -> tuple[Array, Array]:
    """Return an image (H, W, P) and all truth (K, D, H, W), which moves as the numbers of the pixels do.

    An odd number of channels would mean a slice between its neighbours, whose labels are those of the middle one: such
    an image of a box is given with its last plane repeated.
    """
    height, width, planes = image.shape
    if planes % 2 and truth.shape[1] > 1:
        image = np.concatenate((image, image[..., -1:]), axis=-1)
    pixels = np.arange(height * width, dtype=np.int32).reshape(height, width)
    image, moved = augment(image, pixels, seed=seed)
    drawn = truth.reshape(*truth.shape[:2], -1).take(np.maximum(moved, 0), axis=2)
    drawn[:, :, moved < 0] = unlabelled(truth.dtype)
    return image[..., :planes], drawn

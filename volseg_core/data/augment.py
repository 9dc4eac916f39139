"""Augmenting windows: the augmentations of slices, applied to boxes plane by plane with one draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from volseg_core.volume.labels import IGNORED

Array = np.ndarray[Any, Any]


def augmented(augment: Any, unit: Array, labels: Array, seed: int) -> tuple[Array, Array]:
    """Return a window that an augmentation of slices changed: image (C, P, H, W) in [0, 1], labels (D, H, W) int32.

    The planes are channels to the augmentation, so that one draw moves them all alike, and noise differs from plane to
    plane. P is 1 + 2 k where one labelled plane stands between its neighbours, else P = D.
    """
    channels, planes, height, width = unit.shape
    image = np.ascontiguousarray(np.moveaxis(unit.reshape(channels * planes, height, width), 0, -1))
    if len(labels) == 1:
        image, plane = augment(image, labels[0].astype(np.int32), seed=seed)
        labels = plane[np.newaxis]
    else:
        image, labels = _augmented_box(augment, image, labels, seed)
    height, width = labels.shape[1:]
    return np.moveaxis(image, -1, 0).reshape(channels, planes, height, width), labels


def _augmented_box(augment: Any, image: Array, labels: Array, seed: int) -> tuple[Array, Array]:
    """Return an image (H, W, P) and all labels (P, H, W), which move as the numbers of the pixels do.

    An odd number of channels would mean a slice between its neighbours, whose labels are those of the middle one: such
    an image is given with its last plane repeated.
    """
    height, width, planes = image.shape
    if planes % 2:
        image = np.concatenate((image, image[..., -1:]), axis=-1)
    pixels = np.arange(height * width, dtype=np.int32).reshape(height, width)
    image, moved = augment(image, pixels, seed=seed)
    drawn = labels.reshape(len(labels), -1).astype(np.int32).take(np.maximum(moved, 0), axis=1)
    drawn[:, moved < 0] = IGNORED
    return image[..., :planes], drawn

"""Structural similarity of a regression with its target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity

from volseg_core.api import DataError, UsageError
from volseg_metrics.inputs import WHERE, check_image, known_values
from volseg_metrics.scores import by_class

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


class StructuralSimilarity:
    """Structural similarity (Wang 2004, doi:10.1109/TIP.2003.819861) of each channel, in [-1, 1], 1 is best.

    Windows are squares in a slice and cubes in a volume, of even weight, as scikit-image has them by default. Only
    those count that lie inside the image and hold no voxel without a target; those of all updates are pooled. A
    channel without one has no score: nan, and left out of the mean. Each update is a whole slice (K, H, W) or volume
    (K, Z, Y, X).

    Args:
        window: edge of a window in voxels, odd.
        range: difference between the largest and the smallest value that there can be; None is that of each image's
            own target: one that is constant has no score, and scores of different images are hard to compare.
        classes: names of the channels.

    Raises:
        UsageError: ``window`` is even.
    """

    def __init__(self, *, window: int = 7, range: float | None = None, classes: Sequence[str]) -> None:  # noqa: A002
        if window % 2 == 0:
            raise UsageError("metric 'ssim'", f"window={window} is even", "A window has a middle: take an odd edge.")
        self.window, self.range = window, range
        self.classes = tuple(classes)
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._sums = np.zeros(len(self.classes))
        self._counts = np.zeros(len(self.classes), dtype=np.int64)

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add values (K, *S) and their target (K, *S); NaN in ``target`` or False in ``valid`` leaves an entry out.

        Raises:
            DataError: neither slice nor volume, or smaller than a window; shapes differ, an array is not of floats, or
                a value that counts is not finite.
        """
        known = known_values(prediction, target, valid, len(self.classes))
        check_image(target.shape[1:])
        if min(target.shape[1:]) < self.window:
            size = " x ".join(map(str, target.shape[1:]))
            hint = "Set ssim.window to an odd number that fits."
            raise DataError(WHERE, f"an image of {size} is smaller than a window of ssim, {self.window}", hint)
        for index, mask in enumerate(known):
            middles = ndimage.minimum_filter(mask, self.window, mode="constant", cval=0)
            if not middles.any():
                continue
            width = float(np.ptp(target[index][mask])) if self.range is None else self.range
            if width:
                values = self._similarity(prediction[index], target[index], mask, width)[middles]
                self._sums[index] += float(values.sum())
                self._counts[index] += values.size

    def compute(self) -> dict[str, float]:
        """Return the mean over channels as ``ssim`` and each channel's score as ``ssim/CHANNEL``."""
        pairs = zip(self._sums.tolist(), self._counts.tolist(), strict=True)
        scores = [total / count if count else math.nan for total, count in pairs]
        return by_class("ssim", dict(zip(self.classes, scores, strict=True)))

    def _similarity(self, prediction: Array, target: Array, known: Array, width: float) -> Array:
        """Return the similarity of the window around each voxel (*S); 0 stands in for what does not count."""
        ours, theirs = (np.where(known, image, 0).astype(np.float64) for image in (prediction, target))
        _, similarity = structural_similarity(theirs, ours, win_size=self.window, data_range=width, full=True)
        values: Array = similarity
        return values

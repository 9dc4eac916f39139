"""Defects of electron microscopy: of single sections and of the beam.

Lee et al. 2017 (arXiv:1706.00120) train with misaligned, missing and out-of-focus sections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_augment.library import albumentations, cv2
from volseg_augment.transforms import OUTSIDE

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

Box = tuple[slice, slice, slice]
ALL = slice(None)
BANDS = 6
"""Most places where the contrast jumps."""


def stacked(shape: tuple[int, ...]) -> bool:
    """Whether the channels may be a slice between its neighbours."""
    return shape[2] > 1 and shape[2] % 2 == 1


def band(draw: random.Random, shape: tuple[int, ...], thinnest: int, thickest: int) -> Box:
    """Return a random band of rows or of columns through all channels, no thicker than half the window."""
    axis = draw.randrange(2)
    size = shape[axis]
    thickness = min(draw.randint(thinnest, thickest), max(1, size // 2))
    start = draw.randint(0, size - thickness)
    rows = slice(start, start + thickness)
    return (rows, ALL, ALL) if axis == 0 else (ALL, rows, ALL)


def channel(draw: random.Random, shape: tuple[int, ...]) -> Box:
    """Return a random channel."""
    index = draw.randrange(shape[2])
    return ALL, ALL, slice(index, index + 1)


class Missing(albumentations.ImageOnlyTransform):  # type: ignore[misc]
    """Blank a band of up to ``thickness`` pixels, or a whole channel, in black or in one grey."""

    def __init__(self, thickness: int, p: float) -> None:
        super().__init__(p=p)
        self.thickness = thickness

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - albumentations' signature
        """Return the ``box`` to blank and its ``value``."""
        draw, shape = self.py_random, params["shape"]
        whole = stacked(shape) and draw.getrandbits(1)
        box = channel(draw, shape) if whole else band(draw, shape, 1, self.thickness)
        return {"box": box, "value": draw.choice((0.0, draw.random()))}

    def apply(self, img: NDArray[np.float32], box: Box, value: float, **_: Any) -> NDArray[np.float32]:
        """Return the image with the box filled."""
        blanked = img.copy()
        blanked[box] = value
        return blanked


class Defocus(albumentations.ImageOnlyTransform):  # type: ignore[misc]
    """Blur a section by a Gaussian of 0.5 to ``sigma`` pixels: a band, a channel, or a window of one section."""

    def __init__(self, sigma: float, p: float) -> None:
        super().__init__(p=p)
        self.sigma = sigma

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - albumentations' signature
        """Return the ``box`` to blur and the ``sigma``."""
        draw, shape = self.py_random, params["shape"]
        if draw.getrandbits(1):
            box = band(draw, shape, 1, max(shape[:2]))
        else:
            box = channel(draw, shape) if stacked(shape) else (ALL, ALL, ALL)
        return {"box": box, "sigma": draw.uniform(min(0.5, self.sigma), self.sigma)}

    def apply(self, img: NDArray[np.float32], box: Box, sigma: float, **_: Any) -> NDArray[np.float32]:
        """Return the image with the box blurred; what surrounds a band takes part in the blur."""
        margin = int(np.ceil(3 * sigma))
        rows, columns = (_grown(part, margin) for part in box[:2])
        around = np.ascontiguousarray(img[rows, columns, box[2]])
        blurred = cv2.GaussianBlur(around, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101).reshape(around.shape)
        inner = tuple(_within(part, grown) for part, grown in zip(box[:2], (rows, columns), strict=True))
        changed = img.copy()
        changed[box] = blurred[inner]
        return changed


class Jump(albumentations.ImageOnlyTransform):  # type: ignore[misc]
    """Give bands, or channels, contrast and brightness of their own.

    Contrast around the image's mean changes by up to ``strength``, brightness by up to half of that.
    """

    def __init__(self, strength: float, p: float) -> None:
        super().__init__(p=p)
        self.strength = strength

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - albumentations' signature
        """Return ``gain`` and ``offset``, broadcast along one axis of the image."""
        shape, random = params["shape"], self.random_generator
        if stacked(shape) and self.py_random.getrandbits(1):
            axis, member = 2, np.arange(shape[2])
        else:
            axis = int(random.integers(2))
            cuts = random.integers(1, max(shape[axis], 2), int(random.integers(1, BANDS + 1)))
            member = np.searchsorted(np.sort(cuts), np.arange(shape[axis]), side="right")
        one, other = random.uniform(-self.strength, self.strength, (2, int(member.max()) + 1)).astype(np.float32)
        along = [size if position == axis else 1 for position, size in enumerate(shape)]
        return {"gain": 1 + one[member].reshape(along), "offset": other[member].reshape(along) / 2}

    def apply(
        self, img: NDArray[np.float32], gain: NDArray[np.float32], offset: NDArray[np.float32], **_: Any
    ) -> NDArray[np.float32]:
        """Return ``(img - mean) * gain + mean + offset`` within [0, 1]."""
        changed = img * gain
        changed += img.mean() * (1 - gain) + offset
        return np.clip(changed, 0, 1, out=changed)


class Charging(albumentations.ImageOnlyTransform):  # type: ignore[misc]
    """Brighten or darken smoothly around a point: a Gaussian of height up to ``strength``, in all channels.

    Its standard deviations are a fifth to four fifths of the window's sides.
    """

    def __init__(self, strength: float, p: float) -> None:
        super().__init__(p=p)
        self.strength = strength

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - albumentations' signature
        """Return the ``pattern`` (H, W, 1)."""
        sides = []
        for size in params["shape"][:2]:
            centre, width = self.py_random.uniform(0, 1), self.py_random.uniform(0.2, 0.8)
            place = (np.arange(size, dtype=np.float32) / size - centre) / width
            sides.append(np.exp(-place * place / 2).astype(np.float32))
        height = np.float32(self.py_random.uniform(-self.strength, self.strength))
        return {"pattern": height * sides[0][:, None, None] * sides[1][:, None]}

    def apply(self, img: NDArray[np.float32], pattern: NDArray[np.float32], **_: Any) -> NDArray[np.float32]:
        """Return the image plus the pattern, within [0, 1]."""
        changed = img + pattern
        return np.clip(changed, 0, 1, out=changed)


class Shift(albumentations.DualTransform):  # type: ignore[misc]
    """Move rows, or columns, sideways by up to ``pixels`` after a cut, or between two: misaligned sections.

    What comes in from outside is mirrored and has the label -1. In a stack of channels, those beyond a cut on one
    side of the middle one are moved instead, and labels stay.
    """

    def __init__(self, pixels: int, p: float) -> None:
        super().__init__(p=p)
        self.pixels = pixels

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - albumentations' signature
        """Return the ``box`` that moves, and by how many rows and columns (``move``)."""
        draw, shape = self.py_random, params["shape"]
        move = [draw.choice((-1, 1)) * draw.randint(1, min(self.pixels, max(1, side // 4))) for side in shape[:2]]
        if stacked(shape) and draw.getrandbits(1):
            return {"box": (ALL, ALL, _beyond(draw, shape[2])), "move": tuple(move)}
        axis = draw.randrange(2)
        cut = draw.randint(1, max(1, shape[axis] - 1))
        until = shape[axis] if draw.getrandbits(1) else draw.randint(min(cut + 1, shape[axis]), shape[axis])
        move[axis] = 0
        box = (slice(cut, until), ALL, ALL) if axis == 0 else (ALL, slice(cut, until), ALL)
        return {"box": box, "move": tuple(move)}

    def apply(self, img: NDArray[np.float32], box: Box, move: tuple[int, int], **_: Any) -> NDArray[np.float32]:
        """Return the image with the box moved, mirrored at its border."""
        part = img[box]
        rows, columns = (mirrored(size, by) for size, by in zip(part.shape, move, strict=False))
        changed = img.copy()
        changed[box] = part[rows[:, None], columns]
        return changed

    def apply_to_mask(
        self, mask: NDArray[np.float32], box: Box, move: tuple[int, int], **_: Any
    ) -> NDArray[np.float32]:
        """Return the labels (H, W) moved with all channels, or as they are when only some have moved."""
        if box[2] != ALL:
            return mask
        part = mask[box[:2]]
        came = np.full_like(part, OUTSIDE)
        into, origin = zip(*(overlap(size, by) for size, by in zip(part.shape, move, strict=True)), strict=True)
        came[into] = part[origin]
        changed = mask.copy()
        changed[box[:2]] = came
        return changed


def _beyond(draw: random.Random, channels: int) -> slice:
    """Return the channels beyond a random cut on one side of the middle one."""
    middle = channels // 2
    cut = draw.randrange(middle)
    return slice(0, cut + 1) if draw.getrandbits(1) else slice(channels - 1 - cut, channels)


def mirrored(size: int, by: int) -> NDArray[np.intp]:
    """Return where each place of an axis comes from when all move ``by`` less than its size."""
    source: NDArray[np.intp] = np.abs(np.arange(size) - by)
    np.minimum(source, 2 * (size - 1) - source, out=source)
    return source


def overlap(size: int, by: int) -> tuple[slice, slice]:
    """Return the places of an axis that are still filled after a move, and where they come from."""
    return slice(max(by, 0), size + min(by, 0)), slice(max(-by, 0), size - max(by, 0))


def _grown(part: slice, margin: int) -> slice:
    return ALL if part == ALL else slice(max(0, part.start - margin), part.stop + margin)


def _within(part: slice, grown: slice) -> slice:
    return ALL if part == ALL else slice(part.start - grown.start, part.stop - grown.start)

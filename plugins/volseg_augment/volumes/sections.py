"""Defects of electron microscopy in boxes: of sections along z, or along the thick axis, and of the beam.

Lee et al. 2017 (arXiv:1706.00120) train with misaligned, missing and out-of-focus sections.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_augment.sections import BANDS, mirrored, overlap
from volseg_augment.volumes.tones import blurred

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from volseg_augment.volumes.box import Box, Image


def some(random: np.random.Generator, depth: int, most: int) -> slice:
    """Return a random run of 1 to ``most`` sections of ``depth``, at most half of them."""
    count = int(random.integers(1, max(1, min(most, depth // 2)) + 1))
    start = int(random.integers(depth - count + 1))
    return slice(start, start + count)


class Defect(ABC):
    """A change of grey values of some sections."""

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return the box with a new image."""
        image = box.image.copy()
        self.spoil(box.sections(image), box, random)
        return replace(box, image=image)

    @abstractmethod
    def spoil(self, sections: Image, box: Box, random: np.random.Generator) -> None:
        """Change an image (C, sections, rows, columns) in place."""


@dataclass(frozen=True)
class Missing(Defect):
    """Blank up to ``thickness`` sections, one where they are thick, in black or in one grey. Labels stay."""

    thickness: int

    def spoil(self, sections: Image, box: Box, random: np.random.Generator) -> None:
        """Fill them with one value."""
        lost = some(random, sections.shape[1], self.thickness if box.thick is None else 1)
        sections[:, lost] = random.random() * random.integers(2)


@dataclass(frozen=True)
class Coarse(Defect):
    """Show up to ``count`` sections as their mean: one was cut too thick. Labels stay."""

    count: int

    def spoil(self, sections: Image, box: Box, random: np.random.Generator) -> None:  # noqa: ARG002 - one signature
        """Replace neighbours by their mean."""
        count = min(int(random.integers(2, max(self.count, 2) + 1)), sections.shape[1])
        start = int(random.integers(sections.shape[1] - count + 1))
        together = slice(start, start + count)
        sections[:, together] = sections[:, together].mean(axis=1, keepdims=True)


@dataclass(frozen=True)
class Defocus(Defect):
    """Blur sections in their plane by a Gaussian of 0.5 to ``sigma`` pixels: one, or a run of up to half of all."""

    sigma: float

    def spoil(self, sections: Image, box: Box, random: np.random.Generator) -> None:  # noqa: ARG002 - one signature
        """Replace a run of sections by blurred ones."""
        run = some(random, sections.shape[1], 1 if random.integers(2) else sections.shape[1])
        sigma = random.uniform(min(0.5, self.sigma), self.sigma)
        sections[:, run] = blurred(sections[:, run], np.array([0, sigma, sigma]))


@dataclass(frozen=True)
class Jump(Defect):
    """Give runs of sections contrast and brightness of their own, or every section.

    Contrast around the image's mean changes by up to ``strength``, brightness by up to half of that.
    """

    strength: float

    def spoil(self, sections: Image, box: Box, random: np.random.Generator) -> None:  # noqa: ARG002 - one signature
        """Scale and shift them."""
        depth = sections.shape[1]
        member = np.arange(depth)
        if random.integers(2):
            cuts = np.sort(random.integers(1, max(depth, 2), int(random.integers(1, BANDS + 1))))
            member = np.searchsorted(cuts, member, side="right")
        one, other = random.uniform(-self.strength, self.strength, (2, int(member.max()) + 1)).astype(np.float32)
        gain, shift = 1 + one[member][:, None, None], other[member][:, None, None] / 2
        mean = np.float32(sections.mean())
        sections *= gain
        sections += mean * (1 - gain) + shift


@dataclass(frozen=True)
class Charging(Defect):
    """Brighten or darken smoothly around a point: a Gaussian of height up to ``strength``.

    Its standard deviations are a fifth to four fifths of the box's sides.
    """

    strength: float

    def spoil(self, sections: Image, box: Box, random: np.random.Generator) -> None:  # noqa: ARG002 - one signature
        """Add the Gaussian."""
        across, rows, columns = (_bell(random, size) for size in sections.shape[1:])
        height = np.float32(random.uniform(-self.strength, self.strength))
        sections += height * across[:, None, None] * (rows[:, None] * columns)


def _bell(random: np.random.Generator, size: int) -> NDArray[np.float32]:
    centre, width = random.random(), random.uniform(0.2, 0.8)
    place = (np.arange(size) / size - centre) / width
    bell: NDArray[np.float32] = np.exp(-place * place / 2).astype(np.float32)
    return bell


@dataclass(frozen=True)
class Shift:
    """Move the sections beyond a cut, or between two, sideways by up to ``pixels``: they are misaligned.

    Truth moves with them. What comes in from outside is mirrored, and its truth unknown.
    """

    pixels: int

    def __call__(self, box: Box, random: np.random.Generator) -> Box:
        """Return the box with moved sections."""
        image, truth = box.image.copy(), box.truth.copy()
        sections, marks = box.sections(image), box.sections(truth)
        depth, *sides = sections.shape[1:]
        if depth == 1:
            return box
        start = int(random.integers(1, depth))
        run = slice(start, depth if random.integers(2) else int(random.integers(start, depth)) + 1)
        most = [min(self.pixels, max(1, side // 4), side - 1) for side in sides]
        down, right = (int(random.integers(-each, each + 1)) for each in most)
        sections[:, run] = moved(sections[:, run], (down, right))
        marks[:, run] = moved(marks[:, run], (down, right), box.unknown)
        return replace(box, image=image, truth=truth)


def moved(array: NDArray[Any], by: tuple[int, int], fill: float | None = None) -> NDArray[Any]:
    """Return planes (..., H, W) moved by rows and columns: mirrored at the border, or filled with a value."""
    sides = array.shape[-2:]
    if fill is None:
        rows, columns = (mirrored(size, step) for size, step in zip(sides, by, strict=True))
        reflected: NDArray[Any] = array[..., rows[:, None], columns]
        return reflected
    result = np.full_like(array, fill)
    into, origin = zip(*(overlap(size, step) for size, step in zip(sides, by, strict=True)), strict=True)
    result[..., into[0], into[1]] = array[..., origin[0], origin[1]]
    return result

"""A right augmentation and, for each rule, an augmentation that breaks it."""

from __future__ import annotations

from typing import Any

import numpy as np

from volseg_core.api import Augmentation


def described(target: str, summary: str) -> Augmentation:
    return Augmentation(name=target.lower(), target=f"augmentation:{target}", summary=summary, licence="MIT")


class Right:
    """A mirror image, and noise."""

    def __call__(self, image: Any, labels: Any, seed: int) -> Any:
        return self.draw(image, labels, np.random.default_rng(seed))

    def draw(self, image: Any, labels: Any, random: Any) -> Any:
        step = random.choice((-1, 1))
        noisy = image[:, ::step] + random.normal(0, 0.02, image.shape)
        return np.clip(noisy, 0, 1).astype(np.float32), labels[:, ::step].copy()


class OneChannel(Right):
    def draw(self, image: Any, labels: Any, random: Any) -> Any:
        return super().draw(image.reshape(*labels.shape, 1), labels, random)


class Turns(Right):
    def draw(self, image: Any, labels: Any, random: Any) -> Any:
        image, labels = super().draw(image, labels, random)
        return np.ascontiguousarray(image.swapaxes(0, 1)), np.ascontiguousarray(labels.T)


class Doubles(Right):
    def draw(self, image: Any, labels: Any, random: Any) -> Any:
        image, labels = super().draw(image, labels, random)
        return image.astype(np.float64), labels


class Overflows(Right):
    def draw(self, image: Any, labels: Any, random: Any) -> Any:
        image, labels = super().draw(image, labels, random)
        return image * np.float32(1.5), labels


class Interpolates(Right):
    def draw(self, image: Any, labels: Any, random: Any) -> Any:
        image, labels = super().draw(image, labels, random)
        return image, np.where(labels == 1, 7, labels).astype(np.int32)


class MirrorsTheImage(Right):
    def draw(self, image: Any, labels: Any, random: Any) -> Any:
        return super().draw(image, labels, random)[0], labels.copy()


class Numbered(Right):
    """Every call draws something else."""

    calls = 0

    def draw(self, image: Any, labels: Any, random: Any) -> Any:
        self.calls += 1
        return super().draw(image, labels, np.random.default_rng(self.calls))


class OneSeed(Right):
    def __call__(self, image: Any, labels: Any, seed: int) -> Any:
        return self.draw(image, labels, np.random.default_rng(0))


class Global(Right):
    def __call__(self, image: Any, labels: Any, seed: int) -> Any:
        np.random.seed(seed)  # noqa: NPY002
        return self.draw(image, labels, np.random)


class Overwrites(Right):
    def draw(self, image: Any, labels: Any, random: Any) -> Any:
        image += 0.001
        return super().draw(image, labels, random)


class HoldsALambda(Right):
    def __init__(self) -> None:
        self.step = lambda: None


class RightBox(Right):
    """The same of boxes."""

    def box(self, image: Any, truth: Any, seed: int, *, spacing: Any, thick: Any) -> Any:
        return self.draw_box(image, truth, np.random.default_rng(seed))

    def draw_box(self, image: Any, truth: Any, random: Any) -> Any:
        step = random.choice((-1, 1))
        noisy = image[:, ::step] + random.normal(0, 0.02, image.shape)
        return noisy.astype(np.float32), truth[:, ::step].copy()


class CubesOnly(RightBox):
    def draw_box(self, image: Any, truth: Any, random: Any) -> Any:
        return super().draw_box(image.reshape(-1, *image.shape[-1:] * 3), truth, random)


class BoxesOfIntegers(RightBox):
    def draw_box(self, image: Any, truth: Any, random: Any) -> Any:
        image, truth = super().draw_box(image, truth, random)
        return image, np.nan_to_num(truth, nan=-1).astype(np.int32)


class BrightBoxes(RightBox):
    def draw_box(self, image: Any, truth: Any, random: Any) -> Any:
        image, truth = super().draw_box(image, truth, random)
        return image * np.float32(10), truth


class InterpolatesBoxes(RightBox):
    def draw_box(self, image: Any, truth: Any, random: Any) -> Any:
        image, truth = super().draw_box(image, truth, random)
        return image, np.where(truth == 1, 3, truth).astype(truth.dtype)


class MirrorsTheBox(RightBox):
    def draw_box(self, image: Any, truth: Any, random: Any) -> Any:
        return super().draw_box(image, truth, random)[0], truth.copy()


class DrawsByTruth(RightBox):
    def draw_box(self, image: Any, truth: Any, random: Any) -> Any:
        random.random(len(truth))
        return super().draw_box(image, truth, random)


class OverwritesBoxes(RightBox):
    def draw_box(self, image: Any, truth: Any, random: Any) -> Any:
        image += 0.001
        return super().draw_box(image, truth, random)


RIGHT = [
    (described("Right", "mirror and noise"), {}),
    (described("RightBox", "mirror and noise of boxes"), {}),
]
WRONG = {
    "works": (described("OneChannel", "takes one channel only"), "with a window of (32, 32, 3) it raised ValueError"),
    "shape": (described("Turns", "turns oblong windows"), "seed 0 turns the image from (24, 40, 1) to (40, 24, 1)"),
    "types": (described("Doubles", "makes the image float64"), "seed 0 makes the image float64"),
    "range": (described("Overflows", "makes the image brighter than 1"), "seed 0 gives values from"),
    "labels": (described("Interpolates", "makes labels of its own"), "seed 0 makes 7 of them"),
    "aligned": (described("MirrorsTheImage", "mirrors the image and not the labels"), "of 12 draws"),
    "same-seed": (described("Numbered", "draws by the number of the call"), "seed 5 does not"),
    "other-seeds": (described("OneSeed", "draws the same for every seed"), "12 seeds give one and the same"),
    "global-state": (described("Global", "seeds numpy's global generator"), "it moved one on"),
    "untouched": (described("Overwrites", "adds to the image that it is given"), "it changed them"),
    "pickle": (described("HoldsALambda", "keeps a lambda"), "packed and unpacked it raised"),
    "box-works": (described("CubesOnly", "takes cubes only"), "with a box of (2, 8, 24, 32) it raised ValueError"),
    "box-keeps": (
        described("BoxesOfIntegers", "makes truth integers"),
        "seed 0 turns the truth from (2, 24, 24, 24) float32 to (2, 24, 24, 24) int32",
    ),
    "box-range": (described("BrightBoxes", "makes boxes ten times as bright"), "seed 0 gives values from"),
    "box-truth": (described("InterpolatesBoxes", "makes truth of its own"), "seed 0 makes 3 of it"),
    "box-aligned": (described("MirrorsTheBox", "mirrors the image and not the truth"), "of 12 draws"),
    "box-same-seed": (described("DrawsByTruth", "draws by the truth"), "another image with truth of floats"),
    "box-untouched": (described("OverwritesBoxes", "adds to the box that it is given"), "it changed them"),
}

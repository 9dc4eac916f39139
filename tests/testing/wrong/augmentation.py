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


RIGHT = [(described("Right", "mirror and noise"), {})]
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
}

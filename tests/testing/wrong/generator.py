"""A right generator and, for each rule, a generator that breaks it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from volseg_core.api import Generator, Param, Sample


def described(target: str, summary: str) -> Generator:
    params = {"seed": Param("int", 0, "The same seed gives the same volume.", min=0)}
    return Generator(name=target.lower(), target=f"generator:{target}", summary=summary, params=params, licence="MIT")


class Right:
    def __init__(self, *, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)

    def generate(self) -> Any:
        labels = self.random.integers(0, 2, (3, 4, 5)).astype(np.uint8)
        data = labels * 100 + self.random.normal(0, 1, labels.shape)
        return Sample(data, labels, ("background", "object"), (1.0, 1.0, 1.0), "nm", {"distance": data})


class Pair(Right):
    def generate(self) -> Any:
        sample = super().generate()
        return sample.data, sample.labels


class Slice(Right):
    def generate(self) -> Any:
        sample = super().generate()
        return replace(sample, data=sample.data[0], labels=sample.labels[0], extra={})


class FloatLabels(Right):
    def generate(self) -> Any:
        sample = super().generate()
        return replace(sample, labels=sample.labels.astype(float))


class OneName(Right):
    def generate(self) -> Any:
        return replace(super().generate(), classes=("background",))


class FlatSpacing(Right):
    def generate(self) -> Any:
        return replace(super().generate(), spacing=(1.0, 1.0))


class ScalarExtra(Right):
    def generate(self) -> Any:
        return replace(super().generate(), extra={"count": 3})


class Clock(Right):
    calls = itertools.count()

    def generate(self) -> Any:
        sample = super().generate()
        return replace(sample, data=sample.data + next(self.calls))


class Seedless(Right):
    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=0)


RIGHT = [(described("Right", "random voxels"), {})]
WRONG = {
    "works": (described("Pair", "returns a pair of arrays"), "it returned tuple"),
    "data": (described("Slice", "makes a slice"), "it is float64 of shape (4, 5)"),
    "labels": (described("FloatLabels", "makes labels of floats"), "they are float64 of shape (3, 4, 5)"),
    "classes": (described("OneName", "names one of two classes"), "there are 1 and labels from 0 to 1"),
    "spacing": (described("FlatSpacing", "gives the sizes of two axes"), "it is (1.0, 1.0)"),
    "extra": (described("ScalarExtra", "adds a number to its arrays"), "'count' is of shape ()"),
    "deterministic": (described("Clock", "changes from call to call"), "the second is another"),
    "seed": (described("Seedless", "ignores its seed"), "1 gives the volume of 0"),
}

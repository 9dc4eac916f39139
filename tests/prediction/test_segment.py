"""Pieces of the block task."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from volseg_core.api import MergeResult
from volseg_core.errors import ResourceError
from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.prediction.plan import Plan
from volseg_core.prediction.segment import Segmenter, softmax
from volseg_core.recipe import PredictBlock
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule, preset


def test_softmax_in_numpy_and_torch():
    logits = np.random.default_rng(0).normal(0, 30, (2, 4, 5, 6)).astype(np.float32)
    expected = torch.softmax(torch.from_numpy(logits), 1)
    np.testing.assert_allclose(softmax(logits), expected.numpy(), atol=1e-6)
    torch.testing.assert_close(softmax(torch.from_numpy(logits)), expected, atol=1e-6, rtol=0)


class Recorder:
    """A merge that keeps what it receives, as float64 sums."""

    def start(self, shape, classes, views):
        self.sums, self.seen = np.zeros((classes, *shape)), np.zeros(shape)
        self.views = views

    def add(self, probabilities, where, view, weight=1):
        self.sums[(slice(None), *where)] += weight * np.asarray(probabilities)
        self.seen[where] += weight

    def result(self, where, wanted=("labels",)):
        return MergeResult(self.sums[(slice(None), *where)].argmax(0))


class Threshold:
    """A runtime whose logits say how bright the pixel is, with a memory for so many pixels."""

    device = "cpu"

    def __init__(self, pixels=1_000_000):
        self.pixels, self.refused = pixels, []

    def run(self, batch):
        if batch.size > self.pixels:
            self.refused.append(batch.size)
            raise MemoryError
        return np.concatenate([-batch, batch], axis=1)

    def free_bytes(self):
        return None


def segmenter(runtime, data, **rule):
    classes = ClassMap((ClassName(0, "dark"), ClassName(1, "bright")))
    model = ModelSpec((HeadSpec("multiclass", classes),), 1, Normalisation(), "zyx", SizeRule.same(8, 8, 2))
    plan = Plan(tuple(preset("high")), ("labels",), PredictBlock(**rule), model)
    done = []
    return Segmenter(plan, runtime, Normalisation().fit(data), done.append), done


DATA = np.random.default_rng(1).integers(0, 255, (1, 7, 13, 10), dtype=np.uint8)


def test_every_view_reaches_every_voxel_in_its_own_place():
    work, done = segmenter(Threshold(), DATA)
    merge = Recorder()
    work.block(DATA, merge)
    assert merge.views == 12
    assert (merge.seen == 12).all()
    assert sum(done) == 4 * (7 + 13 + 10)
    expected = softmax(np.stack([-(x := work.normaliser(DATA)[0]), x])[None])[0]
    np.testing.assert_allclose(merge.sums / 12, expected, atol=1e-5)


def test_a_batch_that_exhausts_memory_is_halved_and_the_result_is_the_same():
    whole, small = Recorder(), Recorder()
    segmenter(Threshold(), DATA, batch=8)[0].block(DATA, whole)
    runtime = Threshold(pixels=600)
    segmenter(runtime, DATA, batch=8)[0].block(DATA, small)
    np.testing.assert_allclose(small.sums, whole.sums)
    assert runtime.refused == [7 * 256, 3 * 256], "what did not fit once is not tried again"


def test_one_window_too_many_is_an_error_with_a_way_out():
    with pytest.raises(ResourceError, match=r"one window of 16 x 16 does not fit .* predict.window=256"):
        segmenter(Threshold(pixels=0), DATA)[0].block(DATA, Recorder())


class Owners(Recorder):
    """A merge that remembers which arrays it was given, without keeping them."""

    def __init__(self):
        self.given = []

    def add(self, probabilities, where, view, weight=1):
        super().add(probabilities, where, view, weight)
        owner = probabilities
        while owner.base is not None:
            owner = owner.base
        self.given.append(weakref.ref(owner))


class Alone(Threshold):
    """A runtime that counts the probabilities that are still in memory when it runs."""

    def __init__(self, merge):
        super().__init__()
        self.merge, self.alive = merge, []

    def run(self, batch):
        self.alive.append(sum(each() is not None for each in self.merge.given))
        return super().run(batch)


def test_no_probabilities_are_in_memory_while_the_network_runs():
    merge = Owners()
    runtime = Alone(merge)
    segmenter(runtime, DATA, batch=2)[0].block(DATA, merge)
    assert len(runtime.alive) == len(merge.given) == 4 * (4 + 7 + 5)
    assert not any(runtime.alive)

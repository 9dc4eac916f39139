"""Memory of a prediction around the network: the merge's declared state, and no float volume per class."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.prediction.arrays import Memory, Merges, Streamed, array_specs, write_result
from volseg_core.prediction.plan import Plan
from volseg_core.prediction.segment import Segmenter
from volseg_core.recipe import PredictBlock
from volseg_core.registry import load_registry
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule, preset
from volseg_core.volume.blocks import whole_volume

CLASSES = 4
SHAPE = (96, 192, 192)
VOXELS = int(np.prod(SHAPE))


class Bands:
    """A runtime whose classes are bands of grey."""

    device = "cpu"

    def run(self, batch):
        centres = np.linspace(-1.5, 1.5, CLASSES, dtype=np.float32).reshape(1, -1, 1, 1)
        return -np.abs(batch - centres)

    def free_bytes(self):
        return None


def segmenter(quality, wanted, data):
    classes = ClassMap(tuple(ClassName(index, str(index)) for index in range(CLASSES)))
    spec = ModelSpec((HeadSpec("multiclass", classes),), 1, Normalisation(), "zyx", SizeRule.same(32, 32, 2))
    plan = Plan(tuple(preset(quality)), wanted, PredictBlock(), spec)
    return Segmenter(plan, Bands(), Normalisation().fit(data), lambda _: None)


@pytest.mark.parametrize(
    ("merge", "state", "wanted"),
    [
        ("mean", 2 * (CLASSES - 1), ("labels",)),
        ("mean", 2 * (CLASSES - 1) + 4, ("labels", "variance")),
        ("max", 4, ("labels",)),
        ("vote", CLASSES, ("labels",)),
        ("geometric", 4 * CLASSES, ("labels",)),
    ],
)
def test_peak_is_the_state_and_the_labels_and_a_few_batches(merge, state, wanted):
    data = np.random.default_rng(0).integers(0, 255, (1, *SHAPE), dtype=np.uint8)
    work = segmenter("medium", wanted, data)
    plan, (head,) = work.plan, work.plan.spec.heads
    catalog = load_registry().catalog
    sink = Memory(array_specs(plan, SHAPE))
    block = whole_volume(SHAPE)[0]
    tracemalloc.start()
    merging = catalog.build(catalog.find("merge", merge), {}, plan.merge_context(head))
    work.block(data, merging)
    write_result(merging, head, block, wanted, sink)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    batch = 4 * 256 * 256 * CLASSES * 4
    slab = 12_000_000 if "variance" in wanted else 0  # a variance is finished in 32 bits, slab by slab
    assert peak < VOXELS * state + 6 * batch + slab
    assert len(np.unique(sink.arrays["labels"])) == CLASSES


def test_one_view_needs_the_state_of_a_slab_however_deep_the_volume_is():
    peaks = []
    catalog = load_registry().catalog
    for depth in (192, 768):
        data = np.random.default_rng(0).integers(0, 255, (1, depth, 64, 64), dtype=np.uint8)
        work = segmenter("low", ("labels",), data)
        assert work.plan.in_order
        sink = Memory(array_specs(work.plan, data.shape[1:]))
        context = work.plan.merge_context(work.plan.spec.heads[0])
        tracemalloc.start()
        states = [catalog.build(catalog.find("merge", "mean"), {}, context)]
        work.block(data, Streamed(Merges(work.plan, states), sink))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(np.unique(sink.arrays["labels"])) == CLASSES
    state = 2 * (CLASSES - 1) * 64 * 64
    assert peaks[1] - peaks[0] < (768 - 192) * state / 4

"""Memory of a prediction around the network: the merge's declared state, and no float volume per class."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.prediction.arrays import Memory, array_specs, write_result
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
    classes = ClassMap(tuple(ClassName(index, str(index)) for index in range(CLASSES)))
    spec = ModelSpec((HeadSpec("multiclass", classes),), 1, Normalisation(), "zyx", SizeRule.same(32, 32, 2))
    plan = Plan(tuple(preset("medium")), wanted, PredictBlock(), spec)
    data = np.random.default_rng(0).integers(0, 255, (1, *SHAPE), dtype=np.uint8)
    work = Segmenter(plan, Bands(), Normalisation().fit(data), lambda _: None)
    catalog = load_registry().catalog
    sink = Memory(array_specs(plan, SHAPE))
    block = whole_volume(SHAPE)[0]
    tracemalloc.start()
    merging = catalog.build(catalog.find("merge", merge), {}, plan.merge_context(spec.heads[0]))
    work.block(data, merging)
    write_result(merging, spec.heads[0], block, wanted, sink)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    batch = 4 * 256 * 256 * CLASSES * 4
    slab = 12_000_000 if "variance" in wanted else 0  # a variance is finished in 32 bits, slab by slab
    assert peak < VOXELS * state + 6 * batch + slab
    assert len(np.unique(sink.arrays["labels"])) == CLASSES

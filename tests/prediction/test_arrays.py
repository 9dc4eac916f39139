"""Arrays of a prediction: names, shapes and types by head, and the merges that fill them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.prediction.arrays import Memory, Merges, Streamed, array_specs, asked_arrays
from volseg_core.prediction.plan import Plan
from volseg_core.recipe import PredictBlock
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule, View
from volseg_core.volume.blocks import whole_volume
from volseg_merges.values import mean

SHAPE = (3, 4, 5)
CELLS = ClassMap((ClassName(0, "ground"), ClassName(300, "cell")))


def channels(count: int) -> ClassMap:
    return ClassMap(tuple(ClassName(number, f"channel {number}") for number in range(count)))


HEADS = (
    HeadSpec("binary", CELLS, "cells"),
    HeadSpec("multilabel", channels(2), "rims"),
    HeadSpec("regression", channels(1), "depth"),
)


def plan(*heads: HeadSpec, wanted: tuple[str, ...] = ("labels",)) -> Plan:
    spec = ModelSpec(heads, 1, Normalisation(), "z", SizeRule.same(8, 8, 2))
    return Plan(((View(), 1), (View.parse("y"), 1)), wanted, PredictBlock(), spec)


def described(made: Plan) -> dict[str, tuple[tuple[int, ...], str, str]]:
    return {name: (tuple(spec.shape), spec.dtype, spec.axes) for name, spec in array_specs(made, SHAPE).items()}


def test_results_are_those_of_all_heads():
    made = plan(*HEADS)
    assert made.results == 2 + 2 + 1
    assert [(head.name, part) for head, part in made.parts] == [
        ("cells", slice(0, 2)),
        ("rims", slice(2, 4)),
        ("depth", slice(4, 5)),
    ]
    assert made.merge_context(HEADS[1]) == {
        "views": ["z,y,x", "y,z,x"],
        "classes": ["channel 0", "channel 1"],
        "wanted": ("probabilities",),
        "task": "multilabel",
    }


def test_arrays_have_the_name_of_their_head():
    assert described(plan(*HEADS, wanted=("labels", "confidence"))) == {
        "cells_labels": (SHAPE, "uint16", "zyx"),
        "cells_confidence": (SHAPE, "uint8", "zyx"),
        "rims_probabilities": ((2, *SHAPE), "float16", "czyx"),
        "depth_values": ((1, *SHAPE), "float32", "czyx"),
    }


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        ("multilabel", {"probabilities": ((3, *SHAPE), "float16", "czyx")}),
        ("regression", {"values": ((3, *SHAPE), "float32", "czyx")}),
    ],
)
def test_an_only_head_without_classes_gives_one_array(task, wanted):
    assert described(plan(HeadSpec(task, channels(3)), wanted=("labels", "probabilities"))) == wanted


@pytest.mark.parametrize(
    ("wanted", "taken", "asked"),
    [
        (("labels",), (), ("cells_labels", "rims_probabilities", "depth_values")),
        (("labels",), ("rims_probabilities",), ("cells_labels", "depth_values")),
        (
            ("labels", "probabilities"),
            ("rims_probabilities",),
            ("cells_labels", "cells_probabilities", "rims_probabilities", "depth_values"),
        ),
        (("confidence",), ("depth_values",), ("cells_confidence", "rims_probabilities")),
    ],
)
def test_what_steps_take_is_written_only_where_it_is_wanted(wanted, taken, asked):
    assert asked_arrays(plan(*HEADS, wanted=wanted), wanted, taken) == asked


def test_each_merge_gets_its_share_and_writes_under_its_name():
    made = plan(*HEADS, wanted=("labels", "probabilities"))
    views = np.random.default_rng(0).random((2, 5, *SHAPE)).astype(np.float32)
    views[:, 1] = 1 - views[:, 0]
    views[:, 4] = 1000 * views[:, 4] - 300
    states = [mean(task=head.task, wanted=made.wanted_of(head)) for head in HEADS]
    merges, sink = Merges(made, states), Memory(array_specs(made, SHAPE))
    (block,) = whole_volume(SHAPE)
    merges.start(SHAPE, made.results, 2)
    for number, view in enumerate(views):
        merges.add(view, (slice(None),) * 3, number)
    merges.write(block, sink)
    wanted = views.mean(0)
    np.testing.assert_array_equal(sink.arrays["cells_labels"], np.where(wanted[1] > wanted[0], 300, 0))
    np.testing.assert_allclose(sink.arrays["cells_probabilities"], wanted[:2], atol=1e-3)
    np.testing.assert_allclose(sink.arrays["rims_probabilities"], wanted[2:4], atol=1e-3)
    np.testing.assert_allclose(sink.arrays["depth_values"], wanted[4:], rtol=1e-5, atol=1e-3)
    assert sink.arrays["depth_values"].dtype == np.float32
    assert sink.arrays["rims_probabilities"].dtype == np.float16


@given(st.lists(st.integers(1, 150), min_size=1, max_size=6), st.data())
def test_planes_that_come_in_order_give_what_the_whole_volume_gives(counts, data):
    shape, made = (sum(counts), 3, 4), plan(*HEADS, wanted=("labels", "confidence"))
    view = np.random.default_rng(data.draw(st.integers(0, 9))).random((5, *shape)).astype(np.float32)
    view[1] = 1 - view[0]
    written = []
    for streamed in (False, True):
        states = [mean(task=head.task, wanted=made.wanted_of(head)) for head in HEADS]
        merges, sink = Merges(made, states), Memory(array_specs(made, shape))
        receiver = Streamed(merges, sink) if streamed else merges
        receiver.start(shape, made.results, 1)
        at = 0
        for count in counts:
            receiver.add(view[:, at : at + count], (slice(at, at + count), slice(0, 3), slice(0, 4)), 0)
            at += count
        if not streamed:
            merges.write(*whole_volume(shape), sink)
        written.append(sink.arrays)
    for name, values in written[0].items():
        np.testing.assert_array_equal(written[1][name], values)

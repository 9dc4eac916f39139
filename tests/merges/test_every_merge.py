"""Properties that every merge has, whatever it computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.api import DataError, PluginError, UsageError
from volseg_merges.plugin import volseg_merges

EVERYWHERE = (slice(None),) * 3
SHAPE = (3, 4, 5)
GIVES = {item.name: tuple(name for name in item.gives if name != "values") for item in volseg_merges()}
EVERY = pytest.mark.parametrize("name", GIVES)
SUMMING = pytest.mark.parametrize("name", [name for name in GIVES if name != "max"])
ANY_ORDER = pytest.mark.parametrize("name", [item.name for item in volseg_merges() if item.any_order])
LOOKED_AT = [(name, channel) for name in GIVES for channel in (0, 1) if (name, channel) != ("mean", 1)]
"""Merges and classes of two; the mean's last class is what remains, so its own value is never looked at."""
LIBRARIES = pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])


def merged(merge: Any, name: str, views: Any, weights: list[int] | None = None) -> Any:
    """Merge whole volumes, one after the other."""
    weights = weights or [1] * len(views)
    merge.start(tuple(views[0].shape[1:]), views[0].shape[0], sum(weights))
    for view, (probabilities, weight) in enumerate(zip(views, weights, strict=True)):
        merge.add(probabilities, EVERYWHERE, view, weight)
    return merge.result(EVERYWHERE, GIVES[name])


def assert_same(name: str, one: Any, other: Any, tolerance: float = 0) -> None:
    for array in GIVES[name]:
        first, second = (np.asarray(getattr(result, array)) for result in (one, other))
        assert first.dtype == second.dtype
        np.testing.assert_allclose(first, second, rtol=0, atol=0 if array == "labels" else tolerance, err_msg=array)


@ANY_ORDER
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 9), classes=st.integers(2, 5))
def test_order_of_views_and_partition_into_windows_do_not_matter(
    name: str, softmax_views: Any, boxes: Any, build: Any, seed: int, count: int, classes: int
) -> None:
    views = softmax_views(seed, count, classes, SHAPE)
    merge = build(name, count, classes, GIVES[name])
    merge.start(SHAPE, classes, count)
    for view in np.random.default_rng(seed).permutation(count):
        for box in boxes(seed + int(view), SHAPE):
            merge.add(views[(view, slice(None), *box)], box, int(view))
    whole = merged(build(name, count, classes, GIVES[name]), name, list(views))
    assert_same(name, merge.result(EVERYWHERE, GIVES[name]), whole)


@EVERY
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 5), half=st.booleans())
def test_numpy_and_torch_agree(name: str, softmax_views: Any, build: Any, seed: int, classes: int, half: bool) -> None:
    """Labels bit for bit; where exp or log is left to the library, the last bit of the others may differ."""
    views = softmax_views(seed, 6, classes, SHAPE).astype(np.float16 if half else np.float32)
    ours = merged(build(name, 6, classes, GIVES[name]), name, list(views))
    theirs = merged(build(name, 6, classes, GIVES[name]), name, list(torch.from_numpy(views)))
    assert_same(name, ours, theirs, 1e-6)


@EVERY
@LIBRARIES
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_transposed_slabs_land_where_they_belong(
    name: str, softmax_views: Any, build: Any, axis: int, convert: Any
) -> None:
    volume = softmax_views(3, 1, 3, SHAPE)[0]
    merge = build(name, 1, 3, GIVES[name])
    merge.start(SHAPE, 3, 1)
    for begin in range(0, SHAPE[axis], 2):
        where = tuple(slice(begin, begin + 2) if i == axis else slice(None) for i in range(3))
        slab = convert(np.ascontiguousarray(np.moveaxis(volume[(slice(None), *where)], 1 + axis, 1)))
        merge.add(np.moveaxis(slab, 1, 1 + axis) if convert is np.asarray else slab.movedim(1, 1 + axis), where, 0)
    whole = merged(build(name, 1, 3, GIVES[name]), name, [convert(volume)])
    assert_same(name, merge.result(EVERYWHERE, GIVES[name]), whole)


@EVERY
def test_a_box_of_the_result_is_that_part_of_the_whole(name: str, softmax_views: Any, build: Any) -> None:
    views = list(softmax_views(5, 4, 3, SHAPE))
    merge = build(name, 4, 3, GIVES[name])
    whole = merged(merge, name, views)
    box = (slice(1, 3), slice(0, 2), slice(2, 5))
    part = merge.result(box, GIVES[name])
    for array in GIVES[name]:
        assert np.array_equal(getattr(part, array), getattr(whole, array)[(..., *box)]), array


@EVERY
@pytest.mark.parametrize("winner", [0, 1, 2])
@pytest.mark.parametrize("views", [2, 12, 60])
def test_views_that_are_certain_and_agree_are_believed(name: str, build: Any, winner: int, views: int) -> None:
    volume = np.zeros((3, 2, 2, 2), np.float32)
    volume[winner] = 1
    params = {"weights": {f"view {view}": [1, 1, 1] for view in range(views)}} if name == "fusion" else {}
    result = merged(build(name, views, 3, GIVES[name], **params), name, [volume] * views)
    assert (result.labels == winner).all()
    assert result.confidence.max() <= 1
    # a softmax of sums is certain only when they are large: exp(2) / (exp(2) + 2)
    assert result.confidence.min() >= (0.78 if name == "fusion" else 1 - 4e-5)
    if result.variance is not None:
        assert (result.variance == 0).all()
    if result.entropy is not None and name != "fusion":
        np.testing.assert_allclose(result.entropy, 0, atol=4e-4)


@EVERY
def test_equal_classes_give_the_first(name: str, build: Any) -> None:
    volume = np.full((4, 2, 2, 2), 0.25, np.float32)
    params = {"weights": {f"view {view}": [1] * 4 for view in range(3)}} if name == "fusion" else {}
    result = merged(build(name, 3, 4, GIVES[name], **params), name, [volume] * 3)
    assert (result.labels == 0).all()


@EVERY
def test_the_callers_array_is_left_alone_and_a_merge_starts_afresh(name: str, softmax_views: Any, build: Any) -> None:
    first, second = softmax_views(0, 2, 3, SHAPE)
    before = first.copy()
    merge = build(name, 1, 3, GIVES[name])
    merged(merge, name, [first])
    assert np.array_equal(first, before)
    fresh = merged(build(name, 1, 3, GIVES[name]), name, [second])
    assert_same(name, merged(merge, name, [second]), fresh)


@LIBRARIES
@pytest.mark.parametrize(("name", "channel"), LOOKED_AT)
@pytest.mark.parametrize(("value", "text"), [(np.nan, "not a number"), (7.5, r"got 7\.5 as a probability")])
def test_values_that_are_no_probabilities_never_become_labels(
    name: str, softmax_views: Any, build: Any, convert: Any, channel: int, value: float, text: str
) -> None:
    volume = softmax_views(0, 1, 2, SHAPE)[0]
    volume[channel, 2, 2, 1] = value
    with pytest.raises(DataError, match=text):
        merged(build(name, 1, 2, GIVES[name]), name, [convert(volume)])


@SUMMING
@pytest.mark.parametrize("views", [0, 256])
def test_a_total_weight_that_the_state_cannot_hold_is_refused(name: str, build: Any, views: int) -> None:
    with pytest.raises(UsageError) as caught:
        build(name).start(SHAPE, 2, views)
    assert str(caught.value) == (
        f"merge '{name}': takes views of a total weight of 1 to 255, got {views}. Use fewer views or smaller weights."
    )


@SUMMING
def test_the_largest_total_weight_fits_the_state(name: str, build: Any) -> None:
    volume = np.array([0, 1], np.float32).reshape(2, 1, 1, 1)
    params = {"weights": {"view 0": [1, 1]}} if name == "fusion" else {}
    merge = build(name, 1, 2, GIVES[name], **params)
    assert merged(merge, name, [volume], [255]).labels.item() == 1


@SUMMING
def test_more_and_less_weight_than_announced_are_refused(name: str, softmax_views: Any, build: Any) -> None:
    volume = softmax_views(0, 1, 2, SHAPE)[0]
    merge = build(name, 2)
    merge.start(SHAPE, 2, 2)
    merge.add(volume, EVERYWHERE, 0)
    with pytest.raises(PluginError, match=r"has received 50\.0% of the total weight 2 given to start"):
        merge.result(EVERYWHERE)
    merge.add(volume, EVERYWHERE, 1)
    with pytest.raises(PluginError, match="view 0 exceeds the total weight 2 given to start"):
        merge.add(volume, EVERYWHERE, 0)

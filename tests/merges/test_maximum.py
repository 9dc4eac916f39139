from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.api import DataError, PluginError, UsageError
from volseg_merges.maximum import Maximum

BOTH = ("labels", "confidence")
EVERYWHERE = (slice(None),) * 3
SHAPE = (4, 5, 6)


def started(classes: int, views: int = 12, shape: tuple[int, int, int] = SHAPE) -> Maximum:
    merge = Maximum()
    merge.start(shape, classes, views)
    return merge


def merged(views: Any) -> Any:
    merge = started(views[0].shape[0], len(views), tuple(views[0].shape[1:]))
    for view, probabilities in enumerate(views):
        merge.add(probabilities, EVERYWHERE, view)
    return merge.result(EVERYWHERE, BOTH)


def assert_same(one: Any, other: Any) -> None:
    for name in BOTH:
        first, second = (np.asarray(getattr(result, name)) for result in (one, other))
        assert first.dtype == second.dtype
        assert np.array_equal(first, second), name


def brute_force(views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Visit the views one after the other and keep the first of the best, at 15 bits."""
    labels = np.zeros(views.shape[2:], int)
    best = np.full(views.shape[2:], -1)
    for view in views:
        level = np.floor(view.max(0) * np.float32(32767) + np.float32(0.5)).astype(int)
        better = level > best
        labels[better] = view.argmax(0)[better]
        best = np.maximum(best, level)
    return labels, best / 32767


@given(seed=st.integers(0, 10_000), count=st.integers(1, 16), classes=st.integers(2, 6), saturate=st.booleans())
def test_the_first_of_the_most_certain_views_wins(
    softmax_views: Any, seed: int, count: int, classes: int, saturate: bool
) -> None:
    views = softmax_views(seed, count, classes, SHAPE)
    if saturate:
        # many exact ties between views and between classes
        views = np.round(views * 4) / np.float32(4)
    labels, confidence = brute_force(views)
    result = merged(list(views))
    assert np.array_equal(result.labels, labels)
    assert np.allclose(result.confidence, confidence, atol=1e-6)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 16), classes=st.integers(2, 6))
def test_order_partition_and_repetition_do_not_matter(
    softmax_views: Any, boxes: Any, seed: int, count: int, classes: int
) -> None:
    views = np.round(softmax_views(seed, count, classes, SHAPE) * 8) / np.float32(8)
    views[:, -1] = 1 - views[:, :-1].sum(1)
    rng = np.random.default_rng(seed)
    merge = started(classes, count)
    # a block that crashed and ran again: some views come twice
    for view in [*rng.permutation(count), *rng.integers(0, count, 3)]:
        for box in boxes(seed + int(view), SHAPE):
            merge.add(views[(view, slice(None), *box)], box, int(view))
    assert_same(merge.result(EVERYWHERE, BOTH), merged(list(views)))


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 5), half=st.booleans())
def test_numpy_and_torch_agree_bit_for_bit(softmax_views: Any, seed: int, classes: int, half: bool) -> None:
    views = softmax_views(seed, 12, classes, SHAPE).astype(np.float16 if half else np.float32)
    assert_same(merged(list(views)), merged(list(torch.from_numpy(views))))


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_transposed_and_flipped_slabs_land_where_they_belong(softmax_views: Any, convert: Any) -> None:
    volume = softmax_views(3, 1, 3, SHAPE)[0]
    merge = started(3, 1)
    for begin in range(0, SHAPE[2], 4):
        box = (slice(None), slice(None), slice(begin, begin + 4))
        slab = convert(np.ascontiguousarray(volume[(slice(None), *box)].transpose(0, 3, 2, 1)))
        strided = slab.transpose(0, 3, 2, 1) if convert is np.asarray else slab.permute(0, 3, 2, 1)
        merge.add(strided, box, 0)
    assert_same(merge.result(EVERYWHERE, BOTH), merged([volume]))


@pytest.mark.parametrize("view", [0, 63])
@pytest.mark.parametrize("winner", [0, 1023])
def test_the_extremes_of_the_packed_integer_come_back(view: int, winner: int) -> None:
    volume = np.zeros((1024, 1, 1, 2), np.float32)
    volume[winner] = 1
    merge = started(1024, 64, (1, 1, 2))
    merge.add(volume, EVERYWHERE, view)
    result = merge.result(EVERYWHERE, BOTH)
    assert (result.labels == winner).all()
    assert result.labels.dtype == np.int32
    assert result.confidence == pytest.approx(1, abs=1e-7)
    assert result.confidence.max() <= 1


def test_even_the_least_certain_of_many_classes_counts_as_seen() -> None:
    volume = np.full((1024, 1, 1, 2), 1 / 1024, np.float32)
    merge = started(1024, 64, (1, 1, 2))
    merge.add(volume, EVERYWHERE, 63)
    assert (merge.result(EVERYWHERE).labels == 0).all()


@given(classes=st.integers(2, 9), views=st.integers(1, 20), seed=st.integers(0, 1000))
def test_constant_probabilities_give_a_constant_volume(classes: int, views: int, seed: int) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(classes)).astype(np.float32)
    volume = np.broadcast_to(probabilities[:, None, None, None], (classes, 2, 2, 2))
    result = merged([volume] * views)
    assert (result.labels == probabilities.argmax()).all()
    assert np.unique(result.confidence).size == 1


def test_a_box_may_be_read_before_others_are_complete(softmax_views: Any) -> None:
    volume = softmax_views(0, 1, 3, SHAPE)[0]
    merge = started(3, 1)
    done = (slice(0, 2), slice(None), slice(None))
    merge.add(volume[:, :2], done, 0)
    assert np.array_equal(merge.result(done).labels, volume[:, :2].argmax(0))
    with pytest.raises(PluginError, match="has voxels that no view was added to"):
        merge.result(EVERYWHERE)


def test_state_is_four_bytes_however_many_classes(softmax_views: Any) -> None:
    merge = started(7, 1)
    merge.add(softmax_views(0, 1, 7, SHAPE)[0], EVERYWHERE, 0)
    held = sum(value.nbytes for value in vars(merge).values() if hasattr(value, "nbytes"))
    assert held == 4 * np.prod(SHAPE)


def test_the_callers_array_is_left_alone(softmax_views: Any) -> None:
    volume = softmax_views(0, 1, 3, SHAPE)[0]
    before = volume.copy()
    merged([volume])
    assert np.array_equal(volume, before)


@pytest.mark.parametrize(
    ("classes", "views", "text"),
    [
        (2, 65, "merge 'max': takes at most 64 views, got 65. Use predict.merge=mean."),
        (1025, 12, "merge 'max': takes at most 1024 classes, got 1025. Use predict.merge=mean."),
    ],
)
def test_more_than_the_packed_integer_holds_is_refused_at_the_start(classes: int, views: int, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        started(classes, views)
    assert str(caught.value) == text


@pytest.mark.parametrize("view", [-1, 64])
def test_a_view_number_that_does_not_fit_is_refused(softmax_views: Any, view: int) -> None:
    with pytest.raises(UsageError, match=f"merge 'max': numbers its views 0 to 63, got {view}"):
        started(3).add(softmax_views(0, 1, 3, SHAPE)[0], EVERYWHERE, view)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize(("value", "text"), [(np.nan, "not a number"), (7.5, r"got 7\.5 as a probability")])
def test_values_that_are_no_probabilities_never_become_labels(
    softmax_views: Any, convert: Any, channel: int, value: float, text: str
) -> None:
    bad, good = softmax_views(0, 2, 2, SHAPE)
    bad[channel, 3, 2, 1] = value
    with pytest.raises(DataError, match=text):
        merged([convert(bad), convert(good)])

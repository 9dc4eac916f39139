from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.api import DataError, PluginError, UsageError
from volseg_merges.mean import Mean

ALL = ("labels", "confidence", "probabilities")
EVERYWHERE = (slice(None),) * 3
SHAPE = (4, 5, 6)


def merged(views: Any, weights: list[int] | None = None, wanted: tuple[str, ...] = ALL) -> Any:
    """Merge whole volumes, one after the other."""
    weights = weights or [1] * len(views)
    merge = Mean(wanted=wanted)
    merge.start(tuple(views[0].shape[1:]), views[0].shape[0], sum(weights))
    for view, (probabilities, weight) in enumerate(zip(views, weights, strict=True)):
        merge.add(probabilities, EVERYWHERE, view, weight)
    return merge.result(EVERYWHERE, wanted)


def assert_same(one: Any, other: Any) -> None:
    for name in ALL:
        first, second = (np.asarray(getattr(result, name)) for result in (one, other))
        assert first.dtype == second.dtype
        assert np.array_equal(first, second), name


@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), classes=st.integers(2, 6))
def test_order_of_views_and_partition_into_boxes_do_not_matter(
    softmax_views: Any, boxes: Any, seed: int, count: int, classes: int
) -> None:
    views = softmax_views(seed, count, classes, SHAPE)
    merge = Mean()
    merge.start(SHAPE, classes, count)
    for view in np.random.default_rng(seed).permutation(count):
        for box in boxes(seed + int(view), SHAPE):
            merge.add(views[(view, slice(None), *box)], box, int(view))

    assert_same(merge.result(EVERYWHERE, ALL), merged(list(views)))


@given(seed=st.integers(0, 10_000), count=st.integers(1, 48), classes=st.integers(2, 8))
def test_labels_are_those_of_an_exact_mean_unless_the_best_two_are_a_quantum_apart(
    softmax_views: Any, seed: int, count: int, classes: int
) -> None:
    views = softmax_views(seed, count, classes, SHAPE)
    exact = views.astype(np.float64).mean(0)
    result = merged(list(views))

    # each class is rounded to half a step, and the last one inherits the errors of all others
    quantum = classes / (32767 // count)
    best_two = np.sort(exact, 0)[-2:]
    clear = best_two[1] - best_two[0] > quantum
    assert np.array_equal(result.labels[clear], exact.argmax(0)[clear])
    assert np.abs(result.probabilities - exact).max() <= quantum
    assert np.abs(result.confidence - exact.max(0)).max() <= quantum
    assert np.array_equal(result.labels, result.probabilities.argmax(0))


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 5), half=st.booleans())
def test_numpy_and_torch_agree_bit_for_bit(softmax_views: Any, seed: int, classes: int, half: bool) -> None:
    views = softmax_views(seed, 12, classes, SHAPE).astype(np.float16 if half else np.float32)
    assert_same(merged(list(views)), merged(list(torch.from_numpy(views))))


def test_a_view_of_weight_two_counts_as_much_as_two_views(softmax_views: Any) -> None:
    # legacy12: four of eight views count twice
    views = softmax_views(1, 8, 3, SHAPE)
    weighted = merged(list(views), [1, 1, 1, 1, 2, 2, 2, 2])
    exact = np.average(views.astype(np.float64), axis=0, weights=[1, 1, 1, 1, 2, 2, 2, 2])
    assert np.abs(weighted.probabilities - exact).max() <= 3 / (32767 // 12)
    # and not as the plain mean does
    assert np.abs(weighted.probabilities - merged(list(views)).probabilities).max() > 0.01


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_transposed_and_flipped_slabs_land_where_they_belong(softmax_views: Any, axis: int, convert: Any) -> None:
    volume = softmax_views(3, 1, 3, SHAPE)[0]
    merge = Mean()
    merge.start(SHAPE, 3, 1)
    for begin in range(0, SHAPE[axis], 2):
        where = tuple(slice(begin, begin + 2) if i == axis else slice(None) for i in range(3))
        # a slab as a network leaves it: (C, slices, H, W) in memory, seen in the orientation of the block
        slab = convert(np.ascontiguousarray(np.moveaxis(volume[(slice(None), *where)], 1 + axis, 1)))
        strided = np.moveaxis(slab, 1, 1 + axis) if convert is np.asarray else slab.movedim(1, 1 + axis)
        merge.add(strided, where, 0)
    assert_same(merge.result(EVERYWHERE, ALL), merged([volume]))


@given(classes=st.integers(2, 9), views=st.integers(1, 255), seed=st.integers(0, 1000))
def test_constant_probabilities_give_a_constant_volume(classes: int, views: int, seed: int) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(classes)).astype(np.float32)
    volume = np.broadcast_to(probabilities[:, None, None, None], (classes, 2, 2, 2))
    result = merged([volume], [views])
    for array in (result.labels, result.confidence, *result.probabilities):
        assert np.unique(array).size == 1
    assert 0 < result.confidence[0, 0, 0] <= 1


@pytest.mark.parametrize("winner", [0, 1, 2])
@pytest.mark.parametrize("views", [1, 12, 48, 255])
def test_certainty_stays_certain(winner: int, views: int) -> None:
    volume = np.zeros((3, 2, 2, 2), np.float32)
    volume[winner] = 1
    result = merged([volume] * views)
    assert (result.labels == winner).all()
    assert result.confidence == pytest.approx(1, abs=1e-7)
    assert result.confidence.max() <= 1


def test_what_remains_for_the_last_class_is_never_negative() -> None:
    # 32767 // 1 is odd: both halves are rounded up
    volume = np.array([0.5, 0.5, 0], np.float32).reshape(3, 1, 1, 1)
    assert merged([volume]).probabilities.min() == 0


def test_equal_means_give_the_first_class() -> None:
    volume = np.full((4, 2, 2, 2), 0.25, np.float32)
    assert (merged([volume] * 4).labels == 0).all()


def test_state_is_two_bytes_per_class_but_the_last(softmax_views: Any) -> None:
    merge = Mean()
    merge.start(SHAPE, 5, 1)
    merge.add(softmax_views(0, 1, 5, SHAPE)[0], EVERYWHERE, 0)
    held = sum(value.nbytes for value in vars(merge).values() if hasattr(value, "nbytes"))
    assert held == 2 * (5 - 1) * np.prod(SHAPE)


@pytest.mark.parametrize(("classes", "dtype"), [(2, np.uint8), (256, np.uint8), (257, np.int32)])
def test_labels_come_in_the_smallest_type(classes: int, dtype: type) -> None:
    volume = np.zeros((classes, 1, 1, 2), np.float32)
    volume[-1] = 1
    labels = merged([volume]).labels
    assert labels.dtype == dtype
    assert (labels == classes - 1).all()


def test_only_what_is_wanted_is_made(softmax_views: Any) -> None:
    views = list(softmax_views(0, 2, 3, SHAPE))
    result = merged(views, wanted=("labels",))
    assert result.confidence is None
    assert result.probabilities is None


def test_the_callers_array_is_left_alone(softmax_views: Any) -> None:
    volume = softmax_views(0, 1, 3, SHAPE)[0]
    before = volume.copy()
    merged([volume])
    assert np.array_equal(volume, before)


def test_a_merge_starts_afresh(softmax_views: Any) -> None:
    first, second = softmax_views(0, 2, 3, SHAPE)
    merge = Mean()
    for volume in (first, second):
        merge.start(SHAPE, 3, 1)
        merge.add(volume, EVERYWHERE, 0)
    assert_same(merge.result(EVERYWHERE, ALL), merged([second]))


@pytest.mark.parametrize("views", [0, 256])
def test_a_total_weight_that_the_fixed_point_cannot_hold_is_refused(views: int) -> None:
    with pytest.raises(UsageError) as caught:
        Mean().start(SHAPE, 2, views)
    assert str(caught.value) == (
        f"merge 'mean': takes views of a total weight of 1 to 255, got {views}. Use fewer views or smaller weights."
    )


def test_more_weight_than_announced_is_refused(softmax_views: Any) -> None:
    merge = Mean()
    merge.start(SHAPE, 3, 1)
    volume = softmax_views(0, 1, 3, SHAPE)[0]
    merge.add(volume, EVERYWHERE, 0)
    with pytest.raises(PluginError, match="view 1 exceeds the total weight 1 given to start"):
        merge.add(volume, EVERYWHERE, 1)


def test_a_result_before_all_views_is_refused(softmax_views: Any) -> None:
    merge = Mean()
    merge.start(SHAPE, 3, 4)
    merge.add(softmax_views(0, 1, 3, SHAPE)[0], EVERYWHERE, 0)
    with pytest.raises(PluginError, match=r"has received 25\.0% of the total weight 4 given to start"):
        merge.result(EVERYWHERE)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize(("value", "text"), [(np.nan, "not a number"), (7.5, r"got 7\.5 as a probability")])
def test_values_that_are_no_probabilities_never_become_labels(
    softmax_views: Any, convert: Any, value: float, text: str
) -> None:
    volume = softmax_views(0, 1, 2, SHAPE)[0]
    volume[0, 3, 2, 1] = value
    with pytest.raises(DataError, match=text):
        merged([convert(volume)])


@given(seed=st.integers(0, 10_000), count=st.integers(1, 24), classes=st.integers(2, 6))
def test_variance_is_that_of_the_probabilities_in_steps(
    softmax_views: Any, seed: int, count: int, classes: int
) -> None:
    views = softmax_views(seed, count, classes, SHAPE)
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 3, count)
    result = merged(list(views), weights.tolist(), (*ALL, "variance"))
    scale = 32767 // int(weights.sum())
    steps = np.floor(views[:, :-1] * np.float32(scale) + np.float32(0.5)).astype(np.int64)
    steps = np.concatenate([steps, scale - steps.sum(1, keepdims=True)], 1) / scale
    mean = np.average(steps, axis=0, weights=weights)
    expected = np.average((steps - mean) ** 2, axis=0, weights=weights).sum(0)
    np.testing.assert_allclose(result.variance, expected, rtol=1e-5, atol=1e-7)
    exact = np.average((views - np.average(views, axis=0, weights=weights)) ** 2, axis=0, weights=weights).sum(0)
    np.testing.assert_allclose(result.variance, exact, atol=2 * classes / scale)


def test_variance_and_entropy_by_hand() -> None:
    views = [np.array(row, np.float32).reshape(2, 1, 1, 1) for row in ((1, 0), (0, 1), (1, 0), (1, 0))]
    result = merged(views, wanted=("labels", "entropy", "variance"))
    # each class is 1, 0, 1, 1 or the reverse: a variance of 3/16, twice
    assert result.variance.item() == pytest.approx(3 / 8, abs=1e-6)
    assert result.entropy.item() == pytest.approx(-(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)), abs=1e-6)
    assert result.probabilities is None


@pytest.mark.parametrize("views", [2, 255])
def test_the_largest_variance_fits_the_state(views: int) -> None:
    volume = np.zeros((2, 3, 1, 1, 1), np.float32)
    volume[0, 0] = volume[1, 2] = 1
    share = np.arange(views) % 2
    result = merged([volume[index] for index in share], wanted=("labels", "variance"))
    assert result.variance.item() == pytest.approx(2 * share.mean() * (1 - share.mean()), abs=1e-6)


def test_views_that_agree_have_no_variance_and_no_bit_of_noise(softmax_views: Any) -> None:
    volume = softmax_views(0, 1, 5, SHAPE)[0]
    assert (merged([volume] * 12, wanted=("labels", "variance")).variance == 0).all()

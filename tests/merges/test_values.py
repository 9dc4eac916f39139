"""The mean of channels that exclude none another, and of values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.api import DataError, PluginError, UsageError
from volseg_merges.mean import FULL, Mean
from volseg_merges.values import MeanOfChannels, MeanOfValues, mean

EVERYWHERE = (slice(None),) * 3
SHAPE = (3, 4, 5)


def merged(merge: Any, views: Any, weights: list[int] | None = None, wanted: tuple[str, ...] = ()) -> Any:
    """Merge whole volumes, one after the other."""
    weights = weights or [1] * len(views)
    merge.start(tuple(views[0].shape[1:]), len(views[0]), sum(weights))
    for view, (values, weight) in enumerate(zip(views, weights, strict=True)):
        merge.add(values, EVERYWHERE, view, weight)
    return merge.result(EVERYWHERE, wanted or merge.gives)


def views_of(seed: int, count: int, channels: int, spread: float = 1.0) -> np.ndarray:
    return (spread * np.random.default_rng(seed).random((count, channels, *SHAPE))).astype(np.float32)


@pytest.mark.parametrize(
    ("task", "kind"),
    [("multiclass", Mean), ("binary", Mean), ("multilabel", MeanOfChannels), ("regression", MeanOfValues)],
)
def test_each_task_has_its_mean(task: str, kind: type) -> None:
    assert type(mean(task=task)) is kind


@given(st.integers(0, 99), st.lists(st.integers(1, 20), min_size=1, max_size=12), st.integers(1, 4))
def test_probabilities_are_averaged_channel_by_channel(seed: int, weights: list[int], channels: int) -> None:
    views = views_of(seed, len(weights), channels)
    result = merged(MeanOfChannels(), views, weights)
    wanted = np.average(views.astype(np.float64), axis=0, weights=weights)
    assert result.labels is None
    assert result.probabilities.dtype == np.float32
    step = 0.5 / (FULL // sum(weights))
    np.testing.assert_allclose(result.probabilities, wanted, atol=step + 1e-6)


@given(st.integers(0, 99), st.permutations(range(5)))
def test_the_order_of_views_does_not_change_a_bit(seed: int, order: list[int]) -> None:
    views, weights = views_of(seed, 5, 3), [1, 2, 3, 1, 4]
    once = merged(MeanOfChannels(), views, weights).probabilities
    again = merged(MeanOfChannels(), views[order], [weights[item] for item in order]).probabilities
    assert once.tobytes() == again.tobytes()


@pytest.mark.parametrize("weights", [[1], [255], [100, 155]])
def test_certainty_stays_certain(weights: list[int]) -> None:
    views = np.zeros((len(weights), 2, *SHAPE), np.float32)
    views[:, 1] = 1
    result = merged(MeanOfChannels(), views, weights).probabilities
    assert (result[0] == 0).all()
    assert (result[1] == 1).all()


@given(st.integers(0, 99), st.lists(st.integers(1, 20), min_size=1, max_size=8), st.floats(0.01, 1e6))
def test_values_are_averaged_whatever_their_unit(seed: int, weights: list[int], spread: float) -> None:
    views = views_of(seed, len(weights), 2, spread) - np.float32(spread / 3)
    result = merged(MeanOfValues(), views, weights)
    wanted = np.average(views.astype(np.float64), axis=0, weights=weights)
    assert result.values.dtype == np.float32
    np.testing.assert_allclose(result.values, wanted, rtol=1e-5, atol=1e-5 * spread)


@pytest.mark.parametrize("kind", [MeanOfChannels, MeanOfValues])
def test_boxes_in_any_order_are_one_volume(kind: type, boxes: Any) -> None:
    views = views_of(0, 2, 3)
    whole = merged(kind(), views)
    parts = kind()
    parts.start(SHAPE, 3, 2)
    for view in (1, 0):
        for box in boxes(view, SHAPE):
            parts.add(views[view][(slice(None), *box)], box, view)
    name = kind.gives[0]
    np.testing.assert_allclose(getattr(parts.result(EVERYWHERE, kind.gives), name), getattr(whole, name), rtol=1e-6)
    corner = (slice(1, 3), slice(0, 2), slice(2, 5))
    found = getattr(parts.result(corner, kind.gives), name)
    np.testing.assert_allclose(found, getattr(whole, name)[(slice(None), *corner)], rtol=1e-6)


@pytest.mark.parametrize("kind", [MeanOfChannels, MeanOfValues])
def test_torch_gives_what_numpy_gives(kind: type) -> None:
    views = views_of(1, 3, 2)
    name = kind.gives[0]
    found = getattr(merged(kind(), torch.from_numpy(views)), name)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), getattr(merged(kind(), views), name), rtol=1e-6)


@pytest.mark.parametrize("kind", [MeanOfChannels, MeanOfValues])
def test_half_precision_of_a_network_is_taken(kind: type) -> None:
    views = views_of(2, 2, 2).astype(np.float16)
    found = getattr(merged(kind(), views), kind.gives[0])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, views.astype(np.float64).mean(0), atol=1e-4)


NONSENSE = [(MeanOfChannels, np.nan), (MeanOfChannels, np.inf), (MeanOfChannels, 1.5)]
NONSENSE += [(MeanOfValues, bad) for bad in (np.nan, np.inf, -np.inf)]


@pytest.mark.parametrize(("kind", "bad"), NONSENSE)
def test_a_network_that_gives_no_numbers_is_an_error(kind: type, bad: float) -> None:
    views = views_of(3, 1, 2)
    views[0, 1, 2, 3, 4] = bad
    with pytest.raises(DataError, match="merge 'mean'"), np.errstate(invalid="ignore"):
        merged(kind(), views)


@pytest.mark.parametrize("kind", [MeanOfChannels, MeanOfValues])
def test_labels_are_not_to_be_had(kind: type) -> None:
    with pytest.raises(UsageError, match="labels"):
        merged(kind(), views_of(0, 1, 2), wanted=("labels",))


@pytest.mark.parametrize("kind", [MeanOfChannels, MeanOfValues])
def test_a_result_before_every_view_was_added_is_refused(kind: type) -> None:
    merge = kind()
    merge.start(SHAPE, 2, 2)
    merge.add(views_of(0, 1, 2)[0], EVERYWHERE, 0)
    with pytest.raises(PluginError, match="has received 50.0% of the total weight 2"):
        merge.result(EVERYWHERE, kind.gives)

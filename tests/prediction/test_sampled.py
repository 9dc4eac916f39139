"""Voxels drawn from a labelled volume, and what views say about them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.data.labelled import Labelled
from volseg_core.data.split import Region, whole
from volseg_core.prediction.sampled import Gatherer, draw_voxels
from volseg_core.volume import Grid, Normalisation, View

SHAPE = (5, 6, 7)


def region_of(labels: np.ndarray, box: tuple[slice, slice, slice] | None = None) -> Region:
    data = np.random.default_rng(0).integers(0, 255, (1, *labels.shape), np.uint8)
    volume = Labelled(data, labels, Normalisation().fit(data), Grid())
    return whole(volume) if box is None else Region(volume, box)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 250))
def test_drawn_voxels_have_their_label_and_stand_for_all_of_their_class(seed: int, count: int) -> None:
    labels = np.random.default_rng(seed).choice([-1, 0, 0, 0, 1, 2], SHAPE).astype(np.int8)
    box = (slice(1, 5), slice(0, 6), slice(2, 7))
    drawn = draw_voxels(region_of(labels, box), 4, count, seed)
    assert np.array_equal(labels[tuple(drawn.places.T)], drawn.truth)
    assert len(np.unique(drawn.places, axis=0)) == len(drawn)
    assert (drawn.places >= [1, 0, 2]).all()
    for index in range(4):
        total = (labels[box] == index).sum()
        here = drawn.truth == index
        assert here.sum() == min(total, max(1, count // 4))
        assert drawn.stands_for[here].sum() == pytest.approx(total)


def test_the_same_seed_draws_the_same_voxels_and_another_one_others() -> None:
    labels = np.zeros(SHAPE, np.int8)
    first, again, other = (draw_voxels(region_of(labels), 2, 40, seed).places for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_what_every_view_says_is_kept_wherever_its_boxes_lie(convert) -> None:
    rng = np.random.default_rng(0)
    views = rng.random((2, 3, *SHAPE), np.float32)
    places = np.stack([rng.integers(0, size, 30) for size in SHAPE], 1)
    kept = Gatherer(places, 2)
    kept.start(SHAPE, 3, 2)
    for number, view in enumerate((View(), View.parse("x,-z,y"))):
        turned = view.apply(views[number])
        for start in range(0, turned.shape[1], 2):
            planes = np.ascontiguousarray(turned[:, start : start + 2])
            where = view.locate((slice(start, start + planes.shape[1]), slice(None), slice(None)), SHAPE)
            kept.add(view.invert(convert(planes)), where, number)
    np.testing.assert_array_equal(kept.probabilities, views[:, :, places[:, 0], places[:, 1], places[:, 2]])

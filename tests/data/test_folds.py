from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.data.folds import split_fold
from volseg_core.errors import DataError
from volseg_core.recipe.blocks import DataBlock, ValidationBlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.data.labelled import Labelled


def spans(regions: list[Any], axis: int) -> list[tuple[int, int]]:
    return [(region.box[axis].start, region.box[axis].stop) for region in regions]


@given(
    st.tuples(*[st.integers(12, 40)] * 3),
    st.integers(2, 5),
    st.sampled_from(["auto", 0, 1, 2]),
    st.integers(1, 4).map(np.random.default_rng),
)
def test_every_plane_is_held_out_once_and_the_rest_is_trained_on_but_for_the_gaps(
    labelled: Callable[..., Labelled], shape: tuple[int, int, int], folds: int, gap: Any, random: np.random.Generator
) -> None:
    labels = random.integers(-1, 3, shape).astype(np.int16)
    volume = labelled(shape, labels)
    size, wide = shape[0], min(8, shape[0] // 20) if gap == "auto" else gap
    held_planes: list[int] = []
    for fold in range(1, folds + 1):
        train, held = split_fold([volume], ValidationBlock(axis="z", gap=gap), "z", folds, fold)
        ((start, stop),) = spans(held, 0)
        held_planes += range(start, stop)
        trained = {plane for low, high in spans(train, 0) for plane in range(low, high)}
        assert trained == set(range(start - wide)) | set(range(stop + wide, size))
        share = (labels[start:stop] >= 0).sum() / (labels >= 0).sum()
        assert abs(share - 1 / folds) <= 2 / size + 0.02
    assert sorted(held_planes) == list(range(size))


def test_slabs_hold_as_many_labels_not_as_many_planes(labelled: Callable[..., Labelled]) -> None:
    labels = np.full((30, 8, 8), -1, np.int16)
    labels[20:26] = 1
    rule = ValidationBlock(gap=0)
    bounds = [spans(split_fold([labelled((30, 8, 8), labels)], rule, "z", 3, fold)[1], 0)[0] for fold in (1, 2, 3)]
    assert bounds == [(0, 22), (22, 24), (24, 30)]
    train, _ = split_fold([labelled((30, 8, 8), labels)], rule, "z", 3, 2)
    assert spans(train, 0) == [(0, 22), (24, 30)]


def test_as_many_volumes_as_folds_are_held_out_whole_in_turn(labelled: Callable[..., Labelled]) -> None:
    volumes = [labelled((6, 8, 8)) for _ in range(5)]
    seen = []
    for fold in (1, 2):
        train, held = split_fold(volumes, ValidationBlock(), "z", 2, fold)
        assert {id(part.volume) for part in train} | {id(part.volume) for part in held} == set(map(id, volumes))
        assert all(part.shape == (6, 8, 8) for part in (*train, *held))
        seen.append([index for index, volume in enumerate(volumes) for part in held if part.volume is volume])
    assert seen == [[0, 2, 4], [1, 3]]


def test_too_few_labelled_planes_are_an_error(labelled: Callable[..., Labelled]) -> None:
    labels = np.full((12, 8, 8), -1, np.int16)
    labels[3:5] = 1
    with pytest.raises(DataError, match="has 2 labelled planes along z, too few for 3 folds"):
        split_fold([labelled((12, 8, 8), labels)], ValidationBlock(), "z", 3, 1)
    with pytest.raises(DataError, match="fold 1 of 2 leaves nothing to train on: 12 voxels along z, a gap of 9"):
        split_fold([labelled((12, 8, 8))], ValidationBlock(gap=9), "z", 2, 1)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"folds": 1}, "folds 1 would hold everything out"),
        ({"folds": 3, "fold": 4}, "fold 4 of folds 3; they are counted from 1"),
        ({"fold": 1}, "fold 1 of folds 0"),
        ({"folds": 2, "val": {"split": "random-slices"}}, "val.files and val.split do not go with them"),
        ({"folds": 2, "val": {"files": ["a"], "labels": ["b"]}}, "val.files and val.split do not go with them"),
    ],
)
def test_folds_that_contradict_are_refused(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataBlock.model_validate(block)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.data.split import Region, split, whole
from volseg_core.errors import DataError, UsageError
from volseg_core.recipe.blocks import ValidationBlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.data.labelled import Labelled


def voxels(region: Region) -> set[int]:
    return set(region.volume.data[0][region.box].ravel().tolist())


def extent(region: Region, axis: int) -> tuple[int, int]:
    return region.box[axis].start, region.box[axis].stop


@given(
    st.tuples(*[st.integers(8, 40)] * 3),
    st.builds(
        ValidationBlock,
        fraction=st.floats(0.1, 0.6),
        axis=st.sampled_from(["auto", "z", "y", "x"]),
        gap=st.sampled_from(["auto", 0, 1, 2]),
    ),
    st.sampled_from(["zyx", "z", "yx"]),
)
def test_the_two_sides_lie_apart_by_the_gap(
    labelled: Callable[..., Labelled], shape: tuple[int, int, int], rule: ValidationBlock, axes: str
) -> None:
    (train,), (held,) = split([labelled(shape)], rule, axes)
    cut = next(axis for axis in range(3) if train.shape[axis] != shape[axis])
    wanted = min(8, shape[cut] // 20) if rule.gap == "auto" else rule.gap
    assert train.box[cut].stop + wanted == held.box[cut].start
    assert extent(held, cut)[1] == shape[cut]
    assert extent(train, cut)[0] == 0
    assert abs(held.shape[cut] - rule.fraction * shape[cut]) <= 1
    assert not voxels(train) & voxels(held)
    assert rule.axis in ("auto", "zyx"[cut])


def test_a_fully_labelled_volume_loses_its_last_fifth(labelled: Callable[..., Labelled]) -> None:
    (train,), (held,) = split([labelled((100, 30, 30))], ValidationBlock(), "zyx")
    assert (extent(train, 0), extent(held, 0)) == ((0, 75), (80, 100))
    assert held.describe() == "volume 100 x 30 x 30 [z 80-99, y 0-29, x 0-29]"


def test_two_volumes_each_lose_their_end(labelled: Callable[..., Labelled]) -> None:
    train, held = split([labelled((20, 8, 8)), labelled((40, 8, 8))], ValidationBlock(), "z")
    assert [region.shape[0] for region in held] == [4, 8]
    assert [region.shape[0] for region in train] == [15, 30]


@pytest.mark.parametrize(("count", "fraction", "held"), [(3, 0.2, 1), (5, 0.4, 2), (10, 0.2, 2), (3, 0.9, 2)])
def test_of_three_volumes_or_more_whole_ones_are_held_out(
    labelled: Callable[..., Labelled], count: int, fraction: float, held: Any
) -> None:
    volumes = [labelled((4, 5, 6)) for _ in range(count)]
    train, out = split(volumes, ValidationBlock(fraction=fraction), "zyx")
    assert [region.volume for region in (*train, *out)] == volumes
    assert len(out) == held
    assert all(region.shape == (4, 5, 6) for region in (*train, *out))


def test_a_fraction_of_nothing_holds_nothing_out(labelled: Callable[..., Labelled]) -> None:
    volume = labelled((4, 5, 6))
    train, held = split([volume], ValidationBlock(fraction=0), "zyx")
    assert (train[0].shape, held) == (volume.shape, [])


def test_flat_volumes_are_cut_along_their_longest_axis_and_stacks_between_images(
    labelled: Callable[..., Labelled],
) -> None:
    _, (held,) = split([labelled((5, 40, 30))], ValidationBlock(), "z")
    assert held.shape == (5, 8, 30)
    (train,), (held,) = split([labelled((5, 40, 30), independent=True)], ValidationBlock(), "z")
    assert (train.shape, held.shape) == ((4, 40, 30), (1, 40, 30))


def test_a_single_image_is_cut_in_its_plane(labelled: Callable[..., Labelled]) -> None:
    (train,), (held,) = split([labelled((1, 40, 100))], ValidationBlock(), "z")
    assert (train.shape, held.shape) == ((1, 40, 75), (1, 40, 20))


@pytest.mark.parametrize(
    ("shape", "rule"),
    [((1, 9, 9), {"axis": "z"}), ((10, 9, 9), {"gap": 8, "axis": "z"}), ((10, 9, 9), {"fraction": 0.99, "axis": "z"})],
)
def test_volumes_that_are_too_short_say_what_to_set(labelled: Callable[..., Labelled], shape: Any, rule: Any) -> None:
    with pytest.raises(
        DataError, match=r"is too short along z \(\d+ voxels\) to hold out \d+ with a gap of \d"
    ) as caught:
        split([labelled(shape)], ValidationBlock(**rule), "z")
    assert "data.val.fraction (0 holds nothing out), or data.val.files" in str(caught.value)


def sparse(shape: tuple[int, int, int], planes: list[int]) -> np.ndarray:
    labels = np.full(shape, -1, np.int8)
    labels[planes] = 1
    return labels


def test_of_a_few_labelled_slices_some_are_held_out(labelled: Callable[..., Labelled]) -> None:
    shape, planes = (128, 10, 10), [10, 30, 50, 70, 90]
    (train,), (held,) = split([labelled(shape, sparse(shape, planes))], ValidationBlock(), "zyx")
    assert train.planes(0).tolist() == [10, 30, 50, 70]
    assert (held.planes(0) + held.box[0].start).tolist() == [90]
    assert held.box[0].start - train.box[0].stop == 6


def test_labels_in_one_place_cannot_be_split(labelled: Callable[..., Labelled]) -> None:
    shape = (128, 10, 10)
    with pytest.raises(
        DataError, match="has labels in planes 60 to 62 along z only; with 66 planes held out and a gap of 6"
    ):
        split([labelled(shape, sparse(shape, [60, 61, 62]))], ValidationBlock(axis="z"), "zyx")


@given(st.integers(2, 40), st.floats(0.05, 0.95))
def test_random_slices_are_single_slices_of_both_sides(
    labelled: Callable[..., Labelled], size: int, fraction: float
) -> None:
    train, held = split([labelled((size, 3, 4))], ValidationBlock(split="random-slices", fraction=fraction), "z")
    sides = [{region.box[0].start for region in side} for side in (train, held)]
    assert sides[0] | sides[1] == set(range(size))
    assert not sides[0] & sides[1]
    assert sides[0]
    assert sides[1]
    assert {region.shape[0] for region in (*train, *held)} == {1}


def test_random_slices_are_drawn_from_labelled_ones_and_again_the_same(labelled: Callable[..., Labelled]) -> None:
    shape = (60, 4, 4)
    volume = labelled(shape, sparse(shape, [5, 6, 7, 40]))
    rule = ValidationBlock(split="random-slices", fraction=0.25)
    train, held = split([volume] * 3, rule, "z")
    assert {region.box[0].start for region in (*train, *held)} == {5, 6, 7, 40}
    assert [region.box for region in split([volume] * 3, rule, "z")[1]] == [region.box for region in held]


@pytest.mark.parametrize(
    ("rule", "axes", "text"),
    [
        ({}, "zyx", r"random-slices needs one slicing axis\. data.axes is 'zyx'"),
        ({"axis": "y"}, "z", "random-slices holds out slices along z, but data.val.axis is y"),
    ],
)
def test_random_slices_keep_to_one_slicing_axis(
    labelled: Callable[..., Labelled], rule: Any, axes: str, text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        split([labelled((9, 9, 9))], ValidationBlock(split="random-slices", **rule), axes)


def test_random_slices_need_two_slices(labelled: Callable[..., Labelled]) -> None:
    with pytest.raises(DataError, match="has one labelled slice along z; two are needed to split"):
        split([labelled((1, 9, 9))], ValidationBlock(split="random-slices"), "z")


@given(st.tuples(*[st.integers(1, 6)] * 3), st.integers(0, 2**32))
def test_labelled_voxels_are_counted_along_every_axis(labelled: Callable[..., Labelled], shape: Any, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(-1, 2, shape).astype(np.int8)
    region = whole(labelled(shape, labels))
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        assert region.labelled[axis].tolist() == (labels >= 0).sum(axis=others).tolist()

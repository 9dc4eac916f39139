from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.data.split import Region, whole
from volseg_core.data.windows import (
    BatchPlan,
    Group,
    WindowDataset,
    window_groups,
    window_shape,
    with_turns,
)
from volseg_core.errors import DataError, UsageError
from volseg_core.volume import SizeRule, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.data.labelled import Labelled


def unchanged(image: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return image, labels


def noisy(image: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return image + np.float32(seed % 1000), labels


def groups_of(
    *volumes: Labelled, axes: str = "zyx", window: Any = "auto", divisor: int = 8, minimum: int = 8
) -> list[Group]:
    return window_groups([whole(volume) for volume in volumes], axes, window, SizeRule.same(divisor, minimum, 2))


def shapes(groups: Any) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for group in groups:
        found.setdefault("zyx"[group.axis], []).append(group.window)
    return found


def test_a_cube_has_one_window_for_every_axis(labelled: Callable[..., Labelled]) -> None:
    assert shapes(groups_of(labelled((64, 64, 64)))) == {axis: [(64, 64)] for axis in "zyx"}


def test_a_flat_stack_has_flat_windows_across(labelled: Callable[..., Labelled]) -> None:
    assert shapes(groups_of(labelled((10, 40, 300)))) == {"z": [(40, 256)], "y": [(8, 256)], "x": [(8, 40)]}


def test_volumes_of_one_shape_share_a_group_and_others_do_not(labelled: Callable[..., Labelled]) -> None:
    groups = groups_of(labelled((16, 32, 32)), labelled((8, 32, 32)), labelled((8, 64, 64)), axes="z")
    assert [(group.window, len(group.regions)) for group in groups] == [((32, 32), 2), ((64, 64), 1)]


@given(st.tuples(*[st.integers(1, 70)] * 3), st.sampled_from([1, 4, 16, 32]), st.sampled_from([1, 32, 48]))
def test_windows_are_the_nearest_multiples_of_the_divisor(
    labelled: Callable[..., Labelled], shape: Any, divisor: int, minimum: int
) -> None:
    for group in groups_of(labelled(shape), divisor=divisor, minimum=minimum):
        plane = View.parse("zyx"[group.axis]).shape(shape)[1:]
        for size, window in zip(plane, group.window, strict=True):
            assert window % divisor == 0
            assert window >= minimum
            assert abs(window - size) <= divisor / 2 or window - divisor < minimum


def test_a_window_may_be_asked_for(labelled: Callable[..., Labelled]) -> None:
    assert shapes(groups_of(labelled((40, 64, 64)), axes="z", window=(32, 16))) == {"z": [(32, 16)]}


@pytest.mark.parametrize(
    ("window", "divisor", "minimum", "text"),
    [
        (
            (32, 32),
            8,
            8,
            r"data.window: 32 x 32 is larger than the slices along y of .* \(10 x 64\). Use data.window=auto",
        ),
        ((10, 12), 8, 8, "data.window: 10 x 12 does not suit this network, which takes multiples of 8.$"),
        ((8, 8), 8, 32, "data.window: 8 x 8 does not suit this network, which takes multiples of 8, 32 or more"),
    ],
)
def test_windows_that_cannot_be_are_refused(
    labelled: Callable[..., Labelled], window: Any, divisor: int, minimum: int, text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        groups_of(labelled((10, 64, 64)), window=window, divisor=divisor, minimum=minimum)


def test_training_without_any_label_is_refused(labelled: Callable[..., Labelled]) -> None:
    with pytest.raises(DataError, match=r"volume 9 x 9 x 9 \[.*\]: has no labelled voxel to train on"):
        groups_of(labelled((9, 9, 9), np.full((9, 9, 9), -1, np.int8)))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 50)), min_size=1, max_size=6))
def test_a_draw_gives_the_same_window_whenever_it_is_asked_for(labelled: Callable[..., Labelled], draws: Any) -> None:
    groups = groups_of(labelled((20, 24, 40)))
    first, again = (WindowDataset(groups, noisy, seed=5) for _ in range(2))
    before = {draw: first[draw] for draw in draws}
    for draw in reversed(draws):
        np.testing.assert_array_equal(again[draw][0], before[draw][0])
        np.testing.assert_array_equal(again[draw][1], before[draw][1])


def test_seeds_epochs_and_indices_all_change_the_window(labelled: Callable[..., Labelled]) -> None:
    volume = labelled((50, 60, 70))
    groups = groups_of(volume, axes="zy", window=(32, 32))

    def place(seed: int, epoch: int, number: int, index: int) -> bytes:
        return WindowDataset(groups, unchanged, seed)[epoch, number, index][0].tobytes()

    draws = {place(*key) for key in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]}
    assert len(draws) == 5
    assert len({place(0, 0, 0, index) for index in range(40)}) > 35


@given(st.tuples(*[st.integers(1, 40)] * 3), st.integers(0, 2), st.integers(0, 1000))
def test_image_and_labels_are_cut_from_one_place(
    labelled: Callable[..., Labelled], shape: Any, axis: Any, index: int
) -> None:
    volume = labelled(shape)
    (group,) = groups_of(volume, axes="zyx"[axis])
    image, (labels,) = WindowDataset([group], unchanged, 0)[0, 0, index]
    assert image.dtype == np.float32
    assert labels.dtype == np.int64
    assert image.shape == (1, *group.window) == (1, *labels.shape)
    known = labels >= 0
    # grey values count voxels and labels are grey values modulo 3: what is padded repeats grey values but no label
    np.testing.assert_array_equal(np.rint(image[0][known]).astype(int) % 3, labels[known])
    plane = View.parse("zyx"[axis]).shape(shape)[1:]
    assert known.sum() == min(plane[0], group.window[0]) * min(plane[1], group.window[1])


def test_planes_smaller_than_the_divisor_are_padded_without_labels(labelled: Callable[..., Labelled]) -> None:
    image, (labels,) = WindowDataset(groups_of(labelled((3, 5, 6)), axes="z"), unchanged, 0)[0, 0, 0]
    assert labels.shape == (8, 8)
    assert (labels[:5, :6] >= 0).all()
    assert (labels[5:] == -1).all()
    assert (labels[:, 6:] == -1).all()
    assert set(np.unique(image[0])) == set(np.unique(image[0, :5, :6]))


def test_windows_stay_inside_their_region(labelled: Callable[..., Labelled]) -> None:
    volume = labelled((40, 40, 40))
    region = Region(volume, (slice(0, 24), slice(8, 40), slice(0, 40)))
    dataset = WindowDataset(window_groups([region], "zyx", (16, 16), SizeRule.same(8, 8, 2)), unchanged, 0)
    inside = set(volume.data[0][region.box].ravel().tolist())
    for number in range(3):
        for index in range(10):
            image, _ = dataset[0, number, index]
            assert set(np.rint(image).astype(int).ravel().tolist()) <= inside


@pytest.mark.parametrize(
    "place", [np.s_[40:43], np.s_[10, 200, 7], np.s_[:, 255, 255]], ids=["slices", "voxel", "line"]
)
@pytest.mark.parametrize("axis", "zyx")
def test_sparse_labels_are_in_every_window(labelled: Callable[..., Labelled], place: Any, axis: Any) -> None:
    labels = np.full((64, 256, 256), -1, np.int8)
    labels[place] = 1
    dataset = WindowDataset(groups_of(labelled(labels.shape, labels), axes=axis, window=(32, 32)), unchanged, 0)
    assert all((dataset[0, 0, index][1][0] == 1).any() for index in range(40))


def test_regions_are_drawn_by_how_many_labelled_windows_they_hold(labelled: Callable[..., Labelled]) -> None:
    labels = np.full((40, 16, 16), -1, np.int8)
    labels[:4] = 0
    few, many, none = labelled((40, 16, 16), labels), labelled((36, 16, 16)), labelled((4, 16, 16), labels[4:8])
    (group,) = groups_of(few, many, none, axes="z")
    assert group.counts == [4, 36, 0]
    dataset = WindowDataset([group], unchanged, 0)
    drawn = [(dataset[0, 0, index][1][0] == 0).all() for index in range(300)]
    assert 15 <= sum(drawn) <= 50


def test_windows_cover_large_slices_several_times(labelled: Callable[..., Labelled]) -> None:
    (group,) = groups_of(labelled((3, 64, 96)), axes="z", window=(32, 32))
    assert group.counts == [3 * 2 * 3]


def test_augmentation_sees_the_unit_range_and_cannot_touch_the_volume(labelled: Callable[..., Labelled]) -> None:
    volume = labelled((10, 16, 16))
    before = volume.data.copy(), volume.labels.copy()

    def spoil(image: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        assert image.shape == (16, 16, 1)
        assert image.dtype == np.float32
        assert labels.dtype == np.int32
        assert 0 <= image.min() <= image.max() <= 1
        image[:], labels[:] = 0.25, 2
        return image, labels

    image, (labels,) = WindowDataset(groups_of(volume, axes="z"), spoil, 0)[0, 0, 2]
    np.testing.assert_allclose(image, 0.25 * volume.data.max(), rtol=1e-5)
    assert (labels == 2).all()
    np.testing.assert_array_equal(volume.data, before[0])
    np.testing.assert_array_equal(volume.labels, before[1])


def test_a_plan_repeats_an_epoch_and_changes_between_epochs(labelled: Callable[..., Labelled]) -> None:
    groups = groups_of(labelled((20, 24, 40)))
    plan, other = BatchPlan(groups, 30, 4, seed=1), BatchPlan(groups, 30, 4, seed=2)
    first = list(plan)
    plan.set_epoch(1)
    second = list(plan)
    plan.set_epoch(0)
    assert list(plan) == first
    assert [[draw[1] for draw in batch] for batch in first] != [[draw[1] for draw in batch] for batch in second]
    assert first != list(other)
    assert len(plan) == len(first) == 30


def test_a_batch_comes_from_one_group_and_no_draw_comes_twice(labelled: Callable[..., Labelled]) -> None:
    plan = BatchPlan(groups_of(labelled((20, 24, 40))), 30, 4, seed=1)
    batches = list(plan)
    assert all(len({draw[:2] for draw in batch}) == 1 for batch in batches)
    indices = [draw[2] for batch in batches for draw in batch]
    assert sorted(indices) == list(range(120))


def test_groups_are_drawn_by_how_many_windows_they_hold(labelled: Callable[..., Labelled]) -> None:
    groups = groups_of(labelled((90, 16, 16)), labelled((10, 32, 32)), axes="z")
    drawn = [batch[0][1] for batch in BatchPlan(groups, 500, 1, seed=0)]
    assert np.mean(drawn) == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize(("size", "window"), [(55, 64), (40, 32), (48, 32), (49, 64), (20, 32), (300, 256), (250, 256)])
def test_an_automatic_window_is_the_nearest_multiple(labelled: Callable[..., Labelled], size: int, window: int) -> None:
    assert shapes(groups_of(labelled((2, size, 64)), axes="z", divisor=32)) == {"z": [(window, 64)]}


@pytest.mark.parametrize(
    ("shape", "window", "found"),
    [((2, 300, 40), "small", (128, 40)), ((2, 140, 140), "small", (128, 128)), ((2, 300, 140), "auto", (256, 136))],
)
def test_small_windows_have_half_the_edges_of_automatic_ones(
    labelled: Callable[..., Labelled], shape: Any, window: str, found: Any
) -> None:
    assert shapes(groups_of(labelled(shape), axes="z", window=window)) == {"z": [found]}


@pytest.mark.parametrize(("axes", "found"), [("zyx", (48, 48, 48)), ("z", (16, 64, 64)), ("x", (64, 64, 16))])
def test_small_boxes_too(axes: str, found: tuple[int, ...]) -> None:
    assert window_shape("small", (100, 100, 100), axes, SizeRule.same(8, 8, 3)) == found


def test_oblong_windows_come_in_both_orientations_half_as_often_each(labelled: Callable[..., Labelled]) -> None:
    volume = labelled((16, 32, 32))
    groups = groups_of(volume)
    turned = with_turns(groups)
    assert shapes(turned) == {"z": [(32, 32)], "y": [(16, 32), (32, 16)], "x": [(16, 32), (32, 16)]}
    assert sum(sum(group.counts) for group in turned) == sum(sum(group.counts) for group in groups)
    upright, across = (WindowDataset([group], unchanged, 0) for group in turned[1:3])
    planes = {upright[0, 0, index][0][0].tobytes() for index in range(300)}
    assert {np.ascontiguousarray(across[0, 0, index][0][0].T).tobytes() for index in range(20)} <= planes


def test_whole_slices_are_padded_to_the_divisor(labelled: Callable[..., Labelled]) -> None:
    assert shapes(groups_of(labelled((10, 40, 300)), axes="z", window="whole")) == {"z": [(40, 304)]}


def test_neighbouring_slices_become_channels_slice_by_slice(labelled: Callable[..., Labelled]) -> None:
    volume = labelled((5, 8, 8))
    (group,) = groups_of(volume, axes="z")
    for index in range(12):
        image, (labels,) = WindowDataset([group], unchanged, 0, neighbours=2)[0, 0, index]
        plane = round(float(image[2, 0, 0])) // 64
        np.testing.assert_array_equal(labels, volume.labels[plane])
        around = [abs(plane - 2), abs(plane - 1), plane, 4 - abs(4 - plane - 1), 4 - abs(4 - plane - 2)]
        np.testing.assert_allclose(image, volume.data[0][around], atol=1e-3)


def test_neighbours_of_a_slab_lie_in_the_volume_beyond_it(labelled: Callable[..., Labelled]) -> None:
    volume = labelled((6, 8, 8))
    slab = Region(volume, (slice(0, 3), slice(0, 8), slice(0, 8)))
    groups = window_groups([slab], "z", "auto", SizeRule.same(8, 8, 2))
    dataset = WindowDataset(groups, unchanged, 0, neighbours=1)
    seen = {tuple((dataset[0, 0, index][0][:, 0, 0].round() // 64).astype(int).tolist()) for index in range(30)}
    assert seen == {(1, 0, 1), (0, 1, 2), (1, 2, 3)}


def test_another_length_of_an_epoch_leaves_the_plan_as_it_was(labelled: Callable[..., Labelled]) -> None:
    plan = BatchPlan(groups_of(labelled((16, 16, 16))), 5, 2, seed=0)
    assert (len(list(plan.for_steps(9, epoch=3))), len(list(plan))) == (9, 5)
    assert {draw[0] for batch in plan.for_steps(9, epoch=3) for draw in batch} == {3}

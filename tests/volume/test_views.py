from __future__ import annotations

from collections import Counter
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.volume import PRESETS, View, box_preset, preset, symmetries
from volseg_core.volume.views import plane_rotations

ALL_VIEWS = [View(order, flips) for order in permutations((0, 1, 2)) for flips in product((False, True), repeat=3)]
SHAPE = (3, 4, 5)


@pytest.fixture
def volume() -> np.ndarray:
    return np.arange(np.prod(SHAPE)).reshape(SHAPE)


def images(volume: np.ndarray, axis: int) -> Counter[tuple[tuple[int, ...], bytes]]:
    """The slices along an axis as a multiset of pictures, whatever order they are walked in."""
    planes = np.moveaxis(volume, axis, 0)
    return Counter((plane.shape, np.ascontiguousarray(plane).tobytes()) for plane in planes)


def slice_set(volume: np.ndarray, view: View) -> frozenset[tuple[tuple[tuple[int, ...], bytes], int]]:
    return frozenset(images(view.apply(volume), 0).items())


def test_there_are_48_views_and_all_of_them_differ(volume: np.ndarray) -> None:
    assert len({view.apply(volume).tobytes() + bytes(view.shape(SHAPE)) for view in ALL_VIEWS}) == 48


@pytest.mark.parametrize("view", ALL_VIEWS, ids=lambda view: view.name)
def test_a_view_undone_is_the_volume_again(view: View, volume: np.ndarray) -> None:
    seen = view.apply(volume)
    assert seen.shape == view.shape(SHAPE)
    np.testing.assert_array_equal(view.invert(seen), volume)


@pytest.mark.parametrize("view", ALL_VIEWS, ids=lambda view: view.name)
def test_a_view_is_known_by_its_name(view: View) -> None:
    assert View.parse(view.name) == view


def test_leading_axes_stay_where_they_are(volume: np.ndarray) -> None:
    channels = np.stack([volume, -volume])
    view = View((2, 0, 1), (True, False, True))
    np.testing.assert_array_equal(view.apply(channels)[1], view.apply(-volume))


def test_nothing_is_copied(volume: np.ndarray) -> None:
    assert all(np.shares_memory(view.apply(volume), volume) for view in ALL_VIEWS)


def spans(size: int) -> st.SearchStrategy[slice]:
    return st.tuples(st.integers(0, size), st.integers(0, size)).map(lambda ends: slice(min(ends), max(ends)))


@st.composite
def boxes(draw: st.DrawFn) -> tuple[View, tuple[int, ...], tuple[slice, ...]]:
    view = draw(st.sampled_from(ALL_VIEWS))
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    return view, shape, tuple(draw(spans(size)) for size in view.shape(shape))


@given(boxes())
def test_a_box_of_a_view_is_found_in_the_volume(case: Any) -> None:
    view, shape, box = case
    volume = np.arange(np.prod(shape)).reshape(shape)
    where = view.locate(box, shape)
    np.testing.assert_array_equal(view.apply(volume[where]), view.apply(volume)[box])
    np.testing.assert_array_equal(view.invert(view.apply(volume)[box]), volume[where])


@pytest.mark.parametrize("view", ALL_VIEWS, ids=lambda view: view.name)
def test_torch_tensors_behave_like_numpy_arrays(view: View, volume: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(volume)[None]
    np.testing.assert_array_equal(view.apply(tensor)[0].numpy(), view.apply(volume))
    np.testing.assert_array_equal(view.invert(view.apply(tensor))[0].numpy(), volume)


@pytest.mark.parametrize("name", ["", "zy", "yx", "z,y", "z,y,y", "z,y,q", "--z,y,x", "-z"])
def test_what_is_no_order_of_the_axes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not an order of z, y, x"):
        View.parse(name)


def test_axes_are_permuted_once_each() -> None:
    with pytest.raises(ValueError, match="not a permutation"):
        View((0, 0, 1))


@pytest.mark.parametrize(("name", "count"), [("low", 1), ("medium", 3), ("high", 12), ("max", 24)])
def test_a_quality_has_its_number_of_directions_and_none_repeats(name: str, count: int, volume: np.ndarray) -> None:
    views = preset(name)
    assert len(views) == count
    assert {weight for _, weight in views} == {1}
    # distinct as what the network sees: sets of pictures
    assert len({slice_set(volume, view) for view, _ in views}) == count


def test_legacy12_shows_the_pictures_of_the_twelve_passes_each_as_often(volume: np.ndarray) -> None:
    """Volume Segmantics brings an axis to the front by swapping it with z, which transposes the slices along x."""
    passes = Counter(
        frozenset(images(np.rot90(volume, turns, axes=(0, 1)).swapaxes(0, axis), 0).items())
        for turns in range(4)
        for axis in range(3)
    )
    ours = Counter({slice_set(volume, view): weight for view, weight in preset("legacy12")})
    assert ours == passes
    assert sorted(ours.values()) == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_quality_keeps_to_the_axes_of_the_network() -> None:
    assert {view.axis for view, _ in preset("high", "z")} == {0}
    assert len(preset("max", "zx")) == 16
    assert [view.name for view, _ in preset("low", "yx")] == ["y,z,x"]
    assert all(view.axis == 0 for view, _ in preset("legacy12", "z"))


def test_an_unknown_quality_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'best' is not one of low, medium, high, max, legacy12"):
        preset("best")
    assert all(preset(name) for name in PRESETS)


def test_rotations_turn_by_quarters(volume: np.ndarray) -> None:
    planes = [view.apply(volume)[1] for view in plane_rotations(0)]
    turned = [np.rot90(volume[1], quarters) for quarters in range(4)]
    assert {plane.tobytes() for plane in planes} == {np.ascontiguousarray(plane).tobytes() for plane in turned}


def test_boxes_look_alike_in_all_views_or_in_those_that_keep_an_axis() -> None:
    assert set(symmetries()) == set(ALL_VIEWS)
    assert symmetries()[0] == symmetries("y")[0] == View()
    for axis, letter in enumerate("zyx"):
        kept = symmetries(letter)
        assert len(set(kept)) == 16
        assert all(view.order[axis] == axis for view in kept)


@pytest.mark.parametrize(("quality", "axes", "count"), [
    ("low", "zyx", 1), ("medium", "zyx", 4), ("high", "zyx", 8), ("max", "zyx", 48),
    ("low", "z", 1), ("medium", "z", 4), ("high", "z", 8), ("max", "z", 16),
])  # fmt: skip
def test_qualities_of_3d_networks_are_1_4_8_and_all_views(quality: str, axes: str, count: int) -> None:
    views = [view for view, weight in box_preset(quality, axes) if weight == 1]
    assert views[0] == View()
    assert len(views) == len(set(views)) == count


def test_four_mirror_images_leave_the_axis_that_differs_as_it_is() -> None:
    assert [view.name for view, _ in box_preset("medium")] == ["z,y,x", "z,y,-x", "z,-y,x", "z,-y,-x"]
    assert all(not view.flips[2] for view, _ in box_preset("medium", "x"))


def test_a_quality_of_slices_is_none_of_boxes() -> None:
    with pytest.raises(ValueError, match="'legacy12' is not one of low, medium, high, max"):
        box_preset("legacy12")

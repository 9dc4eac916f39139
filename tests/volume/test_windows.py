from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from volseg_core.volume import SizeRule, Tiling, pad_to, padded_size, reflected
from volseg_core.volume.windows import BLENDS, step_between


@st.composite
def tilings(draw: st.DrawFn, blends: Any = BLENDS, dimensions: Any = (1, 2)) -> Tiling:
    window = draw(st.lists(st.integers(1, 12), min_size=min(dimensions), max_size=max(dimensions)))
    shape = [draw(st.integers(size, 4 * size)) for size in window]
    overlap = draw(st.floats(0, 0.9))
    return Tiling(tuple(shape), tuple(window), overlap, draw(st.sampled_from(blends)))


def total(tiling: Tiling) -> np.ndarray:
    result = np.zeros(tiling.shape)
    for box, weight in zip(tiling.boxes(), tiling.weights(), strict=True):
        assert weight.shape == tiling.window
        result[box] += weight
    return result


@given(tilings())
def test_windows_cover_every_voxel_and_their_weights_sum_to_one(tiling: Tiling) -> None:
    np.testing.assert_allclose(total(tiling), 1, atol=1e-6)


@given(tilings())
def test_the_first_window_starts_and_the_last_one_ends_at_the_border(tiling: Tiling) -> None:
    boxes = tiling.boxes()
    assert all(part.start == 0 for part in boxes[0])
    assert tuple(part.stop for part in boxes[-1]) == tiling.shape
    assert len({tuple(part.start for part in box) for box in boxes}) == len(boxes)


@given(tilings())
def test_neighbours_overlap_by_at_least_the_share_asked_for(tiling: Tiling) -> None:
    for axis, window in enumerate(tiling.window):
        steps = np.diff(tiling.starts(axis))
        assert (steps <= max(1, int(window * (1 - tiling.overlap)))).all()


@given(tilings(blends=("crop",)))
def test_crop_takes_each_voxel_from_one_window_the_nearest(tiling: Tiling) -> None:
    centres = [np.array(tiling.starts(axis)) + (size - 1) / 2 for axis, size in enumerate(tiling.window)]
    assert all(set(np.unique(weight)) <= {0.0, 1.0} for weight in tiling.weights())
    for axis, profiles in enumerate([tiling.profiles(axis) for axis in range(len(tiling.shape))]):
        for start, centre, profile in zip(tiling.starts(axis), centres[axis], profiles, strict=True):
            for place in np.flatnonzero(profile) + start:
                assert abs(place - centre) <= np.abs(place - centres[axis]).min()


def test_a_constant_blend_is_the_plain_mean_and_a_gaussian_prefers_the_middle() -> None:
    shape, window = (48,), (32,)
    constant = list(Tiling(shape, window, 0.5, "constant").weights())
    assert constant[0][20] == pytest.approx(0.5)
    gaussian = list(Tiling(shape, window, 0.5, "gaussian").weights())
    assert gaussian[0][17] > 0.5 > gaussian[0][31]


@given(tilings())
def test_joints_are_where_the_window_of_most_weight_changes(tiling: Tiling) -> None:
    for axis, size in enumerate(tiling.shape):
        weights = np.zeros((len(tiling.starts(axis)), size))
        for row, start, profile in zip(weights, tiling.starts(axis), tiling.profiles(axis), strict=True):
            row[start : start + tiling.window[axis]] = profile
        joints = tiling.joints(axis)
        assert all(0 < joint < size for joint in joints)
        if tiling.blend == "constant":
            changes = np.flatnonzero(np.diff(weights > 0, axis=1).any(0)) + 1
            assert set(changes) <= set(joints)
        elif tiling.overlap <= 0.5:
            changes = np.flatnonzero(np.diff(weights.argmax(0))) + 1
            assert all(min(abs(change - joint) for joint in joints) <= 1 for change in changes)


def test_joints_of_windows_that_overlap_by_half() -> None:
    joints = {blend: Tiling((32,), (16,), 0.5, blend).joints(0) for blend in BLENDS}
    assert joints == {"gaussian": [12, 20], "crop": [12, 20], "constant": [8, 16, 24]}
    assert Tiling((16,), (16,)).joints(0) == []


def test_one_window_that_fits_has_weight_one() -> None:
    assert next(Tiling((4, 6), (4, 6)).weights()).tolist() == np.ones((4, 6)).tolist()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (((8,), (9,)), r"window \(9,\) does not fit into shape \(8,\)"),
        (((8,), (0,)), "does not fit"),
        (((8,), (4,), 1.0), r"overlap 1.0 is not in \[0, 1\)"),
        (((8,), (4,), 0.5, "soft"), "blend 'soft' is not one of gaussian, constant, crop"),
    ],
)
def test_tilings_that_cannot_be_are_refused(arguments: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Tiling(*arguments)


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=3, max_side=7)), st.integers(0, 30), st.integers(0, 30)
)
def test_padding_keeps_the_image_and_adds_only_values_of_it(image: Any, below: Any, right: Any) -> None:
    shape = (image.shape[-2] + below, image.shape[-1] + right)
    padded = pad_to(image, shape)
    assert padded.shape == (*image.shape[:-2], *shape)
    np.testing.assert_array_equal(padded[..., : image.shape[-2], : image.shape[-1]], image)
    assert set(np.unique(padded)) <= set(np.unique(image))


def test_reflection_goes_on_where_the_image_is_smaller_than_half_the_target() -> None:
    assert pad_to(np.array([1, 2, 3]), (9,)).tolist() == [1, 2, 3, 2, 1, 2, 3, 2, 1]
    assert pad_to(np.array([7]), (4,)).tolist() == [7, 7, 7, 7]


def test_an_image_that_is_large_enough_is_returned_as_it_is() -> None:
    image = np.zeros((5, 5))
    assert pad_to(image, (4, 5)) is image


@given(st.integers(1, 500), st.integers(1, 64), st.integers(1, 200))
def test_a_padded_size_is_the_least_multiple(size: int, divisor: int, minimum: int) -> None:
    padded = padded_size(size, divisor, minimum)
    assert padded % divisor == 0
    assert padded >= max(size, minimum) > padded - divisor


AXES = st.tuples(*[st.integers(1, 40)] * 3)
RULES = st.builds(SizeRule, AXES, AXES)


@given(RULES, AXES)
def test_a_rule_of_sizes_counts_for_each_axis_by_itself(rule: SizeRule, shape: tuple[int, ...]) -> None:
    padded = rule.padded(shape)
    assert padded == tuple(map(padded_size, shape, rule.divisor, rule.least))
    assert rule.suits(padded)
    assert rule.suits(shape) == (shape == padded)


@given(RULES, RULES, AXES)
def test_what_two_rules_take_is_what_each_takes(one: SizeRule, two: SizeRule, shape: tuple[int, ...]) -> None:
    both = one.joined(two)
    assert both.suits(shape) == (one.suits(shape) and two.suits(shape))
    assert one.suits(both.padded(shape))
    assert two.suits(both.padded(shape))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (SizeRule.same(32, 32, 2), "multiples of 32"),
        (SizeRule.same(8, 20, 3), "multiples of 8, 24 or more"),
        (SizeRule((1, 4, 4), (1, 1, 1)), "multiples of 1 x 4 x 4"),
        (SizeRule((1, 1, 1), (2, 16, 16)), "multiples of 1, 2 x 16 x 16 or more"),
    ],
)
def test_a_rule_of_sizes_says_what_it_is(rule: SizeRule, text: str) -> None:
    assert str(rule) == text


@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(0, 8)] * 3), st.tuples(*[st.integers(1, 12)] * 3))
def test_a_box_beyond_an_array_is_cut_from_the_padded_array(shape: Any, starts: Any, size: Any) -> None:
    array = np.arange(2 * np.prod(shape)).reshape(2, *shape)
    corner = [min(start, whole - 1) for start, whole in zip(starts, shape, strict=True)]
    box = tuple(slice(start, start + edge) for start, edge in zip(corner, size, strict=True))
    padded = pad_to(array, [part.stop for part in box])
    np.testing.assert_array_equal(reflected(array, box), padded[(slice(None), *box)])


@pytest.mark.parametrize(("edge", "overlap", "step"), [(20, 0.9, 2), (10, 0.7, 3), (170, 0.7647, 40), (4, 0.95, 1)])
def test_a_step_is_what_an_overlap_leaves(edge: int, overlap: float, step: int) -> None:
    assert step_between(edge, overlap) == step
    assert Tiling((edge + 5 * step,), (edge,), overlap).starts(0) == [step * index for index in range(6)]

"""What holds for every target: windows, voxels without labels, numbers of objects, mirror images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

LONG = [[1, 0, 0], [0, -2, 1], [0, 0, -3], [0, 3, 0]]
SPACING = (2.5, 1.0, 0.5)
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("foreground", {}),
    *(
        ("boundaries", {"mode": mode, "connectivity": connectivity, "foreground": connectivity == 2})
        for mode in ("thick", "inner", "outer")
        for connectivity in (1, 2)
    ),
    ("affinities", {}),
    ("affinities", {"offsets": LONG, "background": True, "placed": "middle", "channel": "boundary"}),
    ("affinities", {"offsets": LONG, "values": "different", "grouped": 2, "channel": "foreground"}),
    ("distance", {"limit": 2.0}),
    ("signed-distance", {"limit": 3.0, "units": "physical"}),
    ("signed-distance", {"limit": 4.0, "tanh": 1.5}),
    ("centre-offsets", {}),
    ("centre-offsets", {"units": "physical"}),
]
each_target = pytest.mark.parametrize(("name", "params"), VARIANTS, ids=str)


@st.composite
def windows(draw: Any) -> Any:
    """Ids (*S) in blocks of two voxels, so that objects have an inside."""
    dims = draw(st.integers(2, 3))
    shape = draw(arrays.array_shapes(min_dims=dims, max_dims=dims, min_side=1, max_side=5))
    coarse = draw(arrays.arrays(np.int32, shape, elements=st.sampled_from((-1, 0, 0, 1, 1, 2, 3))))
    fine = coarse
    for axis in range(dims):
        fine = fine.repeat(2, axis)
    cut = draw(st.tuples(*(st.integers(0, 1) for _ in range(dims))))
    return np.ascontiguousarray(fine[tuple(slice(start, None) for start in cut)])


def in_dims(params: dict[str, Any], dims: int) -> dict[str, Any]:
    """Parameters with offsets of so many axes."""
    if dims == 3 or "offsets" not in params:
        return params
    return params | {"offsets": [[-1, 0], [0, 2], [1, -2], [0, -3]]}


def build(make: Any, name: str, params: dict[str, Any], ids: Any) -> Any:
    return make(name, ids.ndim, SPACING[-ids.ndim :], **in_dims(params, ids.ndim))


def assert_agrees(part: Any, whole: Any) -> None:
    known = ~np.isnan(part)
    np.testing.assert_allclose(part[known], whole[known], rtol=1e-6)


@each_target
@given(ids=windows())
def test_channels_are_float32_and_unknown_without_labels(name: str, params: Any, ids: Any, make: Any) -> None:
    target, given = build(make, name, params, ids), ids.copy()
    made = target(ids)
    assert (made.dtype, made.shape) == (np.float32, (len(target.names), *ids.shape))
    assert len(set(target.names)) == len(target.names)
    assert np.isnan(made[:, ids < 0]).all()
    assert not np.isinf(made).any()
    np.testing.assert_array_equal(ids, given)


@each_target
@settings(max_examples=60)
@given(ids=windows(), data=st.data())
def test_a_window_is_as_the_whole_wherever_it_is_known(
    name: str, params: Any, ids: Any, data: st.DataObject, make: Any
) -> None:
    box = []
    for size in ids.shape:
        start = data.draw(st.integers(0, size - 1))
        box.append(slice(start, data.draw(st.integers(start + 1, size))))
    target = build(make, name, params, ids)
    assert_agrees(target(ids[tuple(box)]), target(ids)[(slice(None), *box)])


@each_target
@settings(max_examples=60)
@given(ids=windows(), data=st.data())
def test_labels_that_are_taken_away_make_less_known_and_nothing_else(
    name: str, params: Any, ids: Any, data: st.DataObject, make: Any
) -> None:
    hidden = data.draw(arrays.arrays(bool, ids.shape))
    target = build(make, name, params, ids)
    assert_agrees(target(np.where(hidden, np.int32(-1), ids)), target(ids))


@each_target
@given(ids=windows(), seed=st.integers(0, 2**32 - 1))
def test_the_numbers_of_objects_do_not_matter(name: str, params: Any, ids: Any, seed: int, make: Any) -> None:
    numbers = np.random.default_rng(seed).choice(2**31 - 1, 3, replace=False).astype(np.int32) + 1
    renumbered = np.where(ids > 0, numbers[ids - 1], ids)
    target = build(make, name, params, ids)
    np.testing.assert_array_equal(target(renumbered), target(ids))


@each_target
@given(ids=windows(), data=st.data())
def test_mirrored_labels_give_the_mirrored_target(
    name: str, params: Any, ids: Any, data: st.DataObject, make: Any
) -> None:
    axis = data.draw(st.integers(0, ids.ndim - 1))
    target = build(make, name, params, ids)
    expected = np.flip(target(ids), axis + 1)
    if name == "affinities":
        mirrored = [[-step if each == axis else step for each, step in enumerate(offset)] for offset in target.offsets]
        target = (
            build(make, name, params | {"offsets": mirrored}, ids)
            if ids.ndim == 3
            else make(name, 2, None, **params | {"offsets": mirrored})
        )
    if name == "centre-offsets":
        expected[axis] *= -1
    np.testing.assert_array_equal(target(np.flip(ids, axis)), expected)


@each_target
def test_what_is_far_from_every_border_is_known(name: str, params: Any, make: Any) -> None:
    ids = np.zeros((16, 16, 16), np.int32)
    ids[6:10, 5:11, 6:10] = 1
    made = build(make, name, params, ids)(ids)[:, 5:11, 4:12, 5:11]
    assert np.isfinite(made[:, 1:-1, 1:-1, 1:-1]).all()
    if name != "centre-offsets":
        assert np.isfinite(made).all()

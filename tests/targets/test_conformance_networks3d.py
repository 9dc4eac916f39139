"""The targets of pytorch-3dunet 1.9.6: which parameters give its arrays, and where they differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import find_boundaries

AXES = ([0, 0, 1], [0, 1, 0], [1, 0, 0])
REFERENCE = {"values": "different", "placed": "middle", "background": True}
"""It gives 1 to voxels of different ids, in the middle of the pair, and takes the background for an object."""


def steps(lengths: list[int], depths: list[int] | None = None) -> list[list[int]]:
    """Offsets along x, y and z for each length, along z of the depths where there are any."""
    pairs = zip(lengths, depths or lengths, strict=True)
    return [[(deep if axis[0] else long) * each for each in axis] for long, deep in pairs for axis in AXES]


EQUAL: dict[int, tuple[str, dict[str, Any]]] = {
    325: ("boundaries", {"connectivity": 2}),
    326: ("boundaries", {"connectivity": 2, "mode": "inner", "foreground": True}),
    327: ("boundaries", {"connectivity": 2}),
    329: ("affinities", REFERENCE | {"offsets": steps([1, 2, 3])}),
    330: ("affinities", REFERENCE | {"offsets": steps([1, 3], [1, 2]), "grouped": 3}),
    331: ("affinities", REFERENCE | {"offsets": steps([1, 2])}),
    332: ("affinities", REFERENCE | {"offsets": [[1, 0, 0], [2, 0, 0]]}),
    333: ("affinities", REFERENCE | {"offsets": steps([1, 2], [1, 1])[:-1], "channel": "boundary", "connectivity": 2}),
    334: ("affinities", REFERENCE | {"offsets": steps([1, 2], [1, 1])[:-1], "channel": "foreground"}),
}
"""Target and parameters of a case; the same cases come again, with other labels, under numbers 25 higher."""
NUMBERS = [number + more for number in EQUAL for more in (0, 25)]
BLOBS = (335, 336, 360, 361)
RENUMBERED = (337, 338, 362, 363)
QUIRKS = (328, 353)
NAMES = (
    "StandardLabelToBoundary", "LabelToAffinities", "LabelToZAffinities", "LabelToBoundaryAndAffinities",
    "LabelToMaskAndAffinities", "BlobsToMask", "Relabel",
)  # fmt: skip


def target_of(number: int, make: Any) -> Any:
    name, params = EQUAL[number if number in EQUAL else number - 25]
    return make(name, **params)


@pytest.fixture
def given(cases: Any, arrays: Any) -> Any:
    def given(number: int) -> tuple[Any, Any]:
        case = cases[f"transform_{number}"]
        expected = case["expected"] and arrays[case["expected"]]
        return arrays[case["input"]].astype(np.int32), expected

    return given


@pytest.mark.parametrize("number", NUMBERS)
def test_it_is_that_of_pytorch_3dunet_wherever_it_is_known(number: int, given: Any, make: Any) -> None:
    ids, expected = given(number)
    target = target_of(number, make)
    made = target(ids)
    known = ~np.isnan(made)
    np.testing.assert_array_equal(made[known], expected[: len(made)][known])
    inside = made[:, 2:-2, 2:-2, 2:-2]
    assert np.isfinite(inside[:, ids[2:-2, 2:-2, 2:-2] >= 0]).mean() > 0.6
    assert (expected[:, ids < 0] == -1).all()
    if ids.min() == 0:
        assert np.isfinite(inside).all()


def test_a_channel_for_z_twice_is_asked_for_once(given: Any) -> None:
    """Of two lengths with the depth 1 the last channel is the third again: here no offset is there twice."""
    for number in (333, 334, 358, 359):
        _, expected = given(number)
        np.testing.assert_array_equal(expected[6], expected[3])


@pytest.mark.parametrize("number", BLOBS)
def test_the_outer_boundary_is_that_of_labels_that_do_not_overflow(number: int, given: Any, make: Any) -> None:
    """The reference's are int64, whose largest number scikit-image 0.26 cannot fill in: it marks insides of objects.

    Of 32 bits they give what its documentation says, and what we give.
    """
    ids, expected = given(number)
    classes = number in (336, 361)  # background, object and boundary in one channel
    marked = expected[0] == 2 if classes else expected[1] == 1
    foreground, outer = make("boundaries", connectivity=2, mode="outer", foreground=True)(ids)
    known = ~np.isnan(outer)
    np.testing.assert_array_equal(outer[known], find_boundaries(ids, connectivity=2, mode="outer")[known])
    np.testing.assert_array_equal(foreground[~marked], expected[0][~marked])
    extra = known & (marked != outer)
    assert 0 < extra.sum() < 10
    assert marked[extra].all()
    objects = ndimage.generic_filter(ids, lambda around: len(set(around[around > 0])), 3)
    assert (objects[extra] == 1).all(), "beside the background and no other object"


@pytest.mark.parametrize("number", RENUMBERED)
def test_relabelling_changes_nothing(number: int, given: Any, make: Any) -> None:
    """Also where it parts what does not touch: neighbours that differ stay neighbours that differ."""
    ids, expected = given(number)
    relabelled = (expected if expected.ndim == 3 else expected[0]).astype(np.int32)
    assert not np.array_equal(ids, relabelled)
    for name in ("foreground", "boundaries", "affinities"):
        np.testing.assert_array_equal(make(name)(relabelled), make(name)(ids))


@pytest.mark.parametrize("number", QUIRKS)
def test_the_foreground_goes_with_voxels_that_have_no_label(number: int, given: Any, make: Any) -> None:
    ids, expected = given(number)
    assert expected is None, "it raises"
    made = make("boundaries", connectivity=2, foreground=True)(ids)
    np.testing.assert_array_equal(made[0], np.where(ids < 0, np.nan, ids > 0))
    np.testing.assert_array_equal(made[1:], make("boundaries", connectivity=2)(ids))


def test_every_case_of_a_target_is_tested(cases: Any) -> None:
    found = {name for name, case in cases.items() if case["name"] in NAMES}
    assert found == {f"transform_{number}" for number in (*NUMBERS, *BLOBS, *RENUMBERED, *QUIRKS)}
    assert {name for name in found if cases[name].get("quirk")} == {f"transform_{number}" for number in QUIRKS}

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_core.data.split import Region, whole
from volseg_core.data.validation import ValidationDataset, validation_slices
from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.data.labelled import Labelled


def spec(divisor: int, minimum: int, neighbours: int = 0) -> ModelSpec:
    classes = ClassMap((ClassName(0, "a"), ClassName(1, "b"), ClassName(2, "c")), (-1,))
    return ModelSpec(
        (HeadSpec("multiclass", classes),),
        2 * neighbours + 1,
        Normalisation("none"),
        "zyx",
        SizeRule.same(divisor, minimum, 2),
        neighbours=neighbours,
    )


@pytest.mark.parametrize("axis", "zyx")
def test_validation_sees_whole_slices_padded_without_labels(labelled: Callable[..., Labelled], axis: Any) -> None:
    volume = labelled((5, 9, 14))
    region = Region(volume, (slice(2, 5), slice(0, 9), slice(0, 14)))
    view = View.parse(axis)
    planes, labels = view.apply(volume.data[0][region.box]), view.apply(volume.labels[region.box])
    dataset = ValidationDataset(validation_slices([region], axis, 100), spec(8, 16))
    assert len(dataset) == len(planes)
    for index, (height, width) in enumerate([planes.shape[1:]] * len(planes)):
        seen, (target,) = dataset[index]
        assert seen.shape == (1, 16, 16)
        np.testing.assert_array_equal(seen[0, :height, :width], planes[index])
        np.testing.assert_array_equal(target[:height, :width], labels[index])
        assert (target >= 0).sum() == height * width


def test_validation_takes_a_few_slices_evenly_and_only_those_with_labels(labelled: Callable[..., Labelled]) -> None:
    labels = np.full((100, 8, 8), -1, np.int8)
    labels[50:, :4] = 1
    region = whole(labelled(labels.shape, labels))
    assert [item.index for item in validation_slices([region], "z", 3)] == [50, 74, 99]
    assert [item.index for item in validation_slices([region], "y", 24)] == [0, 1, 2, 3]


def test_a_slab_is_judged_by_its_whole_planes_only(labelled: Callable[..., Labelled]) -> None:
    volume = labelled((20, 9, 14))
    slab = Region(volume, (slice(15, 20), slice(0, 9), slice(0, 14)))
    assert {item.axis for item in validation_slices([slab], "zyx", 100)} == {0}
    assert {item.axis for item in validation_slices([slab], "yx", 100)} == {1, 2}, "better strips than nothing"
    assert {item.axis for item in validation_slices([whole(volume)], "zyx", 100)} == {0, 1, 2}


def test_validation_batches_hold_slices_of_one_shape(labelled: Callable[..., Labelled]) -> None:
    regions = [whole(labelled((5, 9, 14))), whole(labelled((6, 9, 14)))]
    dataset = ValidationDataset(validation_slices(regions, "zy", 100), spec(8, 8))
    batches = dataset.batches(4)
    assert sorted(index for batch in batches for index in batch) == list(range(len(dataset)))
    assert all(len({dataset[index][0].shape for index in batch}) == 1 for batch in batches)
    assert max(map(len, batches)) == 4


def test_a_held_out_slice_has_its_neighbours_from_the_whole_volume(labelled: Callable[..., Labelled]) -> None:
    volume = labelled((6, 8, 8))
    slab = Region(volume, (slice(4, 6), slice(0, 8), slice(0, 8)))
    dataset = ValidationDataset(validation_slices([slab], "z", 100), spec(8, 8, neighbours=1))
    assert [tuple(dataset[index][0][:, 0, 0] // 64) for index in range(2)] == [(3, 4, 5), (4, 5, 4)]

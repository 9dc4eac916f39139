from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_core.data.split import Region, whole
from volseg_core.data.truth import OfIds, Values, class_indices
from volseg_core.data.validation import ValidationDataset, validation_slices, validation_windows
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


def learning_values(volume: Labelled, truth: np.ndarray) -> Labelled:
    labels = np.where(np.isnan(truth).all(0), -1, 0).astype(np.int8)
    return dataclasses.replace(volume, labels=labels, truth=truth)


@pytest.mark.parametrize("axis", "zyx")
def test_values_of_held_out_slices_are_padded_with_none(labelled: Callable[..., Labelled], axis: Any) -> None:
    volume = labelled((5, 9, 14))
    truth = np.stack([volume.data[0], -volume.data[0]]).astype(np.float32)
    truth[0, :, 0] = np.nan
    region = Region(learning_values(volume, truth), (slice(2, 5), slice(0, 9), slice(0, 14)))
    head = HeadSpec("regression", ClassMap((ClassName(0, "a"), ClassName(1, "b"))), "", (0.0, 1.0), (1.0, 2.0))
    dataset = ValidationDataset(validation_slices([region], axis, 100), spec(8, 16), [Values(head)])
    planes = View.parse(axis).apply(truth[(slice(None), *region.box)])
    assert len(dataset) == planes.shape[1]
    for index in range(len(dataset)):
        _, (target,) = dataset[index]
        height, width = planes.shape[2:]
        assert target.shape == (2, 16, 16)
        np.testing.assert_array_equal(target[0, :height, :width], planes[0, index])
        np.testing.assert_array_equal(target[1, :height, :width], (planes[1, index] - 1) / 2)
        assert np.isnan(target[:, height:]).all()
        assert np.isnan(target[:, :, width:]).all()


def test_values_of_held_out_boxes_are_known_once(labelled: Callable[..., Labelled]) -> None:
    """Windows overlap in the image; each value is scored in one of them, and those trained on in none."""
    volume = labelled((9, 20, 18))
    truth = volume.data.astype(np.float32)
    truth[0, 8] = np.nan
    region = Region(learning_values(volume, truth), (slice(3, 9), slice(0, 20), slice(0, 18)))
    boxes = dataclasses.replace(spec(8, 8), sizes=SizeRule.same(8, 8, 3))
    dataset = ValidationDataset(validation_windows([region], boxes, (8, 8, 8), 100), boxes, [lambda window: window])
    scored = np.concatenate([target[~np.isnan(target)] for _, (target,) in (dataset[at] for at in range(len(dataset)))])
    np.testing.assert_array_equal(np.sort(scored), truth[0, 3:8].ravel())


def test_each_head_has_its_target_of_a_held_out_slice(labelled: Callable[..., Labelled]) -> None:
    dataset = ValidationDataset(
        validation_slices([whole(labelled((2, 8, 8)))], "z", 9),
        spec(8, 8),
        [class_indices, OfIds(lambda ids: ids[None])],
    )
    image, (classes, values) = dataset[1]
    np.testing.assert_array_equal(classes, image[0] % 3)
    np.testing.assert_array_equal(values[0], classes)

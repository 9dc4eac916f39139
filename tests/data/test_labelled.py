from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from volseg_core.data.labelled import read_labelled, read_unlabelled
from volseg_core.errors import DataError
from volseg_core.model import HeadSpec
from volseg_core.volume import ClassMap, ClassName, Grid, Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.catalog import Catalog


def test_a_pair_of_files_is_read_with_its_classes(
    catalog: Catalog, recipe: Callable[..., Any], h5: Callable[..., str], image: np.ndarray, labels: np.ndarray
) -> None:
    names = json.dumps([{"id": 0, "name": "ground"}, {"id": 3, "name": "cell"}])
    path = h5("both.h5", {"classes": names}, data=image, labels=labels)
    (volume,), (head,) = read_labelled(catalog, recipe(), [path], [path])
    assert head.classes.classes == (ClassName(0, "ground"), ClassName(3, "cell"))
    np.testing.assert_array_equal(volume.data[0], image)
    np.testing.assert_array_equal(volume.labels, labels // 3)
    assert volume.grid.source == path


def test_arrays_are_read_and_never_changed(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    labels = labels.astype(np.int64)
    labels[0] = -1
    before = image.copy(), labels.copy()
    (volume,), (head,) = read_labelled(catalog, recipe(), [image], [labels])
    assert [item.id for item in head.classes.classes] == [0, 3]
    assert (volume.labels[0] == -1).all()
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_one_map_serves_all_volumes(catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray) -> None:
    first, second = np.zeros(image.shape, np.uint8), np.zeros(image.shape, np.uint8)
    first[3:], second[5:] = 2, 1
    (one, two), (head,) = read_labelled(catalog, recipe(), [image, image], [first, second])
    assert [item.id for item in head.classes.classes] == [0, 1, 2]
    np.testing.assert_array_equal(one.labels, first)
    np.testing.assert_array_equal(two.labels, second)


def test_the_recipe_may_name_the_classes(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    _, (head,) = read_labelled(catalog, recipe(classes={"ground": 0, "cell": 3}), [image], [labels])
    assert head.classes.names == ("ground", "cell")
    with pytest.raises(DataError, match=r"array labels: holds id 3, which is not among the classes {0, 1}"):
        read_labelled(catalog, recipe(classes=["ground", "cell"]), [image], [labels])


def test_a_class_that_no_voxel_has_is_mentioned(
    catalog: Catalog,
    recipe: Callable[..., Any],
    image: np.ndarray,
    labels: np.ndarray,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "volseg"):
        read_labelled(catalog, recipe(classes={"ground": 0, "wall": 2, "cell": 3}), [image], [labels])
    assert "no voxel is labelled wall" in caplog.text


def test_files_that_name_a_class_differently_are_refused(
    catalog: Catalog, recipe: Callable[..., Any], h5: Callable[..., str], image: np.ndarray, labels: np.ndarray
) -> None:
    paths = [
        h5(f"{name}.h5", {"classes": json.dumps([{"id": 3, "name": name}])}, data=image, labels=labels)
        for name in ("cell", "wall")
    ]
    with pytest.raises(DataError, match=r"wall\.h5: names id 3 'wall' but .*cell\.h5 names it 'cell'\. Set classes"):
        read_labelled(catalog, recipe(), paths, paths)
    _, (head,) = read_labelled(catalog, recipe(classes={"ground": 0, "it": 3}), paths, paths)
    assert head.classes.names == ("ground", "it")


def test_given_classes_stay_even_when_a_volume_has_fewer(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray
) -> None:
    known = ClassMap((ClassName(0, "a"), ClassName(3, "b")))
    heads = (HeadSpec("multiclass", known),)
    (volume,), (head,) = read_labelled(catalog, recipe(), [image], [np.full(image.shape, 3)], heads)
    assert head.classes is known
    assert (volume.labels == 1).all()


def test_labels_of_another_shape_are_refused_with_both_shapes(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(DataError, match="array labels: labels have shape 11 x 20 x 24 but array data has 12 x 20 x 24"):
        read_labelled(catalog, recipe(), [image], [labels[1:]])


def test_labels_with_channels_are_refused(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(DataError, match="labels have 2 channels; they need exactly one"):
        read_labelled(catalog, recipe(), [image], [np.stack([labels, labels])])


@pytest.mark.parametrize("shape", [(24,), (1, 1, 12, 20, 24)])
def test_arrays_that_are_no_volume_are_refused(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray, shape: Any
) -> None:
    with pytest.raises(DataError, match="array data: an array with"):
        read_labelled(catalog, recipe(), [np.resize(image, shape)], [labels])
    with pytest.raises(DataError, match="array labels: an array with"):
        read_labelled(catalog, recipe(), [image], [np.resize(labels, shape)])


def test_volumes_with_nan_are_refused(
    catalog: Catalog, recipe: Callable[..., Any], h5: Callable[..., str], image: np.ndarray, labels: np.ndarray
) -> None:
    broken = image.astype(np.float32)
    broken[1, 2, 3] = np.nan
    path = h5("nan.h5", data=broken, labels=labels)
    with pytest.raises(DataError, match=r"nan\.h5: holds 1 voxels that are NaN or infinite"):
        read_labelled(catalog, recipe(), [path], [path])


def test_constant_volumes_are_refused(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(DataError, match="array data: is constant: every voxel is 0"):
        read_labelled(catalog, recipe(), [np.zeros_like(image)], [labels])


@pytest.mark.parametrize(
    ("value", "text"), [(0, "labels: are empty: the only id is 0"), (-1, "labels: are empty: every voxel is ignored")]
)
def test_empty_labels_are_refused(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, value: Any, text: str
) -> None:
    with pytest.raises(DataError, match=text):
        read_labelled(catalog, recipe(), [image], [np.full(image.shape, value)])


def test_a_volume_without_any_label_among_others_is_named(
    catalog: Catalog, recipe: Callable[..., Any], h5: Callable[..., str], image: np.ndarray, labels: np.ndarray
) -> None:
    empty = h5("empty.h5", labels=np.full(image.shape, -1, np.int8))
    with pytest.raises(DataError, match=r"empty\.h5: has no labelled voxel: every voxel is ignored"):
        read_labelled(catalog, recipe(), [image, image], [labels, empty])


def test_float_labels_are_refused(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(DataError, match="array labels: labels are float64; class ids must be integers"):
        read_labelled(catalog, recipe(), [image], [labels.astype(float)])


def test_channels_must_agree(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(DataError, match=r"has 2 channels but array data has 1. All volumes"):
        read_labelled(catalog, recipe(), [image, np.stack([image, image])], [labels, labels])


def test_a_binary_task_needs_two_ids(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    labels[0] = 7
    with pytest.raises(DataError, match=r"labels: have 3 ids \(0, 3, 7\) but the task is binary"):
        read_labelled(catalog, recipe(task="binary"), [image], [labels])


def test_each_volume_is_normalised_by_itself(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    bright = image.astype(np.uint16) * 100 + 500
    (one, two), _ = read_labelled(catalog, recipe(), [image, bright], [labels, labels])
    np.testing.assert_allclose(one.normaliser(one.data), two.normaliser(two.data), atol=1e-4)


def spaced(path: str, spacing: tuple[float, ...]) -> str:
    """Give the datasets of a file a spacing."""
    with h5py.File(path, "r+") as file:
        for dataset in file.values():
            dataset.attrs["spacing"] = spacing
    return path


@pytest.mark.parametrize("lazy", [False, True])
def test_volumes_are_resampled_to_the_spacing_that_is_asked_for(
    catalog: Catalog, recipe: Callable[..., Any], h5: Callable[..., str], labels: np.ndarray, *, lazy: bool
) -> None:
    path = spaced(h5("both.h5", data=labels.astype(np.float32), labels=labels), (2.0, 1.0, 1.0))
    made = recipe(data={"resample": [1.0, 1.0, 2.0], "lazy": lazy, "normalise": {"kind": "none"}})
    (volume,), _ = read_labelled(catalog, made, [path], [path])
    depth, height, width = labels.shape
    assert volume.data.shape == (1, 2 * depth, height, width // 2)
    assert volume.labels.shape == volume.shape == (2 * depth, height, width // 2)
    assert volume.grid.spacing == (1.0, 1.0, 2.0)
    np.testing.assert_array_equal(volume.labels, labels.repeat(2, axis=0)[..., 1::2] // 3)
    (plain,) = read_unlabelled(catalog, made, [path], 1)
    np.testing.assert_array_equal(plain.data, volume.data)


def test_volumes_without_a_spacing_cannot_be_resampled(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(DataError, match="array data: does not say its spacing"):
        read_labelled(catalog, recipe(data={"resample": [1, 1, 1]}), [image], [labels])


def test_spacings_are_told_in_the_unit_of_the_first_volume(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    grids = [Grid((40.0, 8.0, 8.0), "nm"), Grid((0.04, 0.004, 0.008), "um"), Grid((20.0, 8.0, 8.0))]
    data = [Volume(image[None], grid) for grid in grids]
    plain, _ = read_labelled(catalog, recipe(), data, [labels] * 3)
    assert [volume.grid.unit for volume in plain] == ["nm", "nm", ""]
    assert plain[1].grid.spacing == pytest.approx((40, 4, 8))
    made = recipe(data={"resample": [40.0, 8.0, 8.0]})
    volumes, _ = read_labelled(catalog, made, data, [labels] * 3)
    depth, height, width = labels.shape
    shapes = [(depth, height, width), (depth, height // 2, width), (depth // 2, height, width)]
    assert [volume.shape for volume in volumes] == shapes
    (first, *_), _ = read_labelled(catalog, made, data[1:2], [labels], unit="nm")
    (bare,) = read_unlabelled(catalog, made, data[1:2], 1, "nm")
    assert first.shape == bare.shape == shapes[1]

"""Labels that are no classes: ids of objects, and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from volseg_core.data.labelled import read_labelled
from volseg_core.data.truth import Looked, OfIds, Values, class_indices, holds_ids, pad_truth, teachers
from volseg_core.data.values import LARGE_ID, object_ids, value_head, value_truth
from volseg_core.errors import DataError, UsageError
from volseg_core.model import HeadSpec
from volseg_core.volume import ClassMap, ClassName

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.catalog import Catalog

RIMS = {"task": "multilabel", "target": "boundaries"}
REGRESSION = HeadSpec("regression", ClassMap((ClassName(0, "a"), ClassName(1, "b"))), "", (10.0, -3.0), (2.0, 0.5))
SMALL = array_shapes(min_dims=4, max_dims=4, max_side=4)


def channels(count: int, task: str = "multilabel") -> HeadSpec:
    return HeadSpec(task, ClassMap(tuple(ClassName(number, f"channel {number}") for number in range(count))))


# --- ids of objects -----------------------------------------------------------------------------------------------


@given(
    arrays(np.int64, (1, 3, 3, 4), elements=st.one_of(st.integers(-3, 5), st.integers(2**24 - 2, 2**62))),
    st.sets(st.sampled_from([-1, 0, 3, 5])),
)
def test_ids_stay_apart_and_the_background_is_0(labels: np.ndarray, ignore: set[int]) -> None:
    found = object_ids(labels, sorted(ignore), "labels")
    none = (labels < 0) | np.isin(labels, list(ignore))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found == -1, none)
    np.testing.assert_array_equal(found[~none] == 0, labels[~none] == 0)
    assert found.max() < LARGE_ID
    pairs = set(zip(labels[~none].tolist(), found[~none].tolist(), strict=True))
    assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs})
    if labels[~none].max(initial=0) < LARGE_ID:
        assert all(old == new for old, new in pairs)


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (np.array([True, False]), [1, 0]),
        (np.array([2**64 - 1, 2**64 - 2, 2**53, 2**53 + 1, 0], np.uint64), [4, 3, 1, 2, 0]),
        (np.array([2**24, 7], np.uint32), [2, 1]),
        (np.array([2**24 - 1, 7, 0], np.uint32), [2**24 - 1, 7, 0]),
        (np.array([-5, -1, 0, 9], np.int8), [-1, -1, 0, 9]),
    ],
)
def test_ids_of_every_integer_type(labels: np.ndarray, wanted: list[int]) -> None:
    found = object_ids(labels.reshape(1, 1, 1, -1), (-1,), "labels")
    np.testing.assert_array_equal(found.ravel(), wanted)


def test_a_large_ignored_id_leaves_the_others_as_they_are() -> None:
    labels = np.array([0, 3, 40, 2**32 - 1], np.uint32).reshape(1, 1, 1, -1)
    np.testing.assert_array_equal(object_ids(labels, (-1, 2**32 - 1), "labels").ravel(), [0, 3, 40, -1])


def test_objects_need_integers() -> None:
    with pytest.raises(DataError) as caught:
        object_ids(np.zeros((1, 2, 2, 2), np.float32), (), "cells.h5")
    assert str(caught.value) == "cells.h5: labels are float32; ids of objects must be integers."


def test_ids_of_objects_are_read_as_truth(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    ids = labels.astype(np.int32) * 500
    ids[0] = -1
    before = ids.copy()
    (volume,), (head,) = read_labelled(catalog, recipe(**RIMS), [image], [ids])
    assert head == HeadSpec("multilabel", ClassMap((ClassName(0, "boundary"),)))
    np.testing.assert_array_equal(volume.taught[0], ids)
    np.testing.assert_array_equal(volume.labels, np.sign(ids))
    np.testing.assert_array_equal(ids, before)


def test_the_background_may_be_ignored(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    (volume,), _ = read_labelled(catalog, recipe(**RIMS, data={"ignore": [0]}), [image], [labels])
    np.testing.assert_array_equal(volume.labels, np.where(labels == 0, -1, 1))
    np.testing.assert_array_equal(volume.taught[0], np.where(labels == 0, -1, 3))


def test_channels_of_a_target_are_named_by_it_or_by_the_recipe(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    offsets = {"use": "affinities", "offsets": [[-1, 0, 0], [0, -1, 0]]}
    content = {"task": "multilabel", "target": offsets, "dims": 3, "model": "unet3d"}
    _, (head,) = read_labelled(catalog, recipe(**content), [image], [labels])
    assert len(head.classes.names) == len(set(head.classes.names)) == 2
    _, (head,) = read_labelled(catalog, recipe(**content, classes=["up", "back"]), [image], [labels])
    assert head.classes.names == ("up", "back")
    assert head.channels == 2
    with pytest.raises(UsageError) as caught:
        read_labelled(catalog, recipe(heads={"links": {**RIMS, "classes": ["a", "b"]}}), [image], [labels])
    assert str(caught.value) == "heads.links.classes: names 2 channels; there are 1: boundary."


# --- heads that share labels --------------------------------------------------------------------------------------


def test_classes_and_targets_are_learnt_from_the_same_ids(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    made = recipe(heads={"kinds": {"classes": {"cell": 3, "ground": 0}}, "rims": RIMS})
    (volume,), heads = read_labelled(catalog, made, [image], [labels])
    assert [head.title for head in heads] == ["kinds classes", "rims multilabel"]
    assert holds_ids(made)
    np.testing.assert_array_equal(volume.taught[0], labels)
    np.testing.assert_array_equal(volume.labels, labels == 0, "cell is class 0")
    kinds, rims = teachers(catalog, made, heads, None)
    np.testing.assert_array_equal(kinds(volume.taught), volume.labels)
    edges = rims(volume.taught[:, 0])
    assert edges.shape == (1, *labels.shape[1:])
    assert edges.dtype == np.float32


@given(arrays(np.int32, (1, 4, 5), elements=st.sampled_from([-1, 0, 2, 7, 9, 10**7])), st.permutations([0, 2, 7]))
def test_classes_are_looked_up_among_ids(truth: np.ndarray, order: list[int]) -> None:
    classes = ClassMap(tuple(ClassName(number, str(number)) for number in order))
    found = Looked(HeadSpec("multiclass", classes))(truth)
    assert found.dtype == np.int64
    wanted = np.vectorize(lambda item: order.index(item) if item in order else -1)(truth[0])
    np.testing.assert_array_equal(found, wanted)


def test_heads_of_classes_share_one_map(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    heads = {"one": {}, "two": {"task": "binary"}}
    _, specs = read_labelled(catalog, recipe(heads=heads), [image], [labels])
    assert [(head.name, head.task, head.channels) for head in specs] == [("one", "multiclass", 2), ("two", "binary", 1)]
    assert specs[0].classes == specs[1].classes
    with pytest.raises(UsageError) as caught:
        read_labelled(
            catalog,
            recipe(heads={"one": {"classes": {"a": 0, "b": 3}}, "two": {"classes": {"a": 0, "c": 3}}}),
            [image],
            [labels],
        )
    assert str(caught.value) == "heads.two.classes: differ from those of another head, which has the same labels."
    three = np.arange(labels.size, dtype=np.uint8).reshape(labels.shape) % 3
    with pytest.raises(DataError) as wrong:
        read_labelled(catalog, recipe(heads=heads), [image], [three])
    assert str(wrong.value) == "labels: have 3 ids (0, 1, 2) but the task is binary."


def test_large_class_ids_beside_a_target_are_refused(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    large = np.where(labels > 0, 2**24, 0).astype(np.uint32)
    read_labelled(catalog, recipe(), [image], [large])
    with pytest.raises(DataError) as caught:
        read_labelled(catalog, recipe(heads={"kinds": {}, "rims": RIMS}), [image], [large])
    assert str(caught.value) == "labels: have class id 16777216; beside a target ids must be below 16777216."


def test_values_beside_other_heads_are_refused(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(UsageError) as caught:
        read_labelled(catalog, recipe(heads={"clean": {"task": "regression"}, "kinds": {}}), [image], [labels])
    assert str(caught.value) == (
        "heads: head 'clean' learns the labels' values, from which other heads learn classes or objects. Give it a "
        "target, such as boundaries, or a recipe of its own."
    )


# --- values -------------------------------------------------------------------------------------------------------


@given(volumes=st.lists(arrays(np.float32, SMALL, elements=st.floats(-1e4, 1e4, width=32)), min_size=1, max_size=3))
def test_offset_and_scale_are_mean_and_deviation_over_all_volumes(
    volumes: list[np.ndarray], recipe: Callable[..., Any]
) -> None:
    volumes = [volume[:1] for volume in volumes]
    volumes[0][0, 0, 0, 0] = np.nan
    known = np.concatenate([volume[~np.isnan(volume)] for volume in volumes]).astype(np.float64)
    labels = [(volume, f"volume {number}") for number, volume in enumerate(volumes)]
    if not known.size:
        with pytest.raises(DataError) as caught:
            value_head(recipe(task="regression"), labels)
        assert str(caught.value) == "volume 0: has no finite value in channel 0."
        return
    head = value_head(recipe(task="regression"), labels)
    assert head.offset == pytest.approx((known.mean(),), rel=1e-6, abs=1e-6)
    wanted = known.std()
    if np.ptp(known) == 0:
        assert head.scale == (1.0,)
    else:
        assert head.scale == pytest.approx((wanted,), rel=1e-3, abs=1e-3)
    assert head.scale[0] > 0


@given(arrays(np.float32, (2, 3, 4), elements=st.floats(-1e3, 1e3, width=32)))
def test_values_are_taught_without_unit_and_come_back_in_it(truth: np.ndarray) -> None:
    import torch

    from volseg_core.prediction.segment import results
    from volseg_core.training.targets import in_unit

    truth[0, 0, 0] = np.nan
    taught = Values(REGRESSION)(truth)
    assert taught.dtype == np.float32
    np.testing.assert_allclose(taught[0], (truth[0] - 10) / 2, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(taught[1], (truth[1] + 3) / 0.5, rtol=1e-5, atol=1e-5)
    back = in_unit(REGRESSION, torch.from_numpy(taught)[None])[0]
    np.testing.assert_allclose(back.numpy(), truth, rtol=1e-5, atol=1e-3)
    spec = type("Spec", (), {"heads": (REGRESSION,), "parts": [slice(0, 2)]})
    np.testing.assert_allclose(results(spec, taught[None])[0], truth, rtol=1e-5, atol=1e-3)


def test_values_are_read_with_their_channels(catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray) -> None:
    values = np.stack([image * 2.0, 5.0 - image])
    values[:, 3] = np.nan
    values[0, 4] = np.nan
    (volume,), (head,) = read_labelled(catalog, recipe(task="regression", classes=["twice", "less"]), [image], [values])
    assert head.classes.names == ("twice", "less")
    assert head.channels == 2
    np.testing.assert_array_equal(volume.taught, values.astype(np.float32))
    assert (volume.labels[3] == -1).all()
    assert (np.delete(volume.labels, 3, 0) == 0).all(), "one known channel is enough"


def test_integers_are_values_of_a_regression_whatever_is_ignored(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray
) -> None:
    values = image.astype(np.int16) - 1
    (volume,), (head,) = read_labelled(catalog, recipe(task="regression"), [image], [values])
    np.testing.assert_array_equal(volume.taught[0], values)
    assert head.offset == pytest.approx((values.mean(),))


def test_channels_of_classes_that_exclude_none(catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray) -> None:
    values = np.stack([image > 50, image > 150, image % 2]).astype(np.int8)
    values[1, :2] = -1
    made = recipe(task="multilabel")
    (volume,), (head,) = read_labelled(catalog, made, [image], [values])
    assert head == channels(3)
    assert np.isnan(volume.taught[1, :2]).all()
    np.testing.assert_array_equal(np.nan_to_num(volume.taught, nan=-1), values)
    (teacher,) = teachers(catalog, made, [head], None)
    np.testing.assert_array_equal(teacher(volume.taught), volume.taught)


@pytest.mark.parametrize(
    ("labels", "head", "text"),
    [
        (
            np.full((1, 1, 1, 2), 7),
            channels(1),
            (
                "here: holds values from 0 to 7; labels of a multilabel task are 0 or 1. Ids to leave out go to "
                "data.ignore; objects need a target, such as boundaries."
            ),
        ),
        (np.full((1, 1, 1, 2), -0.5), channels(1), "here: holds values from -0.5 to 0; labels of a multilabel task"),
        (np.zeros((2, 1, 1, 2)), channels(1), "here: has 2 channels; the model gives 1."),
        (
            np.array([[[[0, np.inf]]]]),
            channels(1, "regression"),
            "here: holds infinite values. NaN says that there is none.",
        ),
    ],
)
def test_values_that_cannot_be_learnt(labels: np.ndarray, head: HeadSpec, text: str) -> None:
    with pytest.raises(DataError) as caught:
        value_truth(labels, head, (-1,), "here")
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (lambda values: np.stack([values, values]), "array labels: has other channels than array labels."),
        (lambda values: values * np.inf, "array labels: holds infinite values. NaN says that there is none."),
    ],
)
def test_a_second_volume_that_does_not_fit(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: Callable[..., np.ndarray], text: str
) -> None:
    values = image + 1.0
    with pytest.raises(DataError) as caught:
        read_labelled(catalog, recipe(task="regression"), [image, image], [values, labels(values)])
    assert str(caught.value).startswith(text)


def test_labels_without_any_value_are_refused(catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray) -> None:
    nothing = np.full((1, *image.shape), -1, np.int8)
    with pytest.raises(DataError) as caught:
        read_labelled(catalog, recipe(task="multilabel"), [image], [nothing])
    assert str(caught.value) == ("array labels: has no labelled voxel: every voxel is ignored. See data.ignore.")


def test_classes_refuse_channels(catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray) -> None:
    with pytest.raises(DataError) as caught:
        read_labelled(catalog, recipe(), [image], [np.zeros((2, *image.shape), np.uint8)])
    assert str(caught.value) == "array labels: labels have 2 channels; they need exactly one."


# --- truth of windows ---------------------------------------------------------------------------------------------


@given(arrays(st.sampled_from([np.float32, np.int32, np.int8]), SMALL), st.tuples(*[st.integers(1, 6)] * 3))
def test_truth_is_padded_with_no_label_at_its_ends(truth: np.ndarray, shape: tuple[int, int, int]) -> None:
    found = pad_truth(truth, shape)
    inside = tuple(slice(0, size) for size in truth.shape)
    assert found.dtype == truth.dtype
    assert found.shape == (len(truth), *map(max, truth.shape[1:], shape))
    np.testing.assert_array_equal(found[inside], truth)
    found[inside] = 0
    outside = np.ones(found.shape, bool)
    outside[inside] = False
    assert np.isnan(found[outside]).all() if truth.dtype.kind == "f" else (found[outside] == -1).all()


def test_a_target_is_given_ids_and_gives_float32() -> None:
    given_: list[np.ndarray] = []
    maker = OfIds(lambda ids: given_.append(ids) or np.stack([ids > 0, ids == 0]).astype(np.float64))
    found = maker(np.array([[[0, 5], [7, -1]]], np.int16)[:, :, ::-1])
    assert given_[0].dtype == np.int32
    assert given_[0].flags.c_contiguous
    np.testing.assert_array_equal(given_[0], [[5, 0], [-1, 7]])
    assert found.dtype == np.float32
    assert found.shape == (2, 2, 2)
    np.testing.assert_array_equal(class_indices(np.array([[[1, -1]]], np.int8)), [[1, -1]])

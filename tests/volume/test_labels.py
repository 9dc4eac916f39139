from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.errors import DataError
from volseg_core.volume import ClassMap, ClassName
from volseg_core.volume.labels import class_names, find_ids

INTEGERS = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64]


def named(*ids: int, ignore: tuple[int, ...] = ()) -> ClassMap:
    return ClassMap.of_ids(ids, {}, ignore)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_ids_become_indices_and_ids_again(dtype: Any) -> None:
    labels = np.random.default_rng(0).choice(np.array([0, 7, 100], dtype), (5, 6, 7))
    before = labels.copy()
    classes = named(100, 0, 7)
    encoded = classes.encode(labels)
    assert encoded.dtype == np.int8
    assert set(np.unique(encoded)) == {0, 1, 2}
    np.testing.assert_array_equal(classes.decode(encoded), labels)
    np.testing.assert_array_equal(labels, before)


@given(st.sets(st.integers(0, 2**32 - 1), min_size=1, max_size=6), st.sampled_from([0, 1, 130]))
def test_any_ids_survive_the_round_trip(ids: Any, more: Any) -> None:
    classes = named(*ids, *range(more))
    labels = np.resize([item.id for item in classes.classes], (3, 4, 60))
    encoded = classes.encode(labels)
    assert encoded.dtype == (np.int16 if len(classes) > 127 else np.int8)
    np.testing.assert_array_equal(classes.decode(encoded), labels)


@pytest.mark.parametrize(("largest", "dtype"), [(1, "uint8"), (255, "uint8"), (256, "uint16"), (2**16, "uint32")])
def test_ids_are_written_in_the_smallest_type(largest: Any, dtype: Any) -> None:
    classes = named(0, largest)
    assert classes.decode(np.array([1])).dtype == classes.id_dtype == dtype
    assert classes.decode(np.array([1]))[0] == largest


def test_an_ignored_id_is_no_class_even_when_it_is_negative() -> None:
    labels = np.array([[[-1, 0, 1, 255]]])
    encoded = named(-1, 0, 1, 255, ignore=(-1, 255)).encode(labels)
    assert encoded.tolist() == [[[-1, 0, 1, -1]]]
    assert labels.tolist() == [[[-1, 0, 1, 255]]]


def test_one_map_keeps_the_classes_of_several_volumes_apart() -> None:
    first, second = np.array([[[0, 2]]]), np.array([[[0, 1]]])
    classes = ClassMap.of_ids([*find_ids(first, "a"), *find_ids(second, "b")], {})
    assert classes.encode(first).tolist() == [[[0, 2]]]
    assert classes.encode(second).tolist() == [[[0, 1]]]


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([0, 5], "holds id 5, which is not among the classes {0, 1}"),
        ([9, -3], "holds ids -3, 9, which are not among the classes {0, 1}"),
        (list(range(40)), "holds ids 2, 3, 4, 5, 6, 7, 8, 9, ..., which are"),
    ],
)
def test_ids_outside_the_classes_are_named(labels: Any, text: str) -> None:
    with pytest.raises(DataError) as caught:
        named(0, 1).encode(np.array([[labels]]), "crop.h5")
    assert str(caught.value).startswith(f"crop.h5: {text}")
    assert "data.ignore" in str(caught.value)


def test_ids_between_far_classes_are_found_out() -> None:
    with pytest.raises(DataError, match="holds id 12, which"):
        named(0, 2**31).encode(np.array([[[0, 12, 2**31]]]))


def test_the_largest_unsigned_id_is_not_taken_for_minus_one() -> None:
    with pytest.raises(DataError, match="holds id 18446744073709551615"):
        named(0, ignore=(-1,)).encode(np.array([[[0, 2**64 - 1]]], np.uint64))


@pytest.mark.parametrize(
    "use", [lambda labels: find_ids(labels, "crop"), lambda labels: named(0, 1).encode(labels, "crop")]
)
def test_float_labels_are_refused(use: Any) -> None:
    with pytest.raises(DataError, match=r"crop: labels are float32; class ids must be integers. If the values"):
        use(np.zeros((2, 3, 4), np.float32))


def test_boolean_labels_are_two_classes() -> None:
    labels = np.array([[[True, False, True]]])
    assert find_ids(labels, "mask") == {0: 1, 1: 2}
    assert named(0, 1).encode(labels).tolist() == [[[1, 0, 1]]]


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=50))
def test_voxels_are_counted_by_id(values: Any) -> None:
    counted = find_ids(np.array(values, np.int64).reshape(1, 1, -1), "crop")
    assert counted == {item: values.count(item) for item in sorted(set(values))}


def test_counts_add_up_over_pieces() -> None:
    labels = np.zeros((3, 2048, 2048), np.uint8)
    labels[2, 0, :7] = 4
    assert find_ids(labels, "scan") == {0: 3 * 2048 * 2048 - 7, 4: 7}
    assert (named(0, 4).encode(labels) == (labels == 4)).all()


def test_instance_ids_are_no_classes() -> None:
    with pytest.raises(DataError, match="crop: has more than 1024 different ids, which look like instances"):
        find_ids(np.arange(1100, dtype=np.int32).reshape(1, 11, 100), "crop")


@pytest.mark.parametrize(
    ("classes", "ignore", "text"),
    [
        ([(0, "a"), (0, "b")], (), "id 0 stands for two classes"),
        ([(0, "a"), (1, "a")], (), "two classes are named 'a'"),
        ([(-1, "a"), (1, "b")], (), "a class id must not be negative, got -1. Give it to data.ignore"),
        ([(0, "a"), (2**32, "b")], (), "a class id must be at most 4294967295, got 4294967296"),
        ([(0, "a"), (1, "b")], (1,), "id 1 is a class and ignored"),
    ],
)
def test_maps_that_contradict_themselves_are_refused(classes: Any, ignore: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        ClassMap(tuple(ClassName(*item) for item in classes), ignore)


def test_found_ids_take_the_names_of_the_file_where_they_are_of_use() -> None:
    classes = ClassMap.of_ids([3, 0, 1, 2], {0: "ground", 1: "cell", 2: "cell"})
    assert classes.names == ("ground", "1", "2", "3")
    assert classes.describe() == "0 = ground (id 0), 1 = 1, 2 = 2, 3 = 3"


@pytest.mark.parametrize(
    ("attribute", "names"),
    [
        ([{"id": 1, "name": "cell"}, {"id": "2", "name": "wall"}], {1: "cell", 2: "wall"}),
        (None, {}),
        ("cell, wall", {}),
        (["cell", "wall"], {}),
        ([{"id": 1}], {}),
        ([{"id": "x", "name": "y"}], {}),
        (np.array([1, 2]), {}),
        (7, {}),
    ],
)
def test_names_are_read_from_a_file_and_anything_else_names_nothing(attribute: Any, names: Any) -> None:
    assert class_names({"classes": attribute}) == names
    assert class_names({}) == {}

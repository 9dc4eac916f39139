import tracemalloc
from typing import Any

import numpy as np
import pytest

from volseg_core.api import DataError
from volseg_metrics.confusion import ConfusionMatrix


def counted(size: int, *arrays: Any) -> list[list[int]]:
    matrix = ConfusionMatrix(size)
    matrix.update(*(np.asarray(array) for array in arrays))
    return matrix.counts.tolist()


def test_rows_are_targets_and_columns_predictions() -> None:
    assert counted(2, [0, 1, 1, 1], [0, 0, 1, 0]) == [[1, 2], [0, 1]]


def test_ignored_voxels_do_not_count_whatever_is_predicted_there() -> None:
    assert counted(2, [0, 1, 99, -7], [0, 1, -1, -1]) == [[1, 0], [0, 1]]
    valid = np.array([True, True, False, False])
    assert counted(2, [0, 1, 99, 1], [0, 1, 1, 77], valid) == [[1, 0], [0, 1]]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "uint64", ">i4", "bool"])
def test_every_integer_type_counts_the_same(dtype: str) -> None:
    prediction, target = np.array([0, 1, 1, 0], dtype=dtype), np.array([0, 1, 0, 1], dtype=dtype)
    assert counted(2, prediction, target) == [[1, 1], [1, 1]]


def test_many_classes_do_not_wrap_around_in_a_small_type() -> None:
    ids = np.arange(200, dtype=np.uint8)
    assert np.array_equal(counted(200, ids, ids), np.eye(200))


def test_memory_order_and_strides_do_not_matter() -> None:
    random = np.random.default_rng(0)
    prediction, target = random.integers(0, 3, (2, 20, 60, 70))
    valid = random.random(target.shape) < 0.5
    whole = counted(3, prediction, target, valid)
    assert counted(3, np.asfortranarray(prediction), target[:, ::-1][:, ::-1], valid) == whole
    assert counted(3, prediction.T, target.T, valid.T) == whole
    assert np.sum(whole) == valid.sum()


def test_arrays_larger_than_a_chunk_are_counted_whole() -> None:
    target = np.random.default_rng(1).integers(0, 2, (70, 80, 90), dtype=np.int8)
    assert counted(2, target, target) == [[(target == 0).sum(), 0], [0, (target == 1).sum()]]


def test_nothing_is_counted_in_an_empty_array() -> None:
    assert counted(2, np.zeros((0, 4), dtype=int), np.zeros((0, 4), dtype=int)) == [[0, 0], [0, 0]]


def test_reset_forgets() -> None:
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([1]), np.array([1]))
    matrix.reset()
    assert not matrix.counts.any()


@pytest.mark.parametrize("strided", [False, True])
def test_temporary_memory_does_not_grow_with_the_volume(*, strided: bool) -> None:
    target = np.zeros((16, 512, 1024), dtype=np.uint8)
    prediction = target.transpose(0, 2, 1)[..., ::-1] if strided else target
    target = target.reshape(16, 1024, 512) if strided else target
    matrix = ConfusionMatrix(2)
    tracemalloc.start()
    matrix.update(prediction, target, target == 0)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    valid = np.broadcast_to(np.True_, target.shape)
    matrix.update(prediction, target, valid)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < target.nbytes
    assert matrix.counts[0, 0] == 2 * target.size


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        ([0, 2], [0, 1], "metric: the prediction holds class index 2. With 2 classes it must be 0 to 1"),
        ([0, -1], [0, 1], "metric: the prediction holds class index -1. With 2 classes it must be 0 to 1"),
        ([0, 1], [0, 5], "metric: the target holds class index 5. With 2 classes it must be 0 to 1"),
        ([0, 1], [0, -2], "metric: the target holds class index -2. With 2 classes it must be 0 to 1"),
        ([0.0, 1.0], [0, 1], "metric: the prediction is of type float64. It must hold integer class indices"),
        ([0, 1], [[0, 1]], "metric: prediction (2,) and target (1, 2) differ in shape. "),
    ],
)
def test_arrays_that_cannot_be_scored_are_refused(prediction: Any, target: Any, message: str) -> None:
    with pytest.raises(DataError) as raised:
        counted(2, prediction, target)
    assert str(raised.value).startswith(message)


def test_a_mask_of_another_shape_or_type_is_refused() -> None:
    with pytest.raises(DataError, match=r"prediction \(2,\) and valid \(1,\) differ in shape"):
        counted(2, [0, 1], [0, 1], [True])
    with pytest.raises(DataError, match="valid is of type int64"):
        counted(2, [0, 1], [0, 1], [1, 0])


def test_a_refused_array_adds_nothing() -> None:
    prediction = np.zeros(1_000_000, dtype=np.int8)
    prediction[-1] = 9
    matrix = ConfusionMatrix(2)
    with pytest.raises(DataError):
        matrix.update(prediction, np.zeros_like(prediction))
    assert not matrix.counts.any()

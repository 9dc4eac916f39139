import numpy as np
import pytest

from volseg_core.api import DataError
from volseg_metrics.inputs import labelled, labelled_image


def test_a_voxel_counts_when_it_has_a_label_and_is_valid() -> None:
    target = np.array([0, 1, -1, -1])
    assert labelled(target, None).tolist() == [True, True, False, False]
    assert labelled(target, np.array([True, False, True, False])).tolist() == [True, False, False, False]
    assert labelled(np.array([0, 255], np.uint8), None).all()


def test_an_image_is_minus_one_in_both_arrays_where_a_voxel_does_not_count() -> None:
    prediction = np.array([[0, 1, 70_000, -3]])
    target = np.array([[1, 0, -1, 99]], np.int64)
    valid = np.array([[True, True, True, False]])
    found = labelled_image(prediction, target, valid, 2)
    assert [image.tolist() for image in found] == [[[0, 1, -1, -1]], [[1, 0, -1, -1]]]


@pytest.mark.parametrize("shape", [(4,), (1, 2, 3, 4)])
def test_what_is_neither_slice_nor_volume_is_refused(shape: tuple[int, ...]) -> None:
    zeros = np.zeros(shape, int)
    with pytest.raises(DataError) as raised:
        labelled_image(zeros, zeros, None, 2)
    assert str(raised.value) == (
        f"metric: an array of shape {shape} is no image. Give a whole slice (H, W) or volume (Z, Y, X)"
    )

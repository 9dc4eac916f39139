import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

from volseg_metrics.objects import Overlaps, number_objects


def test_objects_are_parts_of_one_class_that_touch_face_to_face() -> None:
    classes = np.array(
        [
            [1, 1, 0, 2],
            [1, 2, 0, 0],
            [0, 0, 1, -1],
            [0, 0, 1, 1],
        ]
    )
    assert number_objects(classes, (1, 2)).tolist() == [
        [1, 1, 0, 3],
        [1, 4, 0, 0],
        [0, 0, 2, 0],
        [0, 0, 2, 2],
    ]
    assert np.unique(number_objects(classes, (0,))).tolist() == [0, 1, 2]


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), shape=st.sampled_from([(6, 7), (3, 4, 5)]))
def test_objects_are_those_of_scikit_image(seed: int, shape: tuple[int, ...]) -> None:
    classes = np.random.default_rng(seed).integers(0, 4, shape)
    found, expected = number_objects(classes, (1, 2, 3)), label(classes, background=0, connectivity=1)
    pairs = np.unique(np.stack([found.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(found)) == len(np.unique(expected))


def test_overlaps_by_hand() -> None:
    predicted = np.array([5, 5, 0, 9, 9, 9])
    true = np.array([1, 1, 1, 1, 2, 2])
    found = Overlaps.of_ids(predicted, true)
    assert (found.true.ids.tolist(), found.true.sizes.tolist()) == ([1, 2], [4, 2])
    assert (found.predicted.ids.tolist(), found.predicted.sizes.tolist()) == ([0, 5, 9], [1, 2, 3])
    pairs = zip(found.true.ids[found.rows], found.predicted.ids[found.columns], found.voxels, strict=True)
    assert list(pairs) == [(1, 0, 1), (1, 5, 2), (1, 9, 1), (2, 9, 2)]


def test_ids_may_be_as_large_as_their_type() -> None:
    ids = np.array([2**64 - 2, 7, 2**64 - 3], np.uint64)
    assert Overlaps.of_ids(ids, ids).voxels.tolist() == [1, 1, 1]

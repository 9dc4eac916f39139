import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_losses.distance import signed_distances


def row(values: list[int]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool).reshape(1, 1, 1, -1)


def distances(mask: list[int], valid: list[int] | None = None) -> list[float]:
    return signed_distances(row(mask), row(valid or [1] * len(mask))).flatten().tolist()


def test_the_boundary_lies_half_way_between_voxels() -> None:
    assert distances([0, 0, 0, 1, 1, 1, 1, 0]) == [2.5, 1.5, 0.5, -0.5, -1.5, -1.5, -0.5, 0.5]


def test_ignored_voxels_belong_to_no_side() -> None:
    # the nearest labelled background of the first voxel is five steps away
    assert distances([1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 1]) == [-4.5, 0, 0, 0, 0, 4.5]


def test_a_class_that_is_absent_or_everywhere_has_no_boundary() -> None:
    assert distances([0, 0, 0]) == [0, 0, 0]
    assert distances([1, 1, 1]) == [0, 0, 0]
    assert distances([1, 1, 0], [1, 1, 0]) == [0, 0, 0]
    assert distances([1, 0, 0], [0, 0, 0]) == [0, 0, 0]


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), dims=st.sampled_from([2, 3]))
def test_distances_are_those_to_the_nearest_labelled_voxel_of_the_other_side(seed: int, dims: int) -> None:
    random = np.random.default_rng(seed)
    shape = (2, 2, *random.integers(1, 5, dims))
    mask, valid = random.random(shape) < 0.4, random.random((2, 1, *shape[2:])) < 0.7
    found = signed_distances(torch.from_numpy(mask), torch.from_numpy(valid))
    assert found.dtype == torch.float32
    expected = np.zeros(shape)
    for sample, channel, *where in np.ndindex(shape):
        here, known = mask[sample, channel], valid[sample, 0]
        inside = here[tuple(where)]
        others = np.argwhere((here != inside) & known)
        if known[tuple(where)] and len(others):
            nearest = np.sqrt(((others - where) ** 2).sum(axis=1)).min()
            expected[(sample, channel, *where)] = (0.5 - nearest) if inside else (nearest - 0.5)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)

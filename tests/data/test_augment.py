"""Augmentations of slices, applied to boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_core.data.augment import augmented

if TYPE_CHECKING:
    from volseg_core.catalog import Catalog

SEEDS = range(6)


@pytest.fixture
def box() -> tuple[np.ndarray, np.ndarray]:
    """A box of two channels and six planes of 16 x 16 with labels of three classes and none."""
    random = np.random.default_rng(0)
    labels = random.integers(-1, 3, (6, 4, 4)).repeat(4, axis=1).repeat(4, axis=2)
    return random.random((2, 6, 16, 16), dtype=np.float32), labels.astype(np.int8)


def build(catalog: Catalog, name: str, **params: Any) -> Any:
    provided = catalog.find("augmentation", name)
    defaults = {key: param.default for key, param in provided.component.params.items()}
    return catalog.build(provided, {**defaults, **params})


def poses(catalog: Catalog, **params: Any) -> Any:
    """An augmentation that moves pixels and changes no grey value."""
    still = dict.fromkeys(("brightness", "contrast", "gamma", "noise", "blur"), 0.0)
    return build(catalog, "standard", **{**still, "elastic": 0.0, "scale": 0.0, "rotate": 0.0, **params})


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_of_every_plane_go_where_the_image_goes(catalog: Catalog, box: Any, seed: int) -> None:
    _, labels = box
    image = ((labels[None] + 1) / 3).astype(np.float32)
    moved, (found,) = augmented(poses(catalog), image, labels[None], seed)
    np.testing.assert_array_equal(np.rint(moved[0] * 3) - 1, found)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_plane_is_warped_as_it_would_be_alone(catalog: Catalog, box: Any, seed: int) -> None:
    warp = poses(catalog, elastic=1.0, rotate=15.0, scale=0.1, p=1.0)
    image, labels = box
    _, (found,) = augmented(warp, image, labels[None], seed)
    for plane, wanted in zip(found, labels, strict=True):
        alone = warp(np.zeros((16, 16, 1), np.float32), wanted.astype(np.int32), seed=seed)[1]
        np.testing.assert_array_equal(plane, alone)


def test_contrast_is_that_of_the_box_and_noise_differs_from_plane_to_plane(catalog: Catalog) -> None:
    flat = np.full((1, 8, 32, 32), 0.5, np.float32)
    labels = np.zeros((8, 32, 32), np.int8)
    bright = poses(catalog, brightness=0.2, p=1.0)
    means = augmented(bright, flat, labels[None], 3)[0].mean((2, 3))
    assert np.ptp(means) < 1e-6
    assert abs(means[0, 0] - 0.5) > 1e-3
    noise = augmented(poses(catalog, noise=0.1, p=1.0), flat, labels[None], 3)[0][0]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.2
    assert noise.std() > 1e-3


@pytest.mark.parametrize("name", ["standard", "light", "strong", "em", "ct", "none"])
@pytest.mark.parametrize("planes", [2, 5])
def test_every_augmentation_keeps_boxes_in_shape_and_repeats_itself(catalog: Catalog, name: str, planes: int) -> None:
    augment = build(catalog, name)
    random = np.random.default_rng(1)
    image, labels = random.random((1, planes, 16, 24), dtype=np.float32), random.integers(-1, 3, (planes, 16, 24))
    for seed in SEEDS:
        before = image.copy(), labels.copy()
        found, (marks,) = augmented(augment, image, labels[None], seed)
        assert (found.shape, marks.shape) == (image.shape, labels.shape)
        assert marks.dtype == labels.dtype
        assert set(np.unique(marks)) <= {-1, 0, 1, 2}
        np.testing.assert_array_equal(image, before[0])
        np.testing.assert_array_equal(labels, before[1])
        again = augmented(augment, image, labels[None], seed)
        np.testing.assert_array_equal(again[0], found)
        np.testing.assert_array_equal(again[1][0], marks)


def test_an_odd_number_of_planes_is_no_slice_between_its_neighbours(catalog: Catalog) -> None:
    """Where sections shift, labels of a stack follow its middle; in a box each plane has labels of its own."""
    labels = np.random.default_rng(2).integers(0, 3, (5, 32, 32)).astype(np.int8)
    image = ((labels[None] + 1) / 3).astype(np.float32)
    still = dict.fromkeys(
        (
            "brightness",
            "contrast",
            "gamma",
            "noise",
            "blur",
            "elastic",
            "scale",
            "rotate",
            "jump",
            "charging",
            "defocus",
        ),
        0.0,
    )
    shifts = build(catalog, "em", **still, missing=0, shift=8, defects=1.0)
    for seed in range(20):
        moved, (found,) = augmented(shifts, image, labels[None], seed)
        known = found >= 0
        np.testing.assert_array_equal((np.rint(moved[0] * 3) - 1)[known], found[known])


def test_outside_the_image_is_no_label(box: Any) -> None:
    def shifted(image: np.ndarray, labels: np.ndarray, seed: int) -> Any:
        assert image.shape == (16, 16, 12)
        assert labels.dtype == np.int32
        return image, np.concatenate((np.full((2, 16), -1, np.int32), labels[:-2]))

    image, labels = box
    _, (found,) = augmented(shifted, image, labels[None], 0)
    assert (found[:, :2] == -1).all()
    np.testing.assert_array_equal(found[:, 2:], labels[:, :-2])

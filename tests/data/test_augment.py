"""Windows of slices and boxes on their way through an augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_core.data.augment import Space, augmented

if TYPE_CHECKING:
    from volseg_core.catalog import Catalog

SEEDS = range(6)
BOX = Space()
TONES = dict.fromkeys(("brightness", "contrast", "gamma", "noise", "shot", "blur"), 0.0)


@pytest.fixture
def box() -> tuple[np.ndarray, np.ndarray]:
    """A box of two channels and six planes of 16 x 16 with labels of three classes and none."""
    random = np.random.default_rng(0)
    labels = random.integers(-1, 3, (1, 6, 4, 4)).repeat(4, axis=2).repeat(4, axis=3)
    return random.random((2, 6, 16, 16), dtype=np.float32), labels.astype(np.int8)


def build(catalog: Catalog, name: str, **params: Any) -> Any:
    provided = catalog.find("augmentation", name)
    defaults = {key: param.default for key, param in provided.component.params.items()}
    return catalog.build(provided, {**defaults, **params})


def plane_wise(catalog: Catalog, name: str = "standard", **params: Any) -> Any:
    """A preset without its method for boxes; unless asked for it moves pixels by flips and turns only."""
    still = TONES | {"elastic": 0.0, "scale": 0.0, "rotate": 0.0}
    augment = build(catalog, name, **{**still, **params})

    def slices_only(image: np.ndarray, labels: np.ndarray, seed: int) -> Any:
        return augment(image, labels, seed)

    return slices_only


class Recorder:
    """Takes boxes and keeps what it is told of them."""

    def box(self, image: np.ndarray, truth: np.ndarray, seed: int, *, spacing: Any, thick: Any) -> Any:
        self.seen = (image.shape, truth.shape, truth.dtype, seed, spacing, thick)
        return image + 1, truth + 1

    def __call__(self, image: np.ndarray, labels: np.ndarray, seed: int) -> Any:
        return image, labels + 5


def test_an_augmentation_of_boxes_gets_the_box_and_its_space(box: Any) -> None:
    image, truth = box
    recorder = Recorder()
    found, marks = augmented(recorder, image, truth, 7, Space((3.0, 1.0, 1.0), 0))
    assert recorder.seen == ((2, 6, 16, 16), (1, 6, 16, 16), np.int8, 7, (3.0, 1.0, 1.0), 0)
    np.testing.assert_array_equal(found, image + 1)
    np.testing.assert_array_equal(marks, truth + 1)


def test_slices_go_the_way_of_slices(box: Any) -> None:
    image, truth = box
    _, marks = augmented(Recorder(), image[:, :1], truth[:, :1], 7)
    np.testing.assert_array_equal(marks, truth[:, :1].astype(int) + 5)


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_of_every_plane_go_where_the_image_goes(catalog: Catalog, box: Any, seed: int) -> None:
    _, truth = box
    image = ((truth + 1) / 3).astype(np.float32)
    moved, found = augmented(plane_wise(catalog), image, truth, seed, BOX)
    np.testing.assert_array_equal(np.rint(moved * 3) - 1, found)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_plane_is_warped_as_it_would_be_alone(catalog: Catalog, box: Any, seed: int) -> None:
    warp = plane_wise(catalog, elastic=1.0, rotate=15.0, scale=0.1, p=1.0)
    image, truth = box
    _, found = augmented(warp, image, truth, seed, BOX)
    for plane, wanted in zip(found[0], truth[0], strict=True):
        alone = warp(np.zeros((16, 16, 1), np.float32), wanted.astype(np.int32), seed=seed)[1]
        np.testing.assert_array_equal(plane, alone)


def test_contrast_is_that_of_the_box_and_noise_differs_from_plane_to_plane(catalog: Catalog) -> None:
    flat = np.full((1, 8, 32, 32), 0.5, np.float32)
    truth = np.zeros((1, 8, 32, 32), np.int8)
    bright = plane_wise(catalog, brightness=0.2, p=1.0)
    means = augmented(bright, flat, truth, 3, BOX)[0].mean((2, 3))
    assert np.ptp(means) < 1e-6
    assert abs(means[0, 0] - 0.5) > 1e-3
    noise = augmented(plane_wise(catalog, noise=0.1, p=1.0), flat, truth, 3, BOX)[0][0]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.2
    assert noise.std() > 1e-3


@pytest.mark.parametrize("name", ["standard", "light", "strong", "em", "ct", "none"])
@pytest.mark.parametrize("planes", [2, 5])
def test_every_augmentation_keeps_boxes_in_shape_and_repeats_itself(catalog: Catalog, name: str, planes: int) -> None:
    augment = build(catalog, name)
    random = np.random.default_rng(1)
    image, truth = random.random((1, planes, 16, 24), np.float32), random.integers(-1, 3, (1, planes, 16, 24), np.int8)
    for seed in SEEDS:
        before = image.copy(), truth.copy()
        found, marks = augmented(augment, image, truth, seed, BOX)
        assert (found.shape, marks.shape) == (image.shape, truth.shape)
        assert marks.dtype == np.int8
        assert set(np.unique(marks)) <= {-1, 0, 1, 2}
        np.testing.assert_array_equal(image, before[0])
        np.testing.assert_array_equal(truth, before[1])
        again = augmented(augment, image, truth, seed, BOX)
        np.testing.assert_array_equal(again[0], found)
        np.testing.assert_array_equal(again[1], marks)


def test_an_odd_number_of_planes_is_no_slice_between_its_neighbours(catalog: Catalog) -> None:
    """Where sections shift, labels of a stack follow its middle; in a box each plane has labels of its own."""
    truth = np.random.default_rng(2).integers(0, 3, (1, 5, 32, 32)).astype(np.int8)
    image = ((truth + 1) / 3).astype(np.float32)
    still = dict.fromkeys(("jump", "charging", "defocus"), 0.0)
    shifts = plane_wise(catalog, "em", **still, missing=0, shift=8, defects=1.0)
    for seed in range(20):
        moved, found = augmented(shifts, image, truth, seed, BOX)
        known = found >= 0
        np.testing.assert_array_equal((np.rint(moved * 3) - 1)[known], found[known])


def shifted(image: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """Move labels down by two rows."""
    assert image.shape[:2] == (16, 16)
    assert labels.dtype == np.int32
    return image, np.concatenate((np.full((2, 16), -1, np.int32), labels[:-2]))


@pytest.mark.parametrize("space", [BOX, None])
def test_outside_the_image_truth_is_not_known(box: Any, space: Space | None) -> None:
    image, truth = box
    planes = slice(None) if space else slice(1)
    for given, unknown in ((truth, -1), (truth.astype(np.int64) + 2**40, -1), (truth.astype(np.float32), np.nan)):
        two = np.concatenate([given, given + 1])[:, planes]
        _, found = augmented(shifted, image[:, planes], two, 0, space)
        assert found.dtype == given.dtype
        np.testing.assert_array_equal(found[:, :, :2], unknown)
        np.testing.assert_array_equal(found[:, :, 2:], two[:, :, :-2])


def test_object_numbers_that_float32_cannot_hold_survive_slices(catalog: Catalog) -> None:
    image = np.zeros((1, 1, 16, 16), np.float32)
    truth = np.arange(256).reshape(1, 1, 16, 16) + 2**24
    _, found = augmented(build(catalog, "standard", **TONES, elastic=0.0, scale=0.0, rotate=0.0), image, truth, 1)
    assert sorted(found.ravel().tolist()) == truth.ravel().tolist()

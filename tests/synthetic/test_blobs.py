import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from volseg_core.api import UsageError
from volseg_synthetic.blobs import Blobs

NAMES = ("background", "organelle", "granule", "membrane")
SMALL = (48, 48, 48)


def best_threshold_dice(data: np.ndarray, positive: np.ndarray) -> float:
    """Return the best Dice of ``data >= t`` or ``data < t`` over all thresholds."""
    inside = np.bincount(data[positive], minlength=256).cumsum()
    everywhere = np.bincount(data.ravel(), minlength=256).cumsum()
    total = inside[-1]
    below = 2 * inside / (everywhere + total)
    above = 2 * (total - inside) / (everywhere[-1] - everywhere + total)
    return float(max(below.max(), above.max()))


def test_a_sample_is_data_and_labels_on_one_grid() -> None:
    sample = Blobs(shape=(20, 30, 40), spacing=(2.0, 1.0, 1.0)).generate()
    assert sample.data.shape == sample.labels.shape == (20, 30, 40)
    assert sample.data.dtype == sample.labels.dtype == np.uint8
    assert tuple(sample.classes) == NAMES[:3]
    assert (sample.spacing, sample.unit) == ((2.0, 1.0, 1.0), "nm")


def test_the_same_seed_gives_the_same_bits() -> None:
    first, again = (Blobs(shape=SMALL, seed=7).generate() for _ in range(2))
    assert np.array_equal(first.data, again.data)
    assert np.array_equal(first.labels, again.labels)


def test_another_seed_gives_another_volume() -> None:
    first, other = (Blobs(shape=SMALL, seed=seed).generate() for seed in (7, 8))
    assert (first.data != other.data).mean() > 0.9
    assert (first.labels != other.labels).mean() > 0.1


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("seed", range(6))
def test_every_class_has_a_hundredth_of_the_voxels(classes: int, seed: int) -> None:
    sample = Blobs(shape=SMALL, classes=classes, seed=seed).generate()
    shares = np.bincount(sample.labels.ravel()) / sample.labels.size
    assert len(shares) == classes == len(sample.classes)
    assert shares.min() >= 0.01
    assert shares.argmax() == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(16, 16, 16), (16, 16, 80)])
def test_the_smallest_volumes_hold_every_class(shape: tuple[int, ...], seed: int) -> None:
    assert set(np.unique(Blobs(shape=shape, classes=4, seed=seed).generate().labels)) == {0, 1, 2, 3}


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_no_threshold_finds_the_organelles(classes: int, seed: int) -> None:
    sample = Blobs(shape=(64, 64, 64), classes=classes, seed=seed).generate()
    assert best_threshold_dice(sample.data, sample.labels == 1) < 0.5
    smooth = ndimage.gaussian_filter(sample.data, 2)
    assert best_threshold_dice(smooth, sample.labels == 1) < 0.6


def test_texture_tells_an_organelle_from_the_background() -> None:
    sample = Blobs(shape=(64, 64, 64), classes=4).generate()
    # stripes of 6.5 voxels pass a band that takes away shading, fine texture and noise
    grey = sample.data.astype(np.float32)
    band = ndimage.gaussian_filter(grey, 1.2) - ndimage.gaussian_filter(grey, 3)
    organelle, background = (band[sample.labels == label].std() for label in (1, 0))
    assert organelle > 1.2 * background
    means = [grey[sample.labels == label].mean() for label in (0, 1, 3)]
    assert abs(means[1] - means[0]) < 8
    assert means[2] < means[0] - 15


def test_granules_are_dark_or_bright() -> None:
    sample = Blobs(noise=0).generate()
    spots, count = ndimage.label(sample.labels == 2)
    levels = ndimage.mean(sample.data, spots, range(1, count + 1))
    assert (levels < 100).any()
    assert (levels > 160).any()
    assert np.mean((levels < 110) | (levels > 150)) > 0.95


def test_the_number_of_classes_changes_labels_only() -> None:
    two, three, four = (Blobs(shape=SMALL, classes=classes, seed=3).generate() for classes in (2, 3, 4))
    assert np.array_equal(two.data, four.data)
    assert np.array_equal(three.data, four.data)
    assert np.array_equal(three.labels, np.array([0, 1, 2, 1])[four.labels])
    assert np.array_equal(two.labels, np.array([0, 1, 0, 1])[four.labels])


def test_a_membrane_encloses_every_organelle() -> None:
    labels = Blobs(shape=SMALL, classes=4).generate().labels
    touched = labels[ndimage.binary_dilation(labels == 1)]
    assert set(np.unique(touched)) == {1, 3}


def test_density_is_the_share_of_organelles() -> None:
    shares = [
        (np.isin(Blobs(shape=(64, 64, 64), classes=4, density=density).generate().labels, (1, 3))).mean()
        for density in (0.05, 0.15, 0.25)
    ]
    assert shares == pytest.approx([0.05, 0.15, 0.25], abs=0.03)


def test_noise_changes_grey_values_only() -> None:
    clean, noisy = (Blobs(shape=SMALL, noise=noise).generate() for noise in (0, 20))
    assert np.array_equal(clean.labels, noisy.labels)
    assert np.std(noisy.data.astype(float) - clean.data) == pytest.approx(20, rel=0.05)


def test_structures_keep_their_size_in_nm() -> None:
    def extent(spacing: tuple[float, ...], axis: int) -> float:
        """Mean length in nm of the granules along an axis."""
        labels = Blobs(shape=(48, 96, 96), density=0.15, spacing=spacing).generate().labels
        boxes = ndimage.find_objects(ndimage.label(labels == 2)[0])
        return float(np.mean([(box[axis].stop - box[axis].start) * spacing[axis] for box in boxes]))

    assert extent((1, 1, 1), 0) == pytest.approx(extent((1, 1, 1), 1), rel=0.15)
    assert extent((2, 1, 1), 0) == pytest.approx(extent((2, 1, 1), 1), rel=0.25)


@pytest.mark.parametrize("spacing", [(10.0, 1.0, 1.0), (1.0, 0.1, 0.1), (0.5, 0.5, 4.0)])
def test_coarse_slices_still_hold_every_class(spacing: tuple[float, ...]) -> None:
    labels = Blobs(shape=(24, 64, 64), classes=4, spacing=spacing).generate().labels
    assert (np.bincount(labels.ravel(), minlength=4) > 0).all()


def test_few_arrays_of_the_volumes_size_are_held() -> None:
    tracemalloc.start()
    sample = Blobs(shape=(192, 112, 112)).generate()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # grey float32, labels and data uint8; slabs and the boxes of organelles
    assert peak < 9 * sample.data.size


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"shape": (96, 8, 96)}, "shape is (96, 8, 96). It must be three whole numbers of at least 16"),
        ({"shape": (96, 96)}, "shape is (96, 96). It must be three whole numbers of at least 16"),
        ({"shape": (96, 96, 20.5)}, "shape is (96, 96, 20.5). It must be three whole numbers of at least 16"),
        ({"shape": 96}, "shape is 96. It must be three whole numbers of at least 16"),
        ({"spacing": (1.0, 0.0, 1.0)}, "spacing is (1.0, 0.0, 1.0). It must be three numbers above 0"),
        ({"spacing": (1.0, float("nan"), 1.0)}, "spacing is (1.0, nan, 1.0). It must be three numbers above 0"),
        ({"classes": 5}, "classes is 5. It must be 2 to 4"),
        ({"density": 0.9}, "density is 0.9. It must be 0.02 to 0.25"),
        ({"noise": -1.0}, "noise is -1.0. It must be 0 to 64"),
        ({"seed": -1}, "seed is -1. It must be at least 0"),
    ],
)
def test_what_cannot_be_generated_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        Blobs(**params)
    assert str(raised.value) == f"generator 'blobs': {message}"

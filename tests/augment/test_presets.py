"""What every augmentation keeps to, whatever it draws."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from volseg_augment.chosen import Chosen
from volseg_augment.ct import Tomography
from volseg_augment.em import ElectronMicroscopy
from volseg_augment.standard import Standard, light, strong

RECIPE = [
    {"use": "HorizontalFlip", "p": 0.5},
    {"use": "OneOf", "p": 0.9, "transforms": [{"use": "RandomRotate90"}, {"use": "GaussNoise"}, {"use": "Blur"}]},
    {"use": "ElasticTransform", "alpha": 30, "sigma": 5, "p": 0.5},
    {"use": "RandomBrightnessContrast", "p": 0.5},
]
MADE = {
    "standard": Standard(),
    "light": light(),
    "strong": strong(),
    "em": ElectronMicroscopy(defects=0.5),
    "ct": Tomography(artefacts=0.5),
    "albumentations": Chosen(transforms=RECIPE),
}
EACH = pytest.mark.parametrize("name", MADE)


def noise(seed: int, height: int, width: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((height, width, channels), dtype=np.float32), rng.integers(-1, 3, (height, width), dtype=np.int32)


def fingerprint(augment: Any) -> str:
    digest = hashlib.sha256()
    for channels in (1, 3):
        for seed in range(10):
            for array in augment(*noise(5, 40, 40, channels), seed):
                digest.update(array.tobytes())
    return digest.hexdigest()


@EACH
@given(
    seed=st.integers(0, 2**63),
    height=st.integers(16, 60),
    width=st.integers(16, 60),
    channels=st.sampled_from([1, 2, 3, 5, 6]),
)
@settings(max_examples=25)
def test_shapes_types_range_and_labels_are_kept(name: str, seed: int, height: int, width: int, channels: int) -> None:
    image, labels = noise(seed % 1000, height, width, channels)
    drawn, marks = MADE[name](image, labels, seed)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert marks.shape == labels.shape
    assert marks.dtype == np.int32
    assert set(np.unique(marks)) <= {*np.unique(labels), -1}


@EACH
@pytest.mark.parametrize("channels", [1, 3])
def test_the_callers_arrays_are_left_alone_and_not_returned(name: str, channels: int) -> None:
    image, labels = noise(0, 40, 40, channels)
    image.flags.writeable = labels.flags.writeable = False
    before = image.copy(), labels.copy()
    for seed in range(15):
        drawn, marks = MADE[name](image, labels, seed)
        assert not np.shares_memory(drawn, image)
        assert not np.shares_memory(marks, labels)
    assert np.array_equal(image, before[0])
    assert np.array_equal(labels, before[1])


def test_a_seed_gives_the_same_draw_in_a_worker_of_any_history() -> None:
    np.random.seed(3)  # noqa: NPY002 - what a draw must not depend on
    expected = [fingerprint(augment) for augment in MADE.values()]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(fingerprint, pickle.loads(pickle.dumps(list(MADE.values())))) == expected  # noqa: S301 - our own
    assert [fingerprint(augment) for augment in MADE.values()] == expected


@EACH
@pytest.mark.parametrize("channels", [1, 3])
def test_other_seeds_give_other_windows(name: str, channels: int) -> None:
    image, labels = noise(3, 40, 40, channels)
    drawn = {MADE[name](image, labels, seed)[0].tobytes() for seed in range(40)}
    # light and the recipe leave some windows as they are, or only flip and turn them
    assert len(drawn) >= (28 if name in ("light", "albumentations") else 39)


@EACH
def test_every_preset_asks_for_oblong_windows_in_both_orientations(name: str) -> None:
    assert MADE[name].turns is True


@pytest.mark.parametrize("make", [Standard, light, strong, ElectronMicroscopy, Tomography])
def test_without_turns_none_are_asked_for(make: Any) -> None:
    assert make(rotate90=False).turns is False


@pytest.mark.parametrize("make", [Standard, light, strong, ElectronMicroscopy, Tomography])
@pytest.mark.parametrize("channels", [1, 3])
def test_strengths_of_zero_change_nothing(make: Any, channels: int, still: dict[str, Any]) -> None:
    image, labels = noise(2, 40, 40, channels)
    own = {
        ElectronMicroscopy: dict.fromkeys(("shift", "jump", "charging", "defocus", "missing", "coarse"), 0)
        | {"defects": 1},
        Tomography: {"cupping": 0, "rings": 0, "streaks": 0, "artefacts": 1},
    }
    for seed in range(5):
        drawn, marks = make(**still, **own.get(make, {}))(image, labels, seed)
        assert np.array_equal(drawn, image)
        assert np.array_equal(marks, labels)


@pytest.mark.parametrize(("make", "chance"), [(ElectronMicroscopy, "defects"), (Tomography, "artefacts")])
def test_a_probability_of_zero_changes_nothing(make: Any, chance: str, still: dict[str, Any]) -> None:
    image, labels = noise(2, 40, 40, 3)
    for seed in range(5):
        drawn, marks = make(**still, **{chance: 0})(image, labels, seed)
        assert np.array_equal(drawn, image)
        assert np.array_equal(marks, labels)


@EACH
@pytest.mark.parametrize(("height", "width"), [(96, 96), (64, 96)])
def test_image_and_labels_stay_aligned(name: str, height: int, width: int, still: dict[str, Any]) -> None:
    # without changes of tone: wherever a label is left, it is that of the pixel nearest to what the image shows
    y, x = np.mgrid[:height, :width]
    image = np.stack([y / height, x / width], -1).astype(np.float32)
    labels = (y * width + x).astype(np.int32)
    poses = {"flip": True, "rotate90": True, "scale": 0.2, "rotate": 30, "elastic": 0.5}
    geometry = still | poses | {"p": 0.8}
    made = {
        "em": lambda: ElectronMicroscopy(**geometry, jump=0, charging=0, defocus=0, missing=0, defects=0.7),
        "ct": lambda: Tomography(**geometry, artefacts=0),
        "light": lambda: light(**(geometry | {"elastic": 0})),
        "strong": lambda: strong(**geometry),
        "standard": lambda: Standard(**geometry),
        "albumentations": lambda: Chosen(transforms=[RECIPE[0], RECIPE[2], {"use": "D4"}, {"use": "Rotate"}]),
    }
    augment = made[name]()
    for seed in range(15):
        drawn, marks = augment(image, labels, seed)
        kept = binary_erosion(marks >= 0, iterations=2)
        assert kept.mean() > 0.3
        far = np.maximum(
            np.abs(drawn[..., 0] * height - marks // width), np.abs(drawn[..., 1] * width - marks % width)
        )[kept]
        # each warp takes the nearest pixel, half a pixel off at most; where rows were shifted, a later warp
        # interpolates across the cut
        assert np.quantile(far, 0.95) <= 1.3
        assert far.max() <= (1.3 if name != "em" else np.inf)

"""The presets on boxes: native in three dimensions."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_augment.ct import Tomography
from volseg_augment.em import ElectronMicroscopy
from volseg_augment.standard import Standard, light, strong

MADE = {
    "standard": Standard(),
    "light": light(),
    "strong": strong(),
    "em": ElectronMicroscopy(defects=0.5),
    "ct": Tomography(artefacts=0.5),
}
EACH = pytest.mark.parametrize("name", MADE)


def noise(shape: tuple[int, ...], channels: int = 1, dtype: Any = np.int16) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    return random.random((channels, *shape), np.float32), random.integers(-1, 4, (1, *shape)).astype(dtype)


@EACH
@given(
    seed=st.integers(0, 2**63),
    shape=st.tuples(*[st.integers(1, 24)] * 3),
    channels=st.integers(1, 3),
    spacing=st.sampled_from([None, (1.0, 1.0, 1.0), (40.0, 8.0, 4.0)]),
    thick=st.sampled_from([None, 0, 1, 2]),
    dtype=st.sampled_from([np.int16, np.int64, np.float32]),
)
@settings(max_examples=40)
def test_shapes_types_and_values_are_kept(
    name: str, seed: int, shape: Any, channels: int, spacing: Any, thick: Any, dtype: Any
) -> None:
    image, truth = noise(shape, channels, dtype)
    before = image.copy(), truth.copy()
    found, marks = MADE[name].box(image, truth, seed, spacing=spacing, thick=thick)
    assert (found.shape, found.dtype, marks.shape, marks.dtype) == (image.shape, np.float32, truth.shape, dtype)
    assert np.isfinite(found).all()
    known = marks[np.isfinite(marks)]
    assert not known.size or (known.min() >= -1 and known.max() <= 3)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(truth, before[1])


@EACH
def test_equal_seeds_give_equal_boxes_also_by_pickle_and_others_differ(name: str) -> None:
    image, truth = noise((16, 20, 24))
    augment, copy = MADE[name], pickle.loads(pickle.dumps(MADE[name]))  # noqa: S301 - our own bytes
    drawn = [augment.box(image, truth, seed) for seed in range(8)]
    for seed in (5, 2):
        for one, other in zip(copy.box(image, truth, seed), drawn[seed], strict=True):
            np.testing.assert_array_equal(one, other)
    assert len({found.tobytes() for found, _ in drawn}) >= 6


@pytest.mark.parametrize("make", [Standard, light, strong, ElectronMicroscopy, Tomography])
def test_strengths_of_zero_change_nothing(make: Any, still: dict[str, Any]) -> None:
    image, truth = noise((8, 12, 16))
    own = {
        ElectronMicroscopy: dict.fromkeys(("shift", "jump", "charging", "defocus", "missing", "coarse"), 0)
        | {"defects": 1},
        Tomography: {"cupping": 0, "rings": 0, "streaks": 0, "artefacts": 1},
    }
    for seed in range(5):
        found, marks = make(**still, **own.get(make, {})).box(image, truth, seed)
        np.testing.assert_array_equal(found, image)
        np.testing.assert_array_equal(marks, truth)


@EACH
def test_a_labelled_ball_stays_where_it_is_seen(name: str) -> None:
    where = np.indices((32, 32, 32))
    ball = ((where - np.array([12, 14, 18])[:, None, None, None]) ** 2).sum(0) < 9**2
    image, truth = np.where(ball, 0.8, 0.2).astype(np.float32)[None], ball.astype(np.int32)[None]
    correlations = []
    for seed in range(20):
        found, marks = MADE[name].box(image, truth, seed)
        known = marks >= 0
        correlations.append(abs(np.corrcoef(found[known], marks[known])[0, 1]))
    assert np.median(correlations) > 0.9
    assert min(correlations) > 0.5


def test_turns_are_the_cores_and_mirror_images_follow_flip() -> None:
    assert (Standard().turns, Standard().mirrors) == (True, True)
    assert (Standard(flip=False).turns, Standard(flip=False).mirrors) == (True, False)
    assert Standard(rotate90=False).turns is False


def test_flips_alone_give_the_eight_mirror_images(still: dict[str, Any]) -> None:
    image, truth = noise((3, 4, 5))
    augment = Standard(**still | {"flip": True})
    assert len({augment.box(image, truth, seed)[0].tobytes() for seed in range(100)}) == 8


def test_contrast_and_noise_leave_the_unit_range_rather_than_be_cut(still: dict[str, Any]) -> None:
    image, truth = noise((16, 16, 16))
    augment = Standard(**still | {"brightness": 0.2, "contrast": 0.5, "p": 1.0})
    for seed in range(10):
        found, _ = augment.box(image, truth, seed)
        gain, shift = np.polyfit(image.ravel(), found.ravel(), 1)
        np.testing.assert_allclose(found, image * gain + shift, atol=1e-4)


def test_a_warp_and_every_tone_come_independently(still: dict[str, Any]) -> None:
    """In one box in four both of two steps of probability 1/2 come; with one seed for all it would be one in two."""
    image, truth = noise((6, 6, 6))
    image = image * np.float32(0.5) + np.float32(0.25)
    turned, noisy = [], []
    augment = Standard(**still | {"rotate": 45.0, "noise": 0.2, "p": 0.5})
    for seed in range(600):
        _, marks = augment.box(image, truth, seed)
        turned.append(not np.array_equal(marks, truth))
        flat, _ = augment.box(np.full_like(image, 0.5), truth, seed)
        noisy.append(np.ptp(flat) > 1e-4)
    assert np.mean(turned) == pytest.approx(0.5, abs=0.07)
    assert np.mean(noisy) == pytest.approx(0.5, abs=0.07)
    assert np.mean(np.logical_and(turned, noisy)) == pytest.approx(0.25, abs=0.06)

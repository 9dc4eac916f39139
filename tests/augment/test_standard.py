from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_augment.standard import Standard

OFF = {
    "flip": False,
    "rotate90": False,
    "scale": 0,
    "rotate": 0,
    "elastic": 0,
    "brightness": 0,
    "contrast": 0,
    "gamma": 0,
    "noise": 0,
    "blur": 0,
}
GEOMETRY = OFF | {"flip": True, "rotate90": True, "scale": 0.2, "rotate": 30, "elastic": 0.5, "p": 0.8}
TONES = {"brightness": 0.3, "contrast": 0.3, "gamma": 0.5, "noise": 0.1, "blur": 1.0, "p": 1.0}


def window(seed: int, height: int = 64, width: int = 64, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((height, width, channels), dtype=np.float32), rng.integers(-1, 3, (height, width), dtype=np.int32)


def fingerprint(augment: Standard, seeds: range) -> str:
    digest = hashlib.sha256()
    for seed in seeds:
        for array in augment(*window(5), seed):
            digest.update(array.tobytes())
    return digest.hexdigest()


@given(
    seed=st.integers(0, 2**63),
    height=st.integers(8, 70),
    width=st.integers(8, 70),
    channels=st.sampled_from([1, 3, 5]),
)
@settings(max_examples=60)
def test_shapes_types_range_and_labels_are_kept(seed: int, height: int, width: int, channels: int) -> None:
    image, labels = window(seed % 1000, height, width, channels)
    drawn, marks = Standard(elastic=0.5, blur=0.5, p=0.8)(image, labels, seed)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert marks.shape == labels.shape
    assert marks.dtype == np.int32
    assert set(np.unique(marks)) <= {*np.unique(labels), -1}


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_callers_arrays_are_left_alone_and_not_returned(channels: int) -> None:
    image, labels = window(0, channels=channels)
    image.flags.writeable = labels.flags.writeable = False
    before = image.copy(), labels.copy()
    for augment in (Standard(), Standard(**OFF), Standard(**GEOMETRY)):
        for seed in range(10):
            drawn, marks = augment(image, labels, seed)
            assert not np.shares_memory(drawn, image)
            assert not np.shares_memory(marks, labels)
    assert np.array_equal(image, before[0])
    assert np.array_equal(labels, before[1])


def test_a_strided_window_gives_what_a_dense_one_gives() -> None:
    image, labels = window(1, 64, 128, 3)
    strided = image[:, ::2].transpose(1, 0, 2), labels[:, ::2].T
    dense = tuple(np.ascontiguousarray(array) for array in strided)
    for seed in range(5):
        for one, other in zip(Standard()(*strided, seed), Standard()(*dense, seed), strict=True):
            assert np.array_equal(one, other)


def test_strengths_of_zero_change_nothing() -> None:
    image, labels = window(2, channels=3)
    for seed in range(5):
        drawn, marks = Standard(**OFF)(image, labels, seed)
        assert np.array_equal(drawn, image)
        assert np.array_equal(marks, labels)


def test_a_seed_gives_the_same_draw_whatever_was_drawn_before() -> None:
    fresh, used = Standard(elastic=0.5), Standard(elastic=0.5)
    for seed in range(7):
        used(*window(seed, 40, 50, 3), seed)
    assert fingerprint(used, range(20, 30)) == fingerprint(fresh, range(20, 30))


def test_a_seed_gives_the_same_draw_in_another_process() -> None:
    code = f"""
import importlib.util, random, numpy
spec = importlib.util.spec_from_file_location("story", {__file__!r})
story = importlib.util.module_from_spec(spec)
spec.loader.exec_module(story)
random.seed(9)
numpy.random.seed(9)
print(story.fingerprint(story.Standard(elastic=0.5), range(12)))
"""
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert other == fingerprint(Standard(elastic=0.5), range(12))


def test_it_travels_to_a_worker_by_pickle() -> None:
    augment = Standard(elastic=0.5)
    assert fingerprint(pickle.loads(pickle.dumps(augment)), range(6)) == fingerprint(augment, range(6))  # noqa: S301 - our own bytes


def test_a_seed_may_be_an_integer_of_numpy() -> None:
    image, labels = window(0)
    assert np.array_equal(Standard()(image, labels, np.int64(4))[0], Standard()(image, labels, 4)[0])


def test_other_seeds_give_other_windows() -> None:
    image, labels = window(3)
    assert len({Standard()(image, labels, seed)[0].tobytes() for seed in range(40)}) >= 39


@pytest.mark.parametrize(
    ("part", "count"), [({"flip": True}, 4), ({"rotate90": True}, 4), ({"flip": True, "rotate90": True}, 8)]
)
def test_flips_and_turns_are_independent_and_reach_every_symmetry(part: dict[str, bool], count: int) -> None:
    image, labels = window(4, 16, 16)
    drawn = [Standard(**(OFF | part))(image, labels, seed) for seed in range(120)]
    found = {marks.tobytes() for _, marks in drawn}
    assert len(found) == count
    shares = [sum(marks.tobytes() == each for _, marks in drawn) / len(drawn) for each in found]
    assert min(shares) > 0.4 / count


@pytest.mark.parametrize(("height", "width"), [(16, 40), (40, 16)])
def test_oblong_windows_are_mirrored_but_never_turned(height: int, width: int) -> None:
    image, labels = window(5, height, width)
    mirrored = {labels[::y, ::x].tobytes() for y in (1, -1) for x in (1, -1)}
    augment = Standard(**(OFF | {"flip": True, "rotate90": True}))
    assert {augment(image, labels, seed)[1].tobytes() for seed in range(60)} == mirrored


@pytest.mark.parametrize(("height", "width"), [(96, 96), (64, 96)])
def test_image_and_labels_stay_aligned(height: int, width: int) -> None:
    # the image holds each pixel's coordinates and the label its number: wherever a label is left,
    # it is that of the pixel nearest to what the image shows
    y, x = np.mgrid[:height, :width]
    image = np.stack([y / height, x / width], -1).astype(np.float32)
    labels = (y * width + x).astype(np.int32)
    for seed in range(30):
        drawn, marks = Standard(**GEOMETRY)(image, labels, seed)
        kept = marks >= 0
        kept[:2] = kept[-2:] = kept[:, :2] = kept[:, -2:] = False
        assert kept.mean() > 0.4
        # an affine and an elastic warp each take the nearest pixel: half a pixel each
        assert np.abs(drawn[..., 0] * height - marks // width)[kept].max() <= 1.3
        assert np.abs(drawn[..., 1] * width - marks % width)[kept].max() <= 1.3


def test_a_single_warp_takes_the_nearest_label() -> None:
    y, x = np.mgrid[:96, :96]
    image = np.stack([y / 96, x / 96], -1).astype(np.float32)
    for parts in ({"scale": 0.2, "rotate": 30, "p": 1}, {"elastic": 1}):
        for seed in range(10):
            drawn, marks = Standard(**(OFF | parts))(image, (y * 96 + x).astype(np.int32), seed)
            inner = np.zeros_like(marks, bool)
            inner[3:-3, 3:-3] = True
            # linear interpolation is exact here where no mirrored pixel takes part
            inner &= (marks // 96 > 0) & (marks // 96 < 95) & (marks % 96 > 0) & (marks % 96 < 95) & (marks >= 0)
            assert np.abs(drawn[..., 0] * 96 - marks // 96)[inner].max() <= 0.55
            assert np.abs(drawn[..., 1] * 96 - marks % 96)[inner].max() <= 0.55


def test_what_a_warp_brings_in_has_no_label_but_an_image() -> None:
    image = np.full((64, 64, 1), 0.5, np.float32)
    labels = np.ones((64, 64), np.int32)
    covered = []
    for seed in range(20):
        drawn, marks = Standard(**(OFF | {"rotate": 45, "p": 1}))(image, labels, seed)
        assert np.abs(drawn - 0.5).max() < 1e-6
        assert set(np.unique(marks)) <= {-1, 1}
        # a rotation about the centre leaves the inscribed circle inside
        y, x = np.mgrid[:64, :64] - 31.5
        assert (marks[y**2 + x**2 < 31**2] == 1).all()
        covered.append((marks == -1).mean())
    # a square turned by 45 degrees covers 83 % of itself
    assert 0.12 < max(covered) < 0.18


def test_pixels_without_a_label_stay_without() -> None:
    image, _ = window(6)
    labels = np.full((64, 64), -1, np.int32)
    for seed in range(20):
        assert (Standard(**GEOMETRY)(image, labels, seed)[1] == -1).all()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_grey_values_change_and_labels_do_not_when_only_tones_are_on(channels: int) -> None:
    image, labels = window(7, channels=channels)
    for seed in range(10):
        drawn, marks = Standard(**(OFF | TONES))(image, labels, seed)
        assert np.array_equal(marks, labels)
        assert np.abs(drawn - image).mean() > 0.01


def test_contrast_turns_around_the_mean_and_brightness_shifts_it() -> None:
    image = np.linspace(0.3, 0.7, 64 * 64, dtype=np.float32).reshape(64, 64, 1)
    labels = np.zeros((64, 64), np.int32)
    spreads, means = [], []
    for seed in range(30):
        spread = Standard(**(OFF | {"contrast": 0.2, "p": 1}))(image, labels, seed)[0]
        assert spread.mean() == pytest.approx(0.5, abs=1e-3)
        spreads.append(np.ptp(spread) / np.ptp(image))
        shifted = Standard(**(OFF | {"brightness": 0.2, "p": 1}))(image, labels, seed)[0]
        assert np.ptp(shifted) == pytest.approx(np.ptp(image), abs=1e-3)
        means.append(shifted.mean() - 0.5)
    assert 0.8 <= min(spreads) < 0.9
    assert 1.1 < max(spreads) <= 1.2
    assert -0.2 <= min(means) < -0.1
    assert 0.1 < max(means) <= 0.2


def test_gamma_stays_between_its_bounds() -> None:
    image = np.full((8, 8, 1), 0.5, np.float32)
    labels = np.zeros((8, 8), np.int32)
    augment = Standard(**(OFF | {"gamma": 1.0, "p": 1}))
    values = [float(augment(image, labels, seed)[0].mean()) for seed in range(60)]
    # exponents between 1/2 and 2
    assert 0.25 <= min(values) < 0.3
    assert 0.6 < max(values) <= 0.5**0.5 + 1e-6


def test_noise_is_independent_per_channel_and_bounded_in_strength() -> None:
    image = np.full((64, 64, 3), 0.5, np.float32)
    labels = np.zeros((64, 64), np.int32)
    augment = Standard(**(OFF | {"noise": 0.1, "p": 1}))
    spreads = []
    for seed in range(20):
        noise = augment(image, labels, seed)[0] - image
        spreads.append(noise.std())
        assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.1
    assert max(spreads) <= 0.102
    assert max(spreads) > 0.08
    assert min(spreads) < 0.03

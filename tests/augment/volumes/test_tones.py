"""Grey values of boxes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from volseg_augment.volumes.box import Box
from volseg_augment.volumes.tones import Blur, Contrast, Gamma, Noise, blurred, tones

TRUTH = np.zeros((1, 12, 16, 20), np.int32)


def box(**given: object) -> Box:
    image = np.random.default_rng(0).random((2, 12, 16, 20), np.float32)
    return Box(image, TRUTH, **given)


def test_blur_is_a_gaussian_in_three_dimensions() -> None:
    given = box()
    sigmas = np.array([0.7, 1.1, 0.9])
    for channel, image in zip(blurred(given.image, sigmas), given.image, strict=True):
        wanted = gaussian_filter(image.astype(float), sigmas, mode="mirror", radius=[3, 4, 3])
        np.testing.assert_allclose(channel, wanted, atol=1e-4)


def test_blur_follows_spacing_and_leaves_thick_sections_apart() -> None:
    impulse = np.zeros((1, 13, 13, 13), np.float32)
    impulse[0, 6, 6, 6] = 1
    for given in (Box(impulse, TRUTH, thick=0), Box(impulse, TRUTH, (9.0, 1.0, 1.0))):
        found = Blur()(given, np.random.default_rng(0)).image[0]
        assert found.sum() == pytest.approx(1, abs=1e-4)
        assert (found.sum((1, 2)) > 1e-6).sum() == 1
        assert (found.sum((0, 1)) > 1e-6).sum() > 3
    even = Blur()(Box(impulse, TRUTH), np.random.default_rng(0)).image[0]
    np.testing.assert_allclose(even, even.transpose(2, 0, 1), atol=1e-6)


def test_contrast_keeps_the_mean_and_clips_nothing() -> None:
    given = box()
    for seed in range(20):
        found = Contrast(0.5, 0.0)(given, np.random.default_rng(seed)).image
        assert found.mean() == pytest.approx(given.image.mean(), abs=1e-4)
        gain = found.std() / given.image.std()
        assert 0.5 <= gain <= 1.5
        np.testing.assert_allclose((found - found.mean()) / gain + given.image.mean(), given.image, atol=1e-4)


def test_brightness_shifts_all_voxels_alike() -> None:
    given = box()
    shifts = []
    for seed in range(50):
        shift = Contrast(0.0, 0.3)(given, np.random.default_rng(seed)).image - given.image
        assert np.ptp(shift) < 1e-5
        shifts.append(shift.mean())
    assert -0.3 <= min(shifts) < -0.2
    assert 0.2 < max(shifts) <= 0.3


def test_gamma_is_a_power_of_either_sign() -> None:
    given = Box(np.array([-0.5, 0.0, 0.25, 1.0], np.float32).reshape(1, 1, 1, 4), TRUTH)
    powers = []
    for seed in range(200):
        found = Gamma(0.5)(given, np.random.default_rng(seed)).image.ravel()
        power = np.log(found[2]) / np.log(0.25)
        np.testing.assert_allclose(found, [-(0.5**power), 0, 0.25**power, 1], atol=1e-5)
        powers.append(power)
    assert min(powers) + 1e-4 >= 1 / 1.5
    assert max(powers) <= 1.5 + 1e-4
    assert max(powers) - min(powers) > 0.7


def test_noise_of_counts_has_a_variance_that_grows_with_the_signal() -> None:
    ramp = np.repeat(np.linspace(0, 1, 5, dtype=np.float32), 40_000).reshape(1, 5, 200, 200)
    given = Box(ramp, TRUTH)
    added = Noise(0.0, 0.2, 1.0)(given, np.random.default_rng(1)).image - ramp
    variance = added.var((0, 2, 3))
    assert variance[0] == 0
    np.testing.assert_allclose(variance / variance[-1], np.linspace(0, 1, 5), atol=0.03)
    assert abs(added.mean()) < 1e-3


def test_constant_noise_is_alike_everywhere_and_as_strong_as_asked() -> None:
    ramp = np.repeat(np.linspace(0, 1, 5, dtype=np.float32), 10_000).reshape(1, 5, 100, 100)
    deviations = []
    for seed in range(40):
        added = Noise(0.1, 0.0, 1.0)(Box(ramp, TRUTH), np.random.default_rng(seed)).image - ramp
        deviation = added.std((0, 2, 3))
        np.testing.assert_allclose(deviation, deviation.mean(), rtol=0.05)
        deviations.append(deviation.mean())
    assert max(deviations) <= 0.101
    assert max(deviations) > 0.09
    assert min(deviations) < 0.02


def test_both_kinds_of_noise_add_their_variances() -> None:
    flat = Box(np.full((1, 40, 50, 50), 0.5, np.float32), TRUTH)
    random = np.random.default_rng(7)
    added = Noise(0.1, 0.2, 1.0)(flat, random).image - 0.5
    again = np.random.default_rng(7)
    again.random()
    constant = again.uniform(0, 0.1)
    again.random()
    counted = again.uniform(0, 0.2)
    assert added.var() == pytest.approx(constant**2 + counted**2 / 2, rel=0.03)


def test_strengths_of_zero_leave_their_steps_out() -> None:
    assert tones(brightness=0, contrast=0, gamma=0, noise=0, shot=0, blur=0, p=1) == []
    assert tones(brightness=1, contrast=1, gamma=1, noise=1, shot=1, blur=0, p=0) == []
    assert len(tones(brightness=1, contrast=1, gamma=1, noise=1, shot=1, blur=1, p=1)) == 4

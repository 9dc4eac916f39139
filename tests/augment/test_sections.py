"""Each defect of electron microscopy does what it says, in one channel and in a stack."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_augment.em import ElectronMicroscopy

if TYPE_CHECKING:
    from collections.abc import Callable

NONE = {"shift": 0, "jump": 0.0, "charging": 0.0, "defocus": 0.0, "missing": 0}
SEEDS = range(60)


@pytest.fixture
def only(still: dict[str, Any]) -> Callable[..., ElectronMicroscopy]:
    """An augmentation with one defect that always happens."""

    def only(**defect: float) -> ElectronMicroscopy:
        return ElectronMicroscopy(**still, **(NONE | defect), defects=1)

    return only


def bands(changed: np.ndarray) -> tuple[int, int]:
    """Return how many rows and columns of a mask (H, W) are changed throughout."""
    return int(changed.all(1).sum()), int(changed.all(0).sum())


def test_a_blank_band_is_thin_even_and_keeps_its_labels(only: Callable[..., Any], window: Callable[..., Any]) -> None:
    image, labels = window(0, 64, 48, 2)
    thicknesses, values = Counter(), []
    for seed in SEEDS:
        drawn, marks = only(missing=4)(image, labels, seed)
        changed = (drawn != image).all(-1)
        rows, columns = bands(changed)
        assert changed.sum() in (rows * 48, columns * 64)
        assert len(np.unique(drawn[changed])) == 1
        assert np.array_equal(marks, labels)
        thicknesses[min(rows, columns) or max(rows, columns)] += 1
        values.append(float(drawn[changed][0, 0]))
    assert set(thicknesses) == {1, 2, 3, 4}
    assert 0.3 < np.mean(np.array(values) == 0) < 0.7
    assert max(values) > 0.8


def test_bands_run_along_rows_and_along_columns(only: Callable[..., Any], window: Callable[..., Any]) -> None:
    image, labels = window(0)
    along = [bands((only(missing=2)(image, labels, seed)[0] != image)[..., 0]) for seed in SEEDS]
    assert 0.3 < np.mean([rows > 0 for rows, _ in along]) < 0.7


def test_in_a_stack_one_whole_section_may_be_missing(only: Callable[..., Any], window: Callable[..., Any]) -> None:
    image, labels = window(0, channels=3)
    lost = Counter()
    for seed in range(120):
        drawn, marks = only(missing=2)(image, labels, seed)
        assert np.array_equal(marks, labels)
        blank = [channel for channel in range(3) if np.ptp(drawn[..., channel]) == 0]
        assert len(blank) <= 1
        if blank:
            assert np.array_equal(np.delete(drawn, blank, -1), np.delete(image, blank, -1))
        lost[tuple(blank)] += 1
    assert 40 < lost[()] < 80
    assert min(lost[(channel,)] for channel in range(3)) > 8


def test_a_window_of_one_or_two_channels_never_loses_a_whole_one(
    only: Callable[..., Any], window: Callable[..., Any]
) -> None:
    for channels in (1, 2):
        image, labels = window(0, channels=channels)
        for seed in SEEDS:
            assert (only(missing=4)(image, labels, seed)[0] != image).mean() <= 4 / 64


def shifted(line: np.ndarray, by: int) -> np.ndarray:
    """Return a line of labels (N,) moved by some pixels, -1 where nothing came."""
    moved = np.full_like(line, -1)
    for place in range(len(line)):
        if 0 <= place - by < len(line):
            moved[place] = line[place - by]
    return moved


def test_rows_beyond_a_cut_move_sideways_with_their_labels(
    only: Callable[..., Any], coordinates: Callable[..., Any]
) -> None:
    image, labels = coordinates(64, 48)
    moves, open_ended = Counter(), 0
    for seed in range(120):
        drawn, marks = only(shift=5)(image, labels, seed)
        before, after = (labels, marks) if (marks != labels).all(1).any() else (labels.T, marks.T)
        touched = np.flatnonzero((after != before).any(1))
        assert np.array_equal(touched, np.arange(touched[0], touched[-1] + 1))
        (by,) = {by for by in range(-5, 6) if np.array_equal(after[touched[0]], shifted(before[touched[0]], by))}
        for line in touched:
            assert np.array_equal(after[line], shifted(before[line], by))
        kept = marks >= 0
        assert np.array_equal(np.rint(drawn[..., 0] * 64)[kept], (marks // 48)[kept])
        assert np.array_equal(np.rint(drawn[..., 1] * 48)[kept], (marks % 48)[kept])
        moves[by] += 1
        open_ended += touched[-1] == len(after) - 1
    assert set(moves) == {*range(-5, 0), *range(1, 6)}
    assert 0.4 < open_ended / 120 < 0.8


def test_what_a_shift_brings_in_mirrors_the_image(only: Callable[..., Any]) -> None:
    image = np.tile(np.arange(32, dtype=np.float32)[:, None, None] / 32, (1, 32, 1))
    image = np.maximum(image, image.swapaxes(0, 1)) / 2
    for seed in range(20):
        drawn, marks = only(shift=3)(image, np.ones((32, 32), np.int32), seed)
        outside = marks == -1
        assert outside.any()
        # nothing black, nothing beyond the values beside the border
        assert set(np.unique(drawn)) <= set(np.unique(image))


@pytest.mark.parametrize("channels", [3, 5])
def test_in_a_stack_sections_beyond_a_cut_move_and_the_middle_one_never_does(
    channels: int, only: Callable[..., Any]
) -> None:
    # a smooth image, whose sections are alike
    y, x = np.mgrid[:64, :64] / 64
    image = np.repeat(((np.sin(9 * y) + np.cos(7 * x)) / 4 + 0.5)[..., None], channels, -1).astype(np.float32)
    labels = np.arange(64 * 64, dtype=np.int32).reshape(64, 64)
    middle, seen = channels // 2, Counter()
    for seed in range(120):
        drawn, marks = only(shift=4)(image, labels, seed)
        moved = tuple(channel for channel in range(channels) if not np.array_equal(drawn[..., channel], image[..., 0]))
        if not np.array_equal(marks, labels):
            assert moved == tuple(range(channels))
            continue
        seen[moved] += 1
        dy, dx = next(
            (dy, dx)
            for dy in range(-4, 5)
            for dx in range(-4, 5)
            if np.array_equal(drawn[8:-8, 8:-8, moved[0]], image[8 - dy : 56 - dy, 8 - dx : 56 - dx, 0])
        )
        assert dy != 0
        assert dx != 0
    assert 40 < sum(seen.values()) < 80
    sides = [tuple(range(cut + 1)) for cut in range(middle)]
    assert set(seen) == {*sides, *(tuple(channels - 1 - channel for channel in reversed(side)) for side in sides)}


def test_contrast_jumps_between_bands(only: Callable[..., Any], window: Callable[..., Any]) -> None:
    image, labels = window(1, 64, 64, 2)
    image = image * 0.4 + 0.3
    counts = Counter()
    for seed in SEEDS:
        drawn, marks = only(jump=0.2)(image, labels, seed)
        assert np.array_equal(marks, labels)
        # a straight line from old to new values for each row, or for each column
        fits = []
        for axis in (0, 1):
            lines = [np.polyfit(np.take(image, i, axis).ravel(), np.take(drawn, i, axis).ravel(), 1) for i in range(64)]
            wrong = [
                np.abs(np.polyval(line, np.take(image, i, axis)) - np.take(drawn, i, axis)).max()
                for i, line in enumerate(lines)
            ]
            if max(wrong) < 1e-4:
                fits.append(np.array(lines))
        (lines,) = fits
        assert lines[:, 0].min() >= 0.799
        assert lines[:, 0].max() <= 1.201
        # brightness: what becomes of the image's mean
        assert np.abs(lines @ [image.mean(), 1] - image.mean()).max() <= 0.101
        counts[int((np.abs(np.diff(lines[:, 0])) > 1e-4).sum())] += 1
    assert set(counts) <= set(range(1, 7))
    assert len(counts) >= 5


def test_in_a_stack_sections_differ_in_contrast(only: Callable[..., Any], window: Callable[..., Any]) -> None:
    image, labels = window(1, channels=3)
    image = image * 0.4 + 0.3
    whole = 0
    for seed in SEEDS:
        drawn = only(jump=0.2)(image, labels, seed)[0]
        lines = [np.polyfit(image[..., c].ravel(), drawn[..., c].ravel(), 1, full=True) for c in range(3)]
        whole += all(residual < 1e-6 for _, (residual,), *_ in lines)
    assert 15 < whole < 45


def test_charging_is_smooth_bounded_and_the_same_in_all_channels(only: Callable[..., Any]) -> None:
    image, labels = np.full((64, 64, 3), 0.5, np.float32), np.zeros((64, 64), np.int32)
    heights = []
    for seed in SEEDS:
        drawn, marks = only(charging=0.3)(image, labels, seed)
        assert np.array_equal(marks, labels)
        change = drawn - 0.5
        assert np.array_equal(change[..., 0], change[..., 2])
        # the slope of a Gaussian is at most 0.61 height / width, here a fifth of the side
        assert np.abs(np.diff(change, axis=0)).max() <= 0.61 * 0.3 / (0.2 * 64) + 1e-6
        heights.append(float(change[np.unravel_index(np.abs(change).argmax(), change.shape)]))
    assert -0.3 <= min(heights) < -0.2
    assert 0.2 < max(heights) <= 0.3


def test_defocus_blurs_a_band_or_the_section_and_nothing_else(
    only: Callable[..., Any], window: Callable[..., Any]
) -> None:
    from scipy.ndimage import gaussian_filter

    image, labels = window(2, 64, 64)
    whole = 0
    for seed in SEEDS:
        drawn, marks = only(defocus=2.0)(image, labels, seed)
        assert np.array_equal(marks, labels)
        changed = (np.abs(drawn - image) > 1e-6)[..., 0]
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        box = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 0]
        outside = np.ones((64, 64), bool)
        outside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = False
        assert not changed[outside].any()
        assert min(box.shape) <= 32 or box.shape == (64, 64)
        whole += box.shape == (64, 64)
        blurs = [
            gaussian_filter(image[..., 0], sigma, mode="mirror", truncate=4)[
                rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1
            ]
            for sigma in np.linspace(0.5, 2, 61)
        ]
        # an independent filter, of the nearest of 61 widths; the blur of a band ends 3 widths outside it
        assert min(np.abs(box - blur).max() for blur in blurs) < 0.03
    assert 15 < whole < 45


def test_in_a_stack_one_section_is_out_of_focus(only: Callable[..., Any], window: Callable[..., Any]) -> None:
    image, labels = window(2, channels=3)
    counts = Counter()
    for seed in SEEDS:
        drawn = only(defocus=2.0)(image, labels, seed)[0]
        counts[tuple(channel for channel in range(3) if (drawn != image)[..., channel].any())] += 1
    assert set(counts) == {(0,), (1,), (2,), (0, 1, 2)}
    assert 15 < counts[0, 1, 2] < 45


def test_defects_come_as_often_as_asked(still: dict[str, Any], window: Callable[..., Any]) -> None:
    image, labels = window(3)
    augment = ElectronMicroscopy(**still, **(NONE | {"charging": 0.3}), defects=0.25)
    found = np.mean([not np.array_equal(augment(image, labels, seed)[0], image) for seed in range(400)])
    assert 0.19 < found < 0.31

"""Each artefact of tomography has the shape that it is named after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_augment.ct import Tomography
from volseg_augment.tomography import Cupping, Rings, Streaks, distances

if TYPE_CHECKING:
    from collections.abc import Callable

NONE = {"cupping": 0.0, "rings": 0.0, "streaks": 0.0}
SIZE = 96
GREY = np.full((SIZE, SIZE, 2), 0.5, np.float32)
LABELS = np.arange(SIZE * SIZE, dtype=np.int32).reshape(SIZE, SIZE)


@pytest.fixture
def only(still: dict[str, Any]) -> Callable[..., Tomography]:
    """An augmentation with one artefact that always happens."""

    def only(**artefact: float) -> Tomography:
        return Tomography(**still, **(NONE | artefact), artefacts=1)

    return only


def params(
    kind: Any, strength: float, seed: int, count: int | None = None
) -> tuple[Any, tuple[float, float], dict[str, Any]]:
    """Return a step, the centre that it draws with a seed, and what it draws; ``count`` fixes how many lines."""
    step = kind(strength, p=1)
    step.set_random_seed(seed)
    if count is not None:
        step.py_random.randint = lambda *_: count
    centre: list[tuple[float, float]] = []
    draw_place = step.place

    def place(*args: Any, **kwargs: Any) -> tuple[float, float]:
        centre.append(draw_place(*args, **kwargs))
        return centre[-1]

    step.place = place
    drawn = step.get_params_dependent_on_data({"shape": (SIZE, SIZE, 2)}, {})
    return step, centre[0], drawn


@pytest.mark.parametrize("kind", ["cupping", "rings", "streaks"])
def test_labels_stay_and_all_channels_change_alike(kind: str, only: Callable[..., Any]) -> None:
    for seed in range(20):
        drawn, marks = only(**{kind: 0.2})(GREY, LABELS, seed)
        assert np.array_equal(marks, LABELS)
        assert np.array_equal(drawn[..., 0], drawn[..., 1])


@pytest.mark.parametrize(("kind", "most"), [("rings", 0.62), ("streaks", 0.62)])
def test_rings_and_streaks_are_bright_and_dark_up_to_their_strength(
    kind: str, most: float, only: Callable[..., Any]
) -> None:
    changes = [only(**{kind: 0.1})(GREY, LABELS, seed)[0] - 0.5 for seed in range(60)]
    # where two cross, their heights add
    assert max(np.quantile(np.abs(change), 0.98) for change in changes) < 0.2
    assert 0.05 < np.median([np.abs(change).max() for change in changes]) < 0.2
    signs = [change[np.unravel_index(np.abs(change).argmax(), change.shape)] > 0 for change in changes]
    assert 1 - most < np.mean(signs) < most
    # thin: most of the window is as it was
    assert np.mean([np.abs(change) < 0.005 for change in changes]) > 0.6


@pytest.mark.parametrize("seed", range(12))
def test_rings_depend_on_the_distance_to_their_centre_alone(seed: int) -> None:
    _, centre, drawn = params(Rings, 0.1, seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    radius = np.hypot(y - centre[0], x - centre[1]).ravel()
    pattern = drawn["pattern"].ravel()[np.argsort(radius)]
    # neighbours in radius lie at any angle; a profile of 0.5 pixels changes by at most 1.3 heights per pixel
    steps = np.diff(np.sort(radius))
    assert (np.abs(np.diff(pattern)) <= 12 * 0.1 * 1.3 * (steps + 1 / 8) + 1e-6).all()
    binned = np.round(radius[np.argsort(radius)] * 2).astype(int)
    means = np.bincount(binned, pattern) / np.maximum(np.bincount(binned), 1)
    assert np.corrcoef(means[binned], pattern)[0, 1] > 0.9


def test_centres_lie_inside_and_outside() -> None:
    inside = [all(0 <= place <= SIZE for place in params(Rings, 0.1, seed)[1]) for seed in range(120)]
    # a ninth of nine windows
    assert 0.04 < np.mean(inside) < 0.2


@pytest.mark.parametrize("seed", range(12))
def test_a_single_ring_is_a_circle_around_the_drawn_centre(seed: int) -> None:
    step, centre, drawn = params(Rings, 0.1, seed, count=1)
    pattern = drawn["pattern"][..., 0]
    points = np.argwhere(np.abs(pattern) > np.abs(pattern).max() / 2)
    radius = np.hypot(*(points - np.array(centre)).T)
    # a Gaussian falls to half at 1.18 standard deviations, here 0.5 to 1.5 pixels
    assert np.ptp(radius) <= 2 * 1.18 * 1.5 + 1 / 8
    assert np.abs(pattern).max() <= 0.1
    assert np.array_equal(step.apply(GREY, **drawn), np.clip(GREY + drawn["pattern"], 0, 1))


@pytest.mark.parametrize("seed", range(12))
def test_streaks_are_straight_lines_through_one_point(seed: int) -> None:
    _, centre, drawn = params(Streaks, 0.1, seed)
    pattern = drawn["pattern"][..., 0]
    y, x = np.mgrid[:SIZE, :SIZE]
    far = np.hypot(y - centre[0], x - centre[1]) > 10
    angle = np.arctan2(y - centre[0], x - centre[1]) % np.pi
    # along a line through the point the greatest values are those of a streak: few angles hold them all
    strong = (np.abs(pattern) > 0.02) & far
    directions = np.histogram(angle[strong], bins=90, range=(0, np.pi))[0]
    assert 1 <= (directions > 0).sum() < 65
    # a line that does not pass through the point crosses at most as many streaks as there are
    row = pattern[0] if abs(centre[0]) > 10 else pattern[-1]
    peaks = (np.abs(row[1:-1]) > 0.02) & (np.abs(row[1:-1]) >= np.abs(row[:-2])) & (np.abs(row[1:-1]) > np.abs(row[2:]))
    assert peaks.sum() <= 6


@pytest.mark.parametrize("seed", range(12))
def test_a_single_streak_is_the_gaussian_section_of_a_line(seed: int) -> None:
    _, centre, drawn = params(Streaks, 0.1, seed, count=1)
    pattern = drawn["pattern"][..., 0]
    height = np.abs(pattern).max()
    assert 0.025 < height <= 0.1
    points = np.argwhere(np.abs(pattern) > height / 100)
    # the only direction in which the logarithm is a parabola of the distance across, through the drawn point
    y, x = (points - np.array(centre)).T
    values = np.log(np.abs(pattern[tuple(points.T)]))
    quadratic = np.stack([y * y, x * y, x * x, np.ones(len(y))], 1)
    found = np.linalg.lstsq(quadratic, values, rcond=None)[0]
    assert np.abs(quadratic @ found - values).max() < 0.02
    yy, xy, xx, _ = found
    curvatures = np.linalg.eigvalsh([[yy, xy / 2], [xy / 2, xx]])
    # none along the line, -1 / (2 width²) across
    assert abs(curvatures[1]) < 1e-3
    assert 0.7 <= np.sqrt(-1 / (2 * curvatures[0])) <= 2.5
    assert len(points) > 10


@pytest.mark.parametrize("seed", range(12))
def test_cupping_darkens_towards_its_centre(seed: int) -> None:
    _, centre, drawn = params(Cupping, 0.4, seed)
    factor = drawn["factor"][..., 0]
    assert min(centre) >= 0
    assert max(centre) <= SIZE
    assert factor.max() <= 1
    assert factor.min() >= 0.6
    radius = distances((SIZE, SIZE), centre)
    order = np.argsort(radius, axis=None)
    assert (np.diff(factor.ravel()[order]) >= -1e-5).all()
    # the parabola, from the depth at the centre and the radius that it reaches 1 at
    inner = factor < 0.9999
    slope, depth = np.polyfit(radius[inner] ** 2, factor[inner], 1)
    assert np.abs(slope * radius[inner] ** 2 + depth - factor[inner]).max() < 1e-4
    reach = np.sqrt((1 - depth) / slope)
    assert 0.5 * SIZE * np.sqrt(2) - 0.5 <= reach <= SIZE * np.sqrt(2) + 0.5


def test_air_stays_black_under_cupping(only: Callable[..., Any]) -> None:
    image = np.zeros((32, 32, 1), np.float32)
    assert only(cupping=0.5)(image, np.zeros((32, 32), np.int32), 1)[0].max() == 0


def test_artefacts_come_as_often_as_asked(still: dict[str, Any]) -> None:
    augment = Tomography(**still, **(NONE | {"cupping": 0.3}), artefacts=0.25)
    found = np.mean([not np.array_equal(augment(GREY, LABELS, seed)[0], GREY) for seed in range(300)])
    assert 0.18 < found < 0.32

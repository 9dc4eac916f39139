import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_metrics.surface import Hausdorff95, SurfaceDice, surface_distances

NAMES = ("background", "cell", "vessel")


@st.composite
def pairs_of_masks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    shape = draw(st.sampled_from([(5, 8), (4, 5, 6)]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    share = draw(st.sampled_from([0.0, 0.05, 0.5, 0.9]))
    spacing = tuple(draw(st.sampled_from([0.1, 1.0, 2.5, 40.0])) for _ in shape)
    return random.random(shape) < share, random.random(shape) < 0.3, spacing


def surface_by_hand(mask: np.ndarray) -> np.ndarray:
    """Return positions (n, dims) of voxels of a mask with a face neighbour that is not in it, one by one."""
    found = []
    for place in np.argwhere(mask):
        for axis in range(mask.ndim):
            for step in (-1, 1):
                near = place.copy()
                near[axis] += step
                inside = all(0 <= at < size for at, size in zip(near, mask.shape, strict=True))
                if not inside or not mask[tuple(near)]:
                    found.append(tuple(place))
    return np.array(sorted(set(found)), dtype=int).reshape(-1, mask.ndim)


def distances_by_hand(one: np.ndarray, other: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    start, end = (surface_by_hand(mask) * np.array(spacing) for mask in (one, other))
    if not len(end):
        return np.full(len(start), math.inf)
    return np.sqrt(((start[:, None] - end[None]) ** 2).sum(axis=-1)).min(axis=1, initial=math.inf)


def scored(metric: Any, *images: tuple[Any, Any]) -> dict[str, float]:
    for prediction, target in images:
        metric.update(np.asarray(prediction), np.asarray(target))
    scores: dict[str, float] = metric.compute()
    return scores


@settings(max_examples=60)
@given(case=pairs_of_masks())
def test_distances_are_those_between_all_pairs_of_surface_voxels(case: Any) -> None:
    prediction, target, spacing = case
    found = surface_distances(prediction, target, spacing)
    expected = distances_by_hand(prediction, target, spacing), distances_by_hand(target, prediction, spacing)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.sort(ours), np.sort(theirs))


@settings(max_examples=60)
@given(case=pairs_of_masks(), tolerance=st.sampled_from([0.0, 0.3, 1.0, 5.0]))
def test_scores_are_those_of_all_pairs_of_surface_voxels(case: Any, tolerance: float) -> None:
    prediction, target, spacing = case
    context = {"classes": NAMES[:2], "spacing": (*(9.0,) * (3 - len(spacing)), *spacing)}
    ours, theirs = distances_by_hand(prediction, target, spacing), distances_by_hand(target, prediction, spacing)
    images = prediction.astype(int), target.astype(int)

    both = np.concatenate([ours, theirs])
    near = np.count_nonzero(both <= tolerance + 1e-9) / len(both) if len(both) else math.nan
    dice = scored(SurfaceDice(tolerance=tolerance, **context), images)
    assert dice["surface-dice/cell"] == pytest.approx(near, nan_ok=True)

    farthest = max(np.percentile(ours, 95), np.percentile(theirs, 95)) if len(ours) and len(theirs) else math.nan
    if math.isnan(farthest) and len(both):
        farthest = math.sqrt(sum((size * step) ** 2 for size, step in zip(target.shape, spacing, strict=True)))
    distance = scored(Hausdorff95(**context), images)
    assert distance["hausdorff95/cell"] == pytest.approx(farthest, nan_ok=True)


@settings(max_examples=30)
@given(case=pairs_of_masks())
def test_prediction_and_target_may_change_places(case: Any) -> None:
    prediction, target, spacing = case
    context = {"classes": NAMES[:2], "spacing": (1.0, *spacing)[-3:], "background": True}
    for kind in (SurfaceDice, Hausdorff95):
        one = scored(kind(**context), (prediction.astype(int), target.astype(int)))
        other = scored(kind(**context), (target.astype(int), prediction.astype(int)))
        np.testing.assert_equal(one, other)


def test_a_shift_by_one_plane_is_as_far_as_its_spacing() -> None:
    target = np.zeros((8, 6, 6), int)
    target[2:5, 1:5, 1:5] = 1
    shifted = np.roll(target, 1, axis=0)
    for spacing, distance in (((50.0, 4.0, 4.0), 50.0), (None, 1.0)):
        context = {"classes": NAMES[:2], "spacing": spacing}
        assert scored(Hausdorff95(**context), (shifted, target))["hausdorff95"] == distance
        assert scored(SurfaceDice(**context), (shifted, target))["surface-dice"] == 1.0
        assert scored(SurfaceDice(tolerance=0.9 * distance, **context), (shifted, target))["surface-dice"] < 0.7


def test_a_slice_takes_the_spacing_of_rows_and_columns() -> None:
    target, prediction = np.zeros((1, 9), int), np.zeros((1, 9), int)
    target[0, 1], prediction[0, 4] = 1, 1
    context = {"classes": NAMES[:2], "spacing": (100.0, 10.0, 0.5)}
    assert scored(Hausdorff95(**context), (prediction, target))["hausdorff95"] == 1.5
    assert scored(SurfaceDice(**context), (prediction, target))["surface-dice"] == 1.0
    context["spacing"] = (100.0, 0.1, 0.5)
    assert scored(SurfaceDice(**context), (prediction, target))["surface-dice"] == 0.0


def test_a_tolerance_of_whole_steps_is_met_in_spite_of_rounding() -> None:
    target, prediction = np.zeros((3, 9), int), np.zeros((3, 9), int)
    target[1, 2], prediction[1, 5] = 1, 1
    spacing = tuple(float(np.float32(0.1)) for _ in range(3))
    metric = SurfaceDice(tolerance=0.3, classes=NAMES[:2], spacing=spacing)
    assert scored(metric, (prediction, target))["surface-dice"] == 1.0


def test_the_percentile_forgives_a_twentieth_of_the_surface() -> None:
    target = np.zeros((3, 60), int)
    target[1, :50] = 1
    prediction = target.copy()
    prediction[1, 57] = 1
    context = {"classes": NAMES[:2], "spacing": None}
    assert scored(Hausdorff95(**context), (prediction, target))["hausdorff95"] == 0.0
    prediction[1, 57:60] = 1
    distances = sorted([0] * 50 + [8, 9, 10])
    assert scored(Hausdorff95(**context), (prediction, target))["hausdorff95"] == np.percentile(distances, 95) > 0


def test_a_class_in_only_one_of_both_is_the_diagonal_away_and_scores_no_surface() -> None:
    target, nothing = np.zeros((3, 4), int), np.zeros((3, 4), int)
    target[1, 1] = 1
    context = {"classes": NAMES, "spacing": (7.0, 1.0, 1.0)}
    for images in ((nothing, target), (target, nothing)):
        distance, dice = scored(Hausdorff95(**context), images), scored(SurfaceDice(**context), images)
        assert (distance["hausdorff95/cell"], dice["surface-dice/cell"]) == (5.0, 0.0)
        assert math.isnan(distance["hausdorff95/vessel"])
        assert math.isnan(dice["surface-dice/vessel"])
        assert (distance["hausdorff95"], dice["surface-dice"]) == (5.0, 0.0)


def test_distances_are_averaged_over_images_that_have_the_class_and_surfaces_pooled() -> None:
    def one(column: int, rows: int = 1) -> np.ndarray:
        image = np.zeros((5, 8), int)
        image[1 : 1 + rows, column] = 1
        return image

    empty = np.zeros((5, 8), int)
    images = [(one(1), one(1)), (one(4, rows=3), one(1, rows=3)), (empty, empty)]
    context = {"classes": NAMES[:2], "spacing": None}
    assert scored(Hausdorff95(**context), *images)["hausdorff95"] == (0 + 3) / 2
    assert scored(SurfaceDice(**context), *images)["surface-dice"] == 2 / (2 + 6)


def test_the_background_has_no_score_unless_it_is_wanted() -> None:
    target = np.zeros((4, 4), int)
    target[1:3, 1:3] = 1
    for kind in (Hausdorff95, SurfaceDice):
        context = {"classes": NAMES[:2], "spacing": None}
        assert set(scored(kind(**context), (target, target))) == {kind.name, f"{kind.name}/cell"}
        wanted = scored(kind(background=True, **context), (target, target))
        assert set(wanted) == {kind.name, f"{kind.name}/background", f"{kind.name}/cell"}


@settings(max_examples=30)
@given(case=pairs_of_masks(), margin=st.integers(1, 3))
def test_a_margin_without_labels_is_as_if_it_were_cut_off(case: Any, margin: int) -> None:
    prediction, target, spacing = case
    context = {"classes": NAMES[:2], "spacing": (1.0, *spacing)[-3:]}
    width = [(margin, 0)] * target.ndim
    padded = np.pad(prediction.astype(int), width, constant_values=1)
    labels = np.pad(target.astype(int), width, constant_values=-1)
    alone = prediction.astype(int), target.astype(int)
    for kind in (SurfaceDice, Hausdorff95):
        np.testing.assert_equal(scored(kind(**context), (padded, labels)), scored(kind(**context), alone))

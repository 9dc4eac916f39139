import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.morphology import skeletonize

from volseg_metrics.cldice import ClDice, skeleton

NAMES = ("background", "vessel")


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    shape = draw(st.sampled_from([(7, 9), (4, 5, 6)]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    blocks = random.random([-(-size // 2) for size in shape]) < draw(st.sampled_from([0.1, 0.4, 0.8]))
    mask = np.kron(blocks, np.ones([2] * len(shape), bool))[tuple(slice(0, size) for size in shape)]
    return mask ^ (random.random(shape) < draw(st.sampled_from([0, 0.1])))


def score(*images: tuple[Any, Any]) -> float:
    metric = ClDice(classes=NAMES)
    for prediction, target in images:
        metric.update(np.asarray(prediction, dtype=int), np.asarray(target, dtype=int))
    return metric.compute()["cldice"]


@settings(max_examples=80)
@given(mask=masks())
def test_a_mask_agrees_with_itself(mask: np.ndarray) -> None:
    assert score((mask, mask)) == 1.0 if mask.any() else math.isnan(score((mask, mask)))


@settings(max_examples=80)
@given(mask=masks())
def test_a_skeleton_lies_in_its_mask_and_leaves_out_no_object(mask: np.ndarray) -> None:
    thin = skeleton(mask)
    assert not (thin & ~mask).any()
    objects, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    assert set(objects[thin]) == set(range(1, count + 1))


@settings(max_examples=40)
@given(prediction=masks(), data=st.data())
def test_scores_are_those_of_the_published_formula(prediction: np.ndarray, data: st.DataObject) -> None:
    target = np.random.default_rng(data.draw(st.integers(0, 2**32))).permuted(prediction)
    assume(prediction.any())
    thin, true = skeleton(prediction), skeleton(target)
    precision, sensitivity = target[thin].mean(), prediction[true].mean()
    expected = 2 * precision * sensitivity / (precision + sensitivity) if precision * sensitivity else 0.0
    assert score((prediction, target)) == pytest.approx(expected)


def test_a_block_that_thinning_would_erase_is_kept_whole() -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[2:4, 2:4, 2:4] = True
    mask[0, 0, :] = True
    assert not skeletonize(mask)[2:4].any()
    assert skeleton(mask)[2:4].sum() == 8
    assert score((mask, mask)) == 1.0


def test_thickness_hardly_counts_and_a_gap_does() -> None:
    line = np.zeros((9, 20), int)
    line[4, 1:19] = 1
    thick = np.zeros_like(line)
    thick[3:6, 1:19] = 1
    cut = line.copy()
    cut[4, 8:12] = 0
    assert score((thick, line)) > 0.95
    assert score((cut, line)) == pytest.approx(2 * 1.0 * (14 / 18) / (1.0 + 14 / 18))


def test_a_class_in_only_one_of_both_scores_zero_and_an_absent_one_nothing() -> None:
    line, nothing = np.eye(5, dtype=int), np.zeros((5, 5), int)
    assert score((line, nothing)) == 0.0
    assert score((nothing, line)) == 0.0
    assert score((line, 1 - line - np.eye(5, k=1, dtype=int) - np.eye(5, k=-1, dtype=int))) == 0.0
    assert math.isnan(score((nothing, nothing)))


def test_skeletons_of_all_images_are_pooled() -> None:
    short, long = np.zeros((3, 12), int), np.zeros((3, 12), int)
    short[1, 1:4], long[1, 1:10] = 1, 1
    nothing = np.zeros((3, 12), int)
    assert score((short, short), (nothing, long), (nothing, nothing)) == pytest.approx(2 * 1 * (3 / 12) / (1 + 3 / 12))


def test_the_background_is_scored_when_it_is_wanted() -> None:
    target = np.eye(5, dtype=int)
    metric = ClDice(background=True, classes=NAMES)
    metric.update(target, target)
    assert metric.compute() == {"cldice": 1.0, "cldice/background": 1.0, "cldice/vessel": 1.0}

import math

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from volseg_core.api import DataError, UsageError
from volseg_metrics.ssim import StructuralSimilarity


def pair(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    target = random.normal(size=shape)
    return (target + 0.5 * random.normal(size=shape)).astype(np.float32), target.astype(np.float32)


def scored(metric: StructuralSimilarity, *arrays: np.ndarray) -> dict[str, float]:
    metric.update(*arrays)
    return metric.compute()


@pytest.mark.parametrize("shape", [(12, 17), (9, 11, 10)])
@pytest.mark.parametrize("window", [3, 7])
def test_the_similarity_is_that_of_scikit_image_in_two_and_three_dimensions(
    shape: tuple[int, ...], window: int
) -> None:
    prediction, target = pair((2, *shape))
    scores = scored(StructuralSimilarity(window=window, classes="ab"), prediction, target)
    each = [
        structural_similarity(
            target[index].astype(float), prediction[index].astype(float),
            win_size=window, data_range=float(np.ptp(target[index])),
        )
        for index in range(2)
    ]  # fmt: skip
    assert [scores["ssim/a"], scores["ssim/b"]] == pytest.approx(each)
    assert scores["ssim"] == pytest.approx(np.mean(each))
    fixed = structural_similarity(target[0], prediction[0], win_size=window, data_range=20)
    alone = scored(StructuralSimilarity(window=window, range=20, classes="a"), prediction[:1], target[:1])
    assert alone["ssim"] == pytest.approx(fixed, rel=1e-5)


def test_only_windows_without_a_hole_count() -> None:
    prediction, target = pair((1, 12, 20))
    valid = np.ones((1, 12, 20), bool)
    valid[..., 10] = False
    junk = np.where(valid, prediction, 1e9)
    found = scored(StructuralSimilarity(window=5, range=6, classes="a"), junk, target, valid)["ssim"]
    halves = [
        scored(StructuralSimilarity(window=5, range=6, classes="a"), prediction[..., part], target[..., part])["ssim"]
        for part in (slice(0, 10), slice(11, 20))
    ]
    # windows of 5 have 6 middles across 10 columns and 5 across 9
    assert found == pytest.approx((6 * halves[0] + 5 * halves[1]) / 11)


def test_windows_of_all_images_are_pooled_and_what_has_none_has_no_score() -> None:
    metric = StructuralSimilarity(range=6, classes="a")
    assert math.isnan(metric.compute()["ssim"])
    small, large = pair((1, 8, 8)), pair((1, 8, 14), seed=1)
    each = [scored(StructuralSimilarity(range=6, classes="a"), *images)["ssim"] for images in (small, large)]
    metric.update(*small)
    metric.update(*large)
    assert metric.compute()["ssim"] == pytest.approx((2 * 2 * each[0] + 2 * 8 * each[1]) / 20)
    flat = np.zeros((1, 8, 8), np.float32)
    assert math.isnan(scored(StructuralSimilarity(classes="a"), flat, flat)["ssim"])


def test_windows_that_have_no_middle_or_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError) as raised:
        StructuralSimilarity(window=4, classes="a")
    assert str(raised.value) == "metric 'ssim': window=4 is even. A window has a middle: take an odd edge."
    prediction, target = pair((1, 5, 9, 9))
    with pytest.raises(DataError) as error:
        StructuralSimilarity(classes="a").update(prediction, target)
    assert str(error.value) == (
        "metric: an image of 5 x 9 x 9 is smaller than a window of ssim, 7. Set ssim.window to an odd number that fits."
    )

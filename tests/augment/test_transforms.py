from __future__ import annotations

import numpy as np
import pytest

from volseg_augment.steps import DISPLACEMENT, SPACING
from volseg_augment.transforms import Contrast, Elastic


@pytest.mark.parametrize(("height", "width"), [(16, 16), (96, 96), (200, 130)])
def test_an_elastic_deformation_moves_pixels_smoothly_and_never_folds(height: int, width: int) -> None:
    elastic = Elastic(alpha=DISPLACEMENT, sigma=SPACING, p=1)
    moves = []
    for seed in range(40):
        elastic.set_random_seed(seed)
        maps = elastic.get_params_dependent_on_data({"shape": (height, width, 1)}, {})
        assert maps["map_x"].shape == maps["map_y"].shape == (height, width)
        assert np.diff(maps["map_x"], axis=1).min() > 0
        assert np.diff(maps["map_y"], axis=0).min() > 0
        moves.append(maps["map_x"] - np.arange(width))
    assert max(np.abs(move).max() for move in moves) < 4 * DISPLACEMENT
    assert 0.5 * DISPLACEMENT < np.std(np.concatenate([move.ravel() for move in moves])) < 1.2 * DISPLACEMENT


def test_contrast_is_cut_to_the_range_before_the_next_step_sees_it() -> None:
    # a gamma of negative values would be NaN
    image = np.array([0.0, 0.5, 1.0], np.float32).reshape(1, 3, 1)
    changed = Contrast().apply(image, alpha=2.0, beta=0.1)
    assert changed.ravel() == pytest.approx([0, 0.6, 1])

"""Figures, by what they show."""

from __future__ import annotations

import matplotlib.image
import numpy as np
import pytest

from volseg_core.report.figures import Example, draw_curves, draw_examples, draw_values


def test_examples_paint_errors_red(tmp_path):
    truth = np.zeros((32, 48), int)
    truth[8:24, 8:24] = 1
    right = Example("slice", np.full((32, 48), 0.5), truth, truth)
    wrong = Example("slice", np.full((32, 48), 0.5), truth, np.zeros_like(truth))
    reds = []
    for example in (right, wrong):
        draw_examples([example], ["background", "cell"], tmp_path / "figure.png")
        picture = matplotlib.image.imread(tmp_path / "figure.png")[..., :3]
        reds.append(int((np.abs(picture - (0.95, 0.15, 0.15)).max(-1) < 0.05).sum()))
    assert reds[0] == 0
    assert reds[1] > 500


def test_curves_accept_missing_scores(tmp_path):
    rows = [
        {"epoch": "0", "train/loss": "1.0", "val/loss": "1.1", "val/dice": "0.2"},
        {"epoch": "1", "train/loss": "0.5", "val/loss": "0.8", "val/dice": ""},
    ]
    draw_curves(rows, tmp_path / "curves.png")
    assert matplotlib.image.imread(tmp_path / "curves.png").std() > 0.01


def differences(example, path):
    """Return how bright the fourth picture, the difference, is on average."""
    draw_values([example], "depth", path)
    picture = matplotlib.image.imread(path)[..., :3]
    return float(picture[30:-5, -picture.shape[1] // 4 + 10 : -10].mean())


def test_values_are_drawn_beside_their_difference(tmp_path):
    truth = np.linspace(-500, 1500, 32 * 48).reshape(32, 48)
    image = np.full((32, 48), 0.5)
    right, wrong = (Example("slice", image, truth, truth + by) for by in (0, 1800))
    assert differences(wrong, tmp_path / "a.png") > differences(right, tmp_path / "b.png") + 0.3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("known", [0, 1])
def test_values_without_truth_or_of_one_number_are_drawn(tmp_path, known):
    truth = np.full((32, 48), np.nan)
    truth[:known] = 3
    draw_values([Example("slice", np.zeros((32, 48)), truth, np.ones((32, 48)))], "depth", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_a_row_without_objects_is_as_dark_as_the_others_say(tmp_path):
    empty, image = np.zeros((32, 48)), np.full((32, 48), 0.5)
    half = np.where(np.arange(48) < 24, 1.0, 0.0) + empty
    rows = [Example("slice", image, truth, np.full((32, 48), 0.1)) for truth in (empty, half)]
    draw_values(rows, "foreground", tmp_path / "both.png")
    picture = matplotlib.image.imread(tmp_path / "both.png")[..., :3].mean(-1)
    height, width = picture.shape
    prediction = picture[height // 4, int(width * 0.625)]
    assert prediction == pytest.approx(0.1, abs=0.02)
    draw_values(rows[:1], "foreground", tmp_path / "empty.png")
    alone = matplotlib.image.imread(tmp_path / "empty.png")[..., :3].mean(-1)
    assert alone[alone.shape[0] * 2 // 3, int(width * 0.625)] == pytest.approx(0.1, abs=0.02)
